"""The page in a notebook: the same front end as an anywidget."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anywidget

from refine.ui.web.session import Session

if TYPE_CHECKING:
    from refine.tree.round import Round

_STATIC = files("refine.ui.web") / "static"


class ReviewWidget(anywidget.AnyWidget):  # type: ignore[misc]  # traitlets are untyped
    """The review page as a widget; what it decides is in :attr:`child`.

    Args:
        session: Answers the front end's messages.
    """

    _esm = (_STATIC / "review.js").read_text(encoding="utf-8")
    _css = (_STATIC / "review.css").read_text(encoding="utf-8")

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.on_msg(self._answer)

    @property
    def child(self) -> Round | None:
        """The round that accepting made; ``None`` before."""
        return self._session.child

    def _answer(self, _: Any, content: Any, __: Any) -> None:
        answer = self._session.handle(content.get("message") if isinstance(content, dict) else None)
        number = content.get("number") if isinstance(content, dict) else None
        if isinstance(answer, bytes):
            self.send({"number": number}, buffers=[answer])
        else:
            self.send({"number": number, "answer": answer})
