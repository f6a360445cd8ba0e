"""What figures are drawn on and made of: axes and panels, title and legend, files; labels that fit; dots, intervals, rows."""

from __future__ import annotations

import io
import re
import reprlib
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from refine.errors import AnalysisError
from refine.report.figures.theme import (
    MADE,
    as_drawn,
    narrow,
    page_width,
    points,
    present,
    quiet,
    tone,
    wide,
    within,
)
from refine.utils.arrays import Floats
from refine.utils.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from refine.utils.arrays import Floats

DPI = 150

_MARGIN = 0.08  # inches between the edge of a figure and what stands there


def axes(ax: Axes | None, height: float) -> Axes:
    """``ax``, or the axes of a new figure of that height in inches, which pyplot knows nothing of.

    Raises AnalysisError: ``ax`` is no axes.
    """
    if ax is None:
        made = _figure(height).add_subplot()
        # Notebooks show what a cell ends with by this; a figure that pyplot knows nothing of they would show as text.
        made._repr_png_ = partial(png, made)  # type: ignore[attr-defined]
        return made
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise AnalysisError(
            f"ax: takes the axes of one panel, such as plt.subplots()[1], got {reprlib.repr(ax)}; leave it out "
            "for a new figure"
        )
    within(ax)
    return ax


class Panels(np.ndarray[Any, np.dtype[Any]]):
    """Axes of several panels: an array, which a notebook shows as the figure that they are."""

    def _repr_png_(self) -> bytes | None:
        first: Any = self.flat[0] if self.size else None
        return png(first) if hasattr(first, "get_figure") else None


def panels(
    rows: int, columns: int, height: float, sharey: bool | Literal["row", "col"] = "row", sharex: bool = True
) -> Panels:
    """(rows, columns) axes of a new figure of that height in inches."""
    made: npt.NDArray[Any] = _figure(height).subplots(
        rows, columns, sharex=sharex, sharey=sharey, squeeze=False
    )
    return made.view(Panels)


