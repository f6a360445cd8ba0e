"""Figures of a round on the page: those of ``round.plot`` as SVG, in the colours of the page."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError, did_you_mean
from refine.report.figures.canvas import svg
from refine.report.pages.space import comparison_page
from refine.report.plots import Plots
from refine.tree.comparison import difference
from refine.utils.format import plural

if TYPE_CHECKING:
    from refine.analysis.analysis import Analysis
    from refine.tree.round import Round

OF_TRIALS = ("best_so_far",)
"""Figures that need no analysis."""

PICTURES = {
    **dict.fromkeys((*OF_TRIALS, "correlation", "failing", "cost", "gain", "front", "edf", "curves"), 0),
    **dict.fromkeys(("isolation", "density", "levels"), 1),
    "pair": 2,
}
"""What the page may ask for, and of how many parameters."""

_ALONE = threading.Lock()  # matplotlib's settings are those of the whole process


def picture(found: Round, analysis: Analysis | None, message: Mapping[str, Any]) -> dict[str, Any]:
    """A figure as SVG, and what it shows in a sentence.

    Raises:
        ReviewError: No such figure.
        AnalysisError: There is nothing to draw.
    """
    name, about = message["name"], message.get("about", [])
    if name not in PICTURES:
        raise ReviewError(f"no figure {name!r}; {did_you_mean(name, PICTURES)}")
    if len(about) != PICTURES[name]:
        raise ReviewError(f"figure {name!r} is about {plural(PICTURES[name], 'parameter')}, got {len(about)}")
    draw = getattr(Plots(found, analysis), name)
    with _ALONE:
        axes = draw(*about, theme="dark" if message.get("dark") else "light")
        return {"svg": svg(axes).decode(), "text": _first_sentence(draw.__doc__, " and ".join(about))}


def _first_sentence(text: str | None, about: str) -> str:
    said = (
        " ".join((text or "").strip().split("\n\n")[0].split()).replace("`", "").partition(";")[0].rstrip(".")
    )
    return f"{about}: {said[:1].lower()}{said[1:]}." if about else f"{said}."


def beside_content(found: Round, other: Round | None) -> dict[str, Any]:
    """What differs between a round and another one, or the one that it came from, as a table of texts and sentences.

    Raises:
        ReviewError: It came from none.
    """
    other = found.parent if other is None else other
    if other is None:
        raise ReviewError(
            f"round {found.id} is a first round: there is none that it came from; say another one"
        )
    page = comparison_page(difference(other, found)).to_dict()
    table, *more = (fold["blocks"][0] for fold in page["folds"])
    rows = [[c if isinstance(c, str) else c["text"] for c in row] for row in table["rows"]]
    said = [f"{word}: {text}" for word, text in page["blocks"][0]["facts"]]
    return {"head": table["head"], "rows": rows, "texts": [*said, *(block["text"] for block in more)]}
