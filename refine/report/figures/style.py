"""What all figures share: colours, one look, axes that fit a report. Loads matplotlib on first use."""

from __future__ import annotations

import io
import re
import reprlib
import warnings
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from refine.errors import AnalysisError
from refine.report.figures.look import (
    as_drawn,
    is_ours,
    narrow,
    page_width,
    points,
    present,
    remember,
    tone,
    wide,
    within,
)
from refine.space.categorical import Categorical
from refine.space.parameters import Parameter, Range
from refine.utils.arrays import Floats
from refine.utils.files import write_whole
from refine.utils.format import number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch


DPI = 150

_POINTS = 1500  # more single trials than this only make ink
_MARGIN = 0.08  # inches between the edge of a figure and what stands there
_JOINTS = re.compile(
    r"[^ _\-./]*[ _\-./]+|[^ _\-./]+"
)  # parts of a name, each with what joins it to the next


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
        within(ax)
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


def panels(
    rows: int, columns: int, height: float, sharey: bool | Literal["row"] = "row", sharex: bool = True
) -> Panels:
    """(rows, columns) axes of a new figure.

    Args:
        rows: How many.
        columns: How many.
        height: Of the figure, in inches.
        sharey: Whether all have one vertical axis, or those of a row.
        sharex: Whether all have one horizontal axis.
    """
    found: npt.NDArray[Any] = _figure(height).subplots(
        rows, columns, sharex=sharex, sharey=sharey, squeeze=False
    )
    return found.view(Panels)


def _figure(height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=_MARGIN, h_pad=0.06)
    found = present()
    figure = Figure(figsize=(found.width, height * found.size), layout=layout)
    FigureCanvasAgg(figure)
    remember(figure)
    return figure


def save(ax: Axes | npt.NDArray[Any], path: Path) -> None:
    """Writes the figure that ``ax`` is part of, or an array of axes is, as SVG or PNG by the name's ending.

    Equal figures give equal bytes.
    """
    write_whole(path, svg(ax) if path.suffix == ".svg" else png(ax))


def png(ax: Axes | npt.NDArray[Any]) -> bytes:
    """The figure that ``ax`` is part of as PNG."""
    return _written(ax, format="png", metadata={"Software": None})


def svg(ax: Axes | npt.NDArray[Any]) -> bytes:
    """The figure that ``ax`` is part of as SVG with letters that can be read; single trials are a picture in it."""
    return _written(ax, format="svg", metadata={"Date": None, "Creator": None})


def _written(ax: Axes | npt.NDArray[Any], **options: Any) -> bytes:
    import matplotlib as mpl

    figure = (ax.flat[0] if isinstance(ax, np.ndarray) else ax).get_figure(root=True)
    assert figure is not None
    with as_drawn(figure), warnings.catch_warnings():
        # A label may hold letters that the font lacks; a box in their place is no reason to fail a report.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        mpl.rcParams.update({"svg.hashsalt": "refine", "svg.fonttype": "none"})
        dpi = mpl.rcParams["savefig.dpi"]
        found = io.BytesIO()
        figure.savefig(found, dpi=DPI if dpi == "figure" else dpi, **options)
    return found.getvalue()


def title(
    ax: Axes, text: str, legend: Sequence[Any] = (), note: str = "", columns: int = 4, lift: float = 0.0
) -> None:
    """A title at the left, a note at its right or below it, and the legend below them.

    On a figure of this package all begin at its left edge; on axes of somebody else, at theirs.

    Args:
        ax: The axes.
        text: The title, on up to two lines; its middle goes where it is too long.
        legend: Handles of the legend.
        note: What must be said beside the title.
        columns: Of the legend, at most.
        lift: Points between the axes and all this, for what stands there.
    """
    from matplotlib import rcParams
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = ax.get_figure(root=True)
    assert figure is not None
    ours = is_ours(figure)
    left = _MARGIN / figure.get_figwidth() if ours else 0.0
    inches = figure.get_figwidth() - 2 * _MARGIN if ours else ax.get_window_extent().width / figure.dpi
    across = blended_transform_factory(figure.transFigure, ax.transAxes) if ours else ax.transAxes

    def at(pad: float) -> Any:
        return across + ScaledTranslation(0, pad / 72, figure.dpi_scale_trans)

    pad = lift + points(4)
    if legend:
        pad += _legend(ax, legend, columns, inches, (left, at(lift + points(1))))
    size, small = letters_of("axes.titlesize"), points(8)
    bold = rcParams["axes.titleweight"] not in ("normal", "light", 400)
    head = ax.set_title(fitted(text, inches, size, bold=bold), loc="left")
    if note:
        beside = wide(text, size, bold) + wide(note, small) + 0.3 <= inches
        said = ax.set_title(fitted(note, inches, small), loc="right", fontsize=small, fontweight="normal")
        said.set(
            va="bottom", style="italic", color=tone().grey, transform=at(pad), x=1 - left if ours else 1.0
        )
        if not beside:
            said.set(ha="left", x=left)
            pad += 1.3 * small * (1 + said.get_text().count("\n"))
    head.set(x=left, transform=at(pad), va="bottom")
    label = ax.xaxis.label
    label.set_text(
        fitted(
            label.get_text(),
            0.75 * inches if narrow() else inches - 0.3,
            letters_of("axes.labelsize"),
            lines=3,
        )
    )


