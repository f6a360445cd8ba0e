"""What figures are made of: dots, intervals and rows, and their marks in the legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from refine.report.figures.theme import points, tone
from refine.utils.arrays import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

_POINTS = 1500  # more single trials than this only make ink


def line_mark(label: str, color: str | None = None, **look: Any) -> Line2D:
    """A line in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"color": color or tone().ink, "label": label, **look})


def dot_mark(label: str, color: str, marker: str = "o", **look: Any) -> Line2D:
    """A marker in a legend."""
    return line_mark(label, color, marker=marker, linewidth=0, **look)


def area_mark(label: str, color: str | None = None, **look: Any) -> Patch:
    """An area in a legend."""
    from matplotlib.patches import Patch

    return Patch(color=color, label=label, **look)


def dots(ax: Axes, x: npt.ArrayLike, y: npt.ArrayLike, **look: Any) -> None:
    """Single trials, as an image within SVG."""
    size = 4.0 if np.size(x) > 100 else 6.5
    given: dict[str, Any] = {"color": tone().grey, "alpha": 0.5, "markersize": size, "marker": "."} | look
    ax.plot(x, y, linewidth=0, markeredgewidth=0, rasterized=True, **given)


def interval(
    ax: Axes, low: float, high: float, row: float, color: str, width: float = 1.6, **look: Any
) -> None:
    """A horizontal interval, where both ends are known."""
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [row, row], color=color, linewidth=width, solid_capstyle="butt", **look)


def named_rows(ax: Axes, names: Sequence[str]) -> None:
    """A row per name, from the top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def beside(
    ax: Axes, row: float, text: str, color: str | None = None, at: float = 1.015, size: float = 8
) -> None:
    """A text at the right of a row, or where ``at`` puts it across the axes."""
    place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": points(size)}
    ax.text(at, row, text, color=color or tone().grey, **place)


def percents(share: float, _: object = None) -> str:
    """A share as ticks name it."""
    return f"{100 * share:.3g} %"


def thinned(mask: npt.NDArray[np.bool_], most: int = _POINTS) -> npt.NDArray[np.int64]:
    """Row numbers of at most a readable number of points, evenly spread over the table."""
    rows = np.flatnonzero(mask)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return np.asarray(rows, dtype=np.int64)


def spread(count: int) -> Floats:
    """Numbers in [0, 1) that look random and are the same every time: multiples of the golden ratio."""
    return np.asarray((np.arange(count) * 0.6180339887498949) % 1.0)