def _figure(height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    theme = present()
    figure = Figure(
        (theme.width, height * theme.size), layout=ConstrainedLayoutEngine(w_pad=_MARGIN, h_pad=0.06)
    )
    FigureCanvasAgg(figure)
    MADE[figure] = theme
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
    """The figure that ``ax`` is part of as SVG with letters that can be read; single trials are an image in it."""
    return _written(ax, format="svg", metadata={"Date": None, "Creator": None})


def _written(ax: Axes | npt.NDArray[Any], **options: Any) -> bytes:
    import matplotlib as mpl

    figure = (ax.flat[0] if isinstance(ax, np.ndarray) else ax).get_figure(root=True)
    assert figure is not None
    with as_drawn(figure), quiet():
        mpl.rcParams.update({"svg.hashsalt": "refine", "svg.fonttype": "none"})
        dpi = mpl.rcParams["savefig.dpi"]
        file = io.BytesIO()
        figure.savefig(file, dpi=DPI if dpi == "figure" else dpi, **options)
    return file.getvalue()


# Title and legend.


def title(
    ax: Axes, text: str, marks: Sequence[Any] = (), note: str = "", columns: int = 4, lift: float = 0.0
) -> None:
    """A title at the left, a note at its right or below it, and the legend below them.

    On a figure of this package all begin at its left edge; on axes of somebody else, at theirs. ``lift`` is in points,
    between the axes and all this, for what stands there.
    """
    from matplotlib import rcParams
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = ax.get_figure(root=True)
    assert figure is not None
    left, inches, across = 0.0, ax.get_window_extent().width / figure.dpi, ax.transAxes
    if figure in MADE:
        left, inches = _MARGIN / figure.get_figwidth(), figure.get_figwidth() - 2 * _MARGIN
        across = blended_transform_factory(figure.transFigure, ax.transAxes)

    def above(pad: float) -> Any:
        return across + ScaledTranslation(0, pad / 72, figure.dpi_scale_trans)

    pad = lift + points(4)
    if marks:
        size = letters_of("legend.fontsize")
        for mark in marks:
            mark.set_label(fitted(str(mark.get_label()), inches - 2.6 * size / 72, size))
        place = {
            "loc": "lower left",
            "bbox_to_anchor": (left, 1.0),
            "bbox_transform": above(lift + points(1)),
        }
        legend = legend_of(ax, marks, columns, inches, borderaxespad=0.2, borderpad=0.2, **place)
        legend.set_in_layout(False)
        pad += legend.get_window_extent().height / figure.dpi * 72 + 0.35 * size
    size, small = letters_of("axes.titlesize"), points(8)
    bold = rcParams["axes.titleweight"] not in ("normal", "light", 400)
    head = ax.set_title(fitted(text, inches, size, bold=bold, cut_end=True), loc="left")
    if note:
        beside = wide(text, size, bold) + wide(note, small) + 0.3 <= inches
        aside = ax.set_title(
            fitted(note, inches, small, cut_end=True), loc="right", fontsize=small, fontweight="normal"
        )
        aside.set(va="bottom", style="italic", color=tone().grey, transform=above(pad), x=1 - left)
        if not beside:
            aside.set(ha="left", x=left)
            pad += 1.3 * small * (1 + aside.get_text().count("\n"))
    head.set(x=left, transform=above(pad), va="bottom")
    label, room = ax.xaxis.label, 0.75 * inches if narrow() else inches - 0.3
    label.set_text(fitted(label.get_text(), room, letters_of("axes.labelsize"), lines=3))


def head(figure: Any, text: str) -> None:
    """A title above all panels of a figure, at its left edge."""
    size, inches = letters_of("axes.titlesize"), figure.get_figwidth()
    shown = fitted(text, inches - 2 * _MARGIN, size, bold=True, cut_end=True)
    figure.suptitle(shown, fontsize=size, fontweight="bold", x=_MARGIN / inches, ha="left")


def legend_of(owner: Any, marks: Sequence[Any], columns: int, inches: float, **place: Any) -> Legend:
    """The legend of axes or of a figure, in as many columns, at most that many, as are no wider than that."""
    for count in range(min(columns, len(marks)), 1, -1):
        legend = owner.legend(handles=list(marks), ncols=count, handlelength=1.6, columnspacing=1.4, **place)
        if _HINTING * legend.get_window_extent().width / legend.get_figure(root=True).dpi <= inches:
            return legend
        legend.remove()
    return owner.legend(handles=list(marks), handlelength=1.6, **place)


def letters_of(setting: str) -> float:
    """Points that a setting of matplotlib stands for, which may be a word."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=rcParams[setting]).get_size_in_points())


_JOINTS = re.compile(
    r"[^ _\-./]*[ _\-./]+|[^ _\-./]+"
)  # parts of a name, each with what joins it to the next


def shorten(text: str, most: int = 40) -> str:
    """One line of at most ``most`` letters; the middle goes, since names often differ at their ends."""
    line = " ".join(str(text).split())
    if len(line) <= most:
        return line
    head = (most - 1) * 3 // 5
    return f"{line[:head]}…{line[len(line) - (most - 1 - head) :]}"


def clipped(text: str, most: int = 40) -> str:
    """One line of at most ``most`` letters; the end of a longer text is cut."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def wrapped(text: str, width: int = 24, lines: int = 2, *, cut_end: bool = False) -> str:
    """A label on a few lines, broken where parts of it are joined.

    A text with more than ``lines`` lines, or a part longer than ``width`` letters, loses its middle, or with
    ``cut_end`` its end.
    """
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
    shortened = clipped if cut_end else shorten
    return "\n".join([*made, shortened(rest, width)] if rest else made)


_HINTING = 1.03  # letters are drawn up to this much wider than measured, at few dots per inch


def fitted(
    text: str,
    inches: float,
    size: float,
    *,
    lines: int = 2,
    bold: bool = False,
    least: int = 6,
    cut_end: bool = False,
) -> str:
    """A text wrapped to the room there is, and shortened if the lines are not enough.

    Args:
        text: Line breaks in it are kept.
        inches: Width of the longest line.
        size: Of the letters, in points.
        lines: Largest number of lines.
        bold: Whether the letters are bold.
        least: Letters that every line has, however narrow the room.
        cut_end: Whether a text that is too long loses its end instead of its middle.
    """
    if "\n" in text:
        parts = text.split("\n")
        return "\n".join(fitted(part, inches, size, bold=bold, cut_end=cut_end) for part in parts)
    room = inches / _HINTING
    width = wide(text, size, bold)
    if width <= room:
        return text
    letters = max(least, int(len(text) * room / width))
    shown = wrapped(text, letters, lines, cut_end=cut_end)
    while letters > least and wide(shown, size, bold) > room:
        letters -= 1
        shown = wrapped(text, letters, lines, cut_end=cut_end)
    return shown


def beside_rows(text: str, most: int = 26) -> str:
    """A name that fits beside the rows of a figure, on two lines at most."""
    return wrapped(text, min(most, int(4 * page_width())))


def fitting(centres: Sequence[float] | Floats, widths: Sequence[float], order: Iterable[int]) -> list[int]:
    """Numbers of labels, with centres and widths in inches, so that none touches another, the first in the order first."""
    shown: list[int] = []
    for i in order:
        if all(abs(centres[i] - centres[j]) >= (widths[i] + widths[j]) / 2 for j in shown):
            shown.append(i)
    return sorted(shown)


def short_ids(ids: Sequence[str]) -> list[str]:
    """The beginnings of ids, 6 letters or as many as tell them apart."""
    for letters in range(6, max((len(each) for each in ids), default=0)):
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
