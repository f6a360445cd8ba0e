"""What all figures share: colours, one look, axes that fit a report. Loads matplotlib on first use."""

from __future__ import annotations

import io
import reprlib
import warnings
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from refine.errors import AnalysisError
from refine.space.categorical import Categorical
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Floats
from refine.utils.files import write_whole
from refine.utils.format import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch


WIDTH = 7.2
"""Inches: a report's text width."""

DPI = 150

_POINTS = 1500  # more single trials than this only make ink
_LETTER = 0.083  # inches, of a title
_LETTERS = 66  # of a title beside the labels of a vertical axis

# Okabe and Ito's colours, told apart with every kind of colour vision and in grey print.
BLUE = "#0072B2"
ORANGE = "#D55E00"
AMBER = "#E69F00"
GREEN = "#009E73"
PINK = "#CC79A7"
SKY = "#56B4E9"
INK = "#222222"
GREY = "#7a7a7a"
LIGHT = "#c8c8c8"
PALE = "#ececec"

_LOOK: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    # Labels are people's own text: a dollar sign in them is no formula.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults with the look of the reports; the user's own settings come back afterwards."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK)
        yield


def axes(ax: Axes | None, height: float) -> Axes:
    """``ax``, or the axes of a new figure that pyplot knows nothing of.

    Args:
        ax: Axes to draw into, or ``None``.
        height: Of the new figure, in inches.

    Raises:
        AnalysisError: ``ax`` is something else.
    """
    if ax is not None:
        from matplotlib.axes import Axes

        if not isinstance(ax, Axes):
            raise AnalysisError(
                f"ax: takes the axes of one panel, such as plt.subplots()[1], got {reprlib.repr(ax)}; leave it out "
                "for a new figure"
            )
        return ax
    made = _figure(height).add_subplot()
    # Notebooks show what a cell ends with by this; a figure that pyplot knows nothing of they would show as text.
    made._repr_png_ = partial(png, made)  # type: ignore[attr-defined]
    return made


class Panels(np.ndarray[Any, np.dtype[Any]]):
    """Axes of several panels: an array, which a notebook shows as the picture that they are."""

    def _repr_png_(self) -> bytes | None:
        first: Any = self.flat[0] if self.size else None
        return png(first) if hasattr(first, "get_figure") else None


def panels(rows: int, columns: int, height: float, sharey: bool | Literal["row"] = "row") -> Panels:
    """(rows, columns) axes of a new figure with one horizontal axis for all.

    Args:
        rows: How many.
        columns: How many.
        height: Of the figure, in inches.
        sharey: Whether all have one vertical axis, or those of a row.
    """
    found: npt.NDArray[Any] = _figure(height).subplots(
        rows, columns, sharex=True, sharey=sharey, squeeze=False
    )
    return found.view(Panels)


