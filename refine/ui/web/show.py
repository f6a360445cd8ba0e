"""The review page in a notebook, for :meth:`refine.Review.show`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from refine.errors import ReviewError
from refine.utils.extras import load
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
        ReviewError: The extra ``notebook`` is not installed.
    """
    from refine.ui.web.session import Session

    load(
        "anywidget",
        "show",
        ReviewError,
        f"in a browser the same page is: refine review {shlex.quote(review.round.context.store.typed)} {review.round.id}",
    )
    from refine.ui.web.widget import ReviewWidget

    return ReviewWidget(Session(review.round, started=review), review)
