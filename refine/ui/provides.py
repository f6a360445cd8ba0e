"""Registration of user interfaces; see :mod:`refine.utils.provided`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from refine.errors import ReviewError
from refine.utils.extras import load
from refine.utils.provided import provides

if TYPE_CHECKING:
    from refine.review.review import Review
    from refine.tree.tree import Tree
    from refine.ui.web.widget import ReviewWidget


@provides("review.show")
def show(review: Review) -> ReviewWidget:
    """The page as a widget, beginning with the edits made so far.

    Raises:
        ReviewError: The extra ``notebook`` is not installed.
    """
    typed = f"refine review {shlex.quote(review.round._context.store.typed)} {review.round.id}"
    load("anywidget", "show", ReviewError, f"in a browser the same page is: {typed}")
    from refine.ui.web.session import Session
    from refine.ui.web.widget import ReviewWidget

    return ReviewWidget(Session(review.round, started=review), review)


@provides("tree.page")
def page(tree: Tree, risk: float, second_tree: Tree | None) -> str:
    """The page of all rounds with data, as HTML."""
    from refine.ui.web.saved import saved_page

    return saved_page(tree, risk, second_tree)