def head(figure: Any, text: str) -> None:
    """A title above all panels of a figure, at its left edge."""
    size = letters_of("axes.titlesize")
    shown = fitted(text, figure.get_figwidth() - 2 * _MARGIN, size, bold=True)
    place: dict[str, Any] = {"x": _MARGIN / figure.get_figwidth(), "ha": "left"}
    figure.suptitle(shown, fontsize=size, fontweight="bold", **place)


def _legend(ax: Axes, handles: Sequence[Any], columns: int, inches: float, place: tuple[float, Any]) -> float:
    """Draws it above the axes; returns its height in points."""
    size = letters_of("legend.fontsize")
    for mark in handles:
        mark.set_label(fitted(str(mark.get_label()), inches - 2.6 * size / 72, size))
    x, transform = place
    found = ax.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(x, 1.0),
        bbox_transform=transform,
        borderaxespad=0.2,
        borderpad=0.2,
        ncols=legend_columns([str(mark.get_label()) for mark in handles], columns, inches),
        handlelength=1.6,
        columnspacing=1.4,
    )
    found.set_in_layout(False)
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(found.get_window_extent().height / figure.dpi * 72) + 0.35 * size


def legend_columns(labels: Sequence[str], most: int, inches: float) -> int:
    """How many columns of a legend, which is filled column by column, are no wider than that."""
    if not labels:
        return 1
    size = letters_of("legend.fontsize")
    em = size / 72
    widths = [max(wide(line, size) for line in text.split("\n")) for text in labels]
    for columns in range(min(most, len(labels)), 1, -1):
        parts = np.array_split(widths, columns)
        if (
            sum(float(part.max()) + 2.4 * em for part in parts) + 1.4 * em * (columns - 1) + 0.6 * em
            <= inches
        ):
            return columns
    return 1


def letters_of(setting: str) -> float:
    """Points that a setting of matplotlib stands for, which may be a word."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=rcParams[setting]).get_size_in_points())


def fitted(
    text: str, inches: float, size: float, *, lines: int = 2, bold: bool = False, least: int = 6
) -> str:
    """A text on up to so many lines, each as wide as there is room; its middle goes where that is not enough.

    Args:
        text: The text; line breaks in it stay.
        inches: Room for a line.
        size: Points of the letters.
        lines: How many, at most.
        bold: Whether they are bold.
        least: Letters that a line has, whatever room there is.
    """
    if "\n" in text:
        return "\n".join(fitted(part, inches, size, bold=bold) for part in text.split("\n"))
    whole = wide(text, size, bold)
    if whole <= inches:
        return text
    letters = max(least, int(len(text) * inches / whole))
    found = wrapped(text, letters, lines)
    while letters > least and max(wide(line, size, bold) for line in found.split("\n")) > inches:
        letters -= 1
        found = wrapped(text, letters, lines)
    return found


def label_letters(most: int) -> int:
    """How many letters of a name fit beside the rows of a figure, on one line."""
    return min(most, int(0.3 * page_width() / 0.075))


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


def wrapped(text: str, width: int = 24, lines: int = 2) -> str:
    """A label on a few lines, which end where parts of it are joined; a part that is too long loses its middle."""
    rest = " ".join(str(text).split())
    made: list[str] = []
    while len(rest) > width and len(made) < lines - 1:
        cut = 0
        for part in _JOINTS.finditer(rest):
            if len(part[0].rstrip()) + part.start() > width:
                break
            cut = part.end()
        if not cut:  # its first part alone is too long
            break
        made.append(rest[:cut].rstrip())
        rest = rest[cut:].strip()
    return "\n".join([*made, shorten(rest, width)] if rest else made)


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
    # A letter is about 1.2 % of a report's width.
    letter = 0.012 * 7.2 / page_width()
    wide = [letter * len(t) + letter for t in texts]
    order = [0, len(texts) - 1, *range(1, len(texts) - 1)]
    shown: list[int] = []
    for i in order:
        if all(abs(share[i] - share[j]) >= (wide[i] + wide[j]) / 2 for j in shown):
            shown.append(i)
    return sorted(shown)


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


def shades() -> Any:
    """Colours of a density, from little to much."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("density", list(tone().density))


def thinned(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Row numbers of at most a readable number of points, evenly spread over the table."""
    rows = np.flatnonzero(mask)
    if len(rows) > _POINTS:
        rows = rows[np.linspace(0, len(rows) - 1, _POINTS).astype(np.int64)]
    return np.asarray(rows, dtype=np.int64)


def spread(count: int) -> Floats:
    """Numbers in [0, 1) that look random and are the same every time: multiples of the golden ratio."""
    return np.asarray((np.arange(count) * 0.6180339887498949) % 1.0)