def _figure(height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save(ax: Axes | npt.NDArray[Any], path: Path) -> None:
    """Writes the figure that ``ax`` is part of, or an array of axes is, as PNG; equal figures give equal bytes."""
    write_whole(path, png(ax.flat[0] if isinstance(ax, np.ndarray) else ax))


def png(ax: Axes) -> bytes:
    """The figure that ``ax`` is part of as PNG."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    with style(), warnings.catch_warnings():
        # A label may hold letters that the font lacks; a box in their place is no reason to fail a report.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        found = io.BytesIO()
        figure.savefig(found, format="png", dpi=DPI, metadata={"Software": None})
    return found.getvalue()


def title(
    ax: Axes,
    text: str,
    legend: Sequence[Any] = (),
    note: str = "",
    columns: int = 4,
    letters: int = _LETTERS,
    lift: float = 0.0,
) -> None:
    """A title at the left, a note at the right, and the legend on a line of its own below them.

    Args:
        ax: The axes.
        text: The title; its middle goes where it is too long.
        legend: Handles of the legend.
        note: What must be said beside the title.
        columns: Of the legend, at most.
        letters: How many of a title fit above the axes.
        lift: Points between the axes and all this, for what stands there.
    """
    columns = _columns([str(mark.get_label()) for mark in legend], columns, _LETTER * letters)
    pad = 8 + 16 * -(-len(legend) // columns) + lift
    # What is left of a report's width beside the note, whose letters are smaller.
    most = letters - (int(0.72 * len(note)) + 3 if note else 0)
    ax.set_title(shorten(text, most), loc="left", pad=pad)
    if note:
        ax.set_title(note, loc="right", pad=pad, fontsize=8, fontweight="normal", style="italic", color=GREY)
    if legend:
        from matplotlib.transforms import ScaledTranslation

        figure = ax.get_figure(root=True)
        assert figure is not None
        raised = ScaledTranslation(0, lift / 72, figure.dpi_scale_trans)
        ax.legend(
            handles=list(legend),
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            bbox_transform=ax.transAxes + raised,
            borderaxespad=0.2,
            borderpad=0.2,
            ncols=columns,
            handlelength=1.6,
            columnspacing=1.4,
        )


def _columns(labels: Sequence[str], most: int, inches: float) -> int:
    """How many columns of a legend, which is filled column by column, are no wider than that."""
    if not labels:
        return 1
    letters = [len(text) for text in labels]
    for columns in range(min(most, len(labels)), 1, -1):
        parts = np.array_split(letters, columns)
        if sum(0.42 + 0.066 * int(part.max()) for part in parts) <= inches:
            return columns
    return 1


def title_letters(labels: Sequence[str]) -> int:
    """How many letters of a title fit above axes with such labels at their left and a count at their right."""
    widest = max((len(line) for text in labels for line in text.split("\n")), default=0)
    return min(_LETTERS, int((WIDTH - 1.0 - 0.07 * widest) / _LETTER))


def shorten(text: str, most: int = 40) -> str:
    """One line of at most ``most`` letters; the middle goes, since names often differ at their ends."""
    line = " ".join(str(text).split())
    if len(line) <= most:
        return line
    head = (most - 1) * 3 // 5
    return f"{line[:head]}…{line[len(line) - (most - 1 - head) :]}"


def short_ids(ids: Sequence[str]) -> list[str]:
    """The beginnings of ids, 6 letters or as many as tell them apart."""
    most = max((len(each) for each in ids), default=0)
    for letters in range(6, most):
        if len({each[:letters] for each in ids}) == len(set(ids)):
            return [each[:letters] for each in ids]
    return list(ids)


def told_apart(texts: Sequence[str], most: int = 40) -> list[str]:
    """Labels of at most ``most`` letters; what all begin and end with goes where these would be alike."""
    short = [shorten(text, most) for text in texts]
    if len(set(short)) == len(short) or len(set(texts)) < len(texts):
        return short
    head = _common(texts)
    tail = _common([text[head:][::-1] for text in texts])
    return [shorten(f"…{text[head : len(text) - tail]}{'…' * bool(tail)}", most) for text in texts]


def _common(texts: Sequence[str]) -> int:
    """How many letters all begin with."""
    alike = (len(set(letters)) == 1 for letters in zip(*texts, strict=False))
    return sum(1 for _ in takewhile(bool, alike))


def wrapped(text: str, width: int = 24) -> str:
    """A label on at most two lines."""
    line = shorten(text, 2 * width)
    if len(line) <= width:
        return line
    # Behind a space or a joint of a name, if one is near enough the end of the line.
    joints = [k + 1 for k, letter in enumerate(line[:width]) if letter in " _-./"]
    good = [k for k in joints if k >= max(width // 3, len(line) - width)]
    cut = good[-1] if good else width
    return f"{line[:cut].rstrip()}\n{line[cut:].strip()}"


class Scale:
    """Where an ordered parameter's values lie on an axis: numbers as they are, ordered choices one by one.

    Attributes:
        parameter: The parameter.
        low: Lower end of the axis.
        high: Upper end.
    """

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        if isinstance(parameter, Range):
            self.low, self.high = (float(v) for v in parameter.edges())
        else:
            self.low, self.high = -0.5, parameter.size - 0.5

    def at(self, unit: npt.ArrayLike) -> Floats:
        """Axis positions of unit-scale positions."""
        u = np.asarray(unit, dtype=float)
        if not isinstance(self.parameter, Range):
            return np.asarray(u * self.parameter.size - 0.5)
        low, high = self.parameter.ends()
        raw = low + (high - low) * u
        return np.asarray(np.exp(raw) if self.parameter.log else raw)

    @property
    def levels(self) -> Floats:
        """Axis positions of the levels."""
        if isinstance(self.parameter, Range):
            return np.asarray(self.parameter.grid, dtype=float)
        return np.arange(self.parameter.size, dtype=float)

    @property
    def labels(self) -> list[str]:
        """Labels of the levels."""
        if isinstance(self.parameter, Categorical):
            return [shorten(v, 16) for v in self.parameter.labels]
        return [number(float(v)) for v in self.parameter.grid]

    def dress(
        self, ax: Axes, name: str, limits: tuple[float, float] | None = None, extra: Sequence[float] = ()
    ) -> None:
        """Scale, limits, ticks at the levels (and at ``extra``) and a label for the horizontal axis."""
        log = isinstance(self.parameter, Range) and self.parameter.log
        if log:
            ax.set_xscale("log")
        low, high = limits or (self.low, self.high)
        ax.set_xlim(low, high)
        levels, texts = self.levels, self.labels
        if isinstance(self.parameter, Range):
            new = [
                v for v in extra if low <= v <= high and not np.isclose(v, levels, rtol=1e-9, atol=0).any()
            ]
            levels, texts = np.array([*new, *levels]), [*(number(v) for v in new), *texts]
        slack = 1e-9 * (high - low)
        here = (levels >= low - slack) & (levels <= high + slack)  # a tick beyond would widen the limits
        levels, texts = levels[here], [text for text, seen in zip(texts, here, strict=True) if seen]
        span = np.log([low, high]) if log else np.array([low, high])
        share = ((np.log(levels) if log else levels) - span[0]) / (span[1] - span[0])
        shown = _fitting(share, texts)
        ax.set_xticks(levels[shown], [texts[i] for i in shown])
        ax.set_xticks([v for i, v in enumerate(levels) if i not in shown], [], minor=True)
        ax.set_xlabel(f"{shorten(name, 60)}{' (log scale)' if log else ''}")


def _fitting(share: Floats, texts: Sequence[str]) -> list[int]:
    """Ticks whose labels don't touch: first and last, and between them what fits in the order given."""
    # A letter is about 1 % of a report's width.
    wide = [0.012 * len(t) + 0.012 for t in texts]
    order = [0, len(texts) - 1, *range(1, len(texts) - 1)]
    shown: list[int] = []
    for i in order:
        if all(abs(share[i] - share[j]) >= (wide[i] + wide[j]) / 2 for j in shown):
            shown.append(i)
    return sorted(shown)


def line_mark(label: str, color: str = INK, **look: Any) -> Line2D:
    """A line in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"color": color, "label": label, **look})


def dot_mark(label: str, color: str, marker: str = "o", **look: Any) -> Line2D:
    """A marker in a legend."""
    return line_mark(label, color, marker=marker, linewidth=0, **look)


def area_mark(label: str, color: str | None = None, **look: Any) -> Patch:
    """An area in a legend."""
    from matplotlib.patches import Patch

    return Patch(color=color, label=label, **look)


def thinned(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Row numbers of at most a readable number of points, evenly spread over the table."""
    rows = np.flatnonzero(mask)
    if len(rows) > _POINTS:
        rows = rows[np.linspace(0, len(rows) - 1, _POINTS).astype(np.int64)]
    return np.asarray(rows, dtype=np.int64)


def spread(count: int) -> Floats:
    """Numbers in [0, 1) that look random and are the same every time: multiples of the golden ratio."""
    return np.asarray((np.arange(count) * 0.6180339887498949) % 1.0)
