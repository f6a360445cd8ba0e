"""The page in a notebook: the same front end as an anywidget."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anywidget
import traitlets

from refine.ui.web.session import Session
from refine.utils.display import to_html, to_text

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.tree.round import Round

_STATIC = files("refine.ui.web") / "static"


class ReviewWidget(anywidget.AnyWidget):  # type: ignore[misc]  # traitlets are untyped
    """The review page as a widget; :attr:`child` is the accepted round.

    A saved or exported notebook has no running session and shows the printed review: the widget draws the
    review itself. If no widget is drawn, as in an exported notebook without a network, the output below does.
    """

    _esm = (_STATIC / "review.js").read_text(encoding="utf-8")
    _css = (_STATIC / "review.css").read_text(encoding="utf-8")

    glance = traitlets.Unicode().tag(sync=True)
    fallback = traitlets.Unicode().tag(sync=True)  # class of the output that a drawn widget hides

    def __init__(self, session: Session, review: Review) -> None:
        page = review._page()
        super().__init__(glance=to_html(page), fallback=f"refine-fallback-{uuid4().hex[:12]}")
        self._session = session
        self._text = to_text(page)
        self.on_msg(self._answer)

    @property
    def child(self) -> Round | None:
        """The round created by accepting; ``None`` before."""
        return self._session.child

    def _repr_mimebundle_(self, **keywords: object) -> Any:
        """The widget, with the review as text and HTML."""
        bundle = super()._repr_mimebundle_(**keywords)
        if bundle is not None:
            _data_of(bundle).update({"text/plain": self._text, "text/html": self.glance})
        return bundle

    def _ipython_display_(self) -> None:
        """Displays the widget, and below the printed review, which a drawn widget hides."""
        from IPython.display import display

        data = _data_of(self._repr_mimebundle_())
        name = self._text.partition(":")[0]
        widget = {kind: value for kind, value in data.items() if not kind.startswith("text/")}
        display({**widget, "text/plain": f"Review page of {name}"}, raw=True)
        html = f'<div class="{self.fallback}">{self.glance}</div>'
        display({"text/html": html, "text/plain": self._text}, raw=True)

    def _answer(self, _: object, content: object, __: object) -> None:
        message: dict[str, object] = {}
        if isinstance(content, dict):
            message = content
        number = message.get("number")
        answer = self._session.handle(message.get("message"))
        if isinstance(answer, bytes):
            self.send({"number": number}, buffers=[answer])
        else:
            self.send({"number": number, "answer": answer})


def _data_of(bundle: Any) -> dict[str, Any]:
    """The data of a bundle: anywidget returns the data, or the data with metadata."""
    if isinstance(bundle, tuple):
        return bundle[0]  # type: ignore[no-any-return]
    return bundle  # type: ignore[no-any-return]
