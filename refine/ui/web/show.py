"""The review page in a notebook, for :meth:`refine.Review.show`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from refine.errors import ReviewError
from refine.utils.provided import provides

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.ui.web.widget import ReviewWidget


@provides("review.show")
def show(review: Review) -> ReviewWidget:
    """The page as a widget, beginning with the edits made so far.

    Args:
        review: The review.

    Raises:
        ReviewError: anywidget is not installed.
    """
    from refine.ui.web.session import Session

    try:
        from refine.ui.web.widget import ReviewWidget
    except ImportError:
        raise ReviewError(
            "show needs anywidget: pip install anywidget; in a browser the same page is: refine review "
            f"{shlex.quote(review.round.context.store.name)} {review.round.id}"
        ) from None
    return ReviewWidget(Session(review.round, started=review))
