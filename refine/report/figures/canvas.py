"""The canvas of figures: axes and panels, title and legend, files, labels that fit, dots, intervals, rows."""

from __future__ import annotations

import io
import re
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
from refine.utils.arrays import Bools, Floats, Ints
from refine.utils.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

Style = dict[str, Any]  # properties of marks and texts by matplotlib's names
DPI = 150

_MARGIN = 0.08  # inches between the edge of a figure and its content


def axes(ax: Axes | None, height: float) -> Axes:
    """``ax``, or the axes of a new figure, ``height`` inches high, outside pyplot.

    Raises:
        AnalysisError: ``ax`` is not an axes.
    """
    if ax is None:
        new_axes = _figure(height).add_subplot()
        # Notebooks show the last value of a cell by this method; a figure outside pyplot would show as text.
        new_axes._repr_png_ = partial(png, new_axes)  # type: ignore[attr-defined]
        return new_axes
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise AnalysisError(
            f"ax: takes the axes of one panel, for example plt.subplots()[1], got {reprlib.repr(ax)}; leave "
            "ax out for a new figure"
        )
    within(ax)
    return ax


class Panels(np.ndarray[Any, np.dtype[Any]]):
    """Axes of several panels: an array, shown by notebooks as a figure."""

    def _repr_png_(self) -> bytes | None:
        first: Any = self.flat[0] if self.size else None
        if hasattr(first, "get_figure"):
            return png(first)
        return None


def panels(
    rows: int, columns: int, height: float, sharey: bool | Literal["row", "col"] = "row", sharex: bool = True
) -> Panels:
    """Axes, (rows, columns), of a new figure ``height`` inches high."""
    grid: npt.NDArray[Any] = _figure(height).subplots(
        rows, columns, sharex=sharex, sharey=sharey, squeeze=False
    )
    return grid.view(Panels)


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


def save(ax: Axes | npt.NDArray[np.generic], path: str | Path) -> None:
    """Writes the figure of ``ax``, axes or an array of axes, by the ending of the name: .png, .svg or .pdf.

    Equal figures give equal bytes.

    Raises:
        AnalysisError: The name ends otherwise.
    """
    writers = {".png": png, ".svg": svg, ".pdf": pdf}
    path = Path(path)
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise AnalysisError(
            f"a figure is written as .png, .svg or .pdf, got {path.name!r}; "
            f"write {path.with_suffix('.pdf').name!r} for print"
        )
    write_whole(path, writer(ax))


def png(ax: Axes | npt.NDArray[np.generic]) -> bytes:
    """The figure of ``ax`` as PNG."""
    return _written(ax, format="png", metadata={"Software": None})


def svg(ax: Axes | npt.NDArray[np.generic]) -> bytes:
    """The figure of ``ax`` as SVG with text as text; single trials are an image inside."""
    return _written(ax, format="svg", metadata={"Date": None, "Creator": None})


def pdf(ax: Axes | npt.NDArray[np.generic]) -> bytes:
    """The figure of ``ax`` as PDF with embedded TrueType fonts, which journals ask for."""
    return _written(ax, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})


def _written(ax: Axes | npt.NDArray[Any], **options: Any) -> bytes:
    import matplotlib as mpl

    figure = (ax.flat[0] if isinstance(ax, np.ndarray) else ax).get_figure(root=True)
    assert figure is not None
    with as_drawn(figure), quiet():
        mpl.rcParams.update({"svg.hashsalt": "refine", "svg.fonttype": "none", "pdf.fonttype": 42})
        mpl.rcParams.update(dict.fromkeys(("figure.autolayout", "figure.constrained_layout.use"), False))
        dpi = mpl.rcParams["savefig.dpi"]
        if dpi == "figure":
            dpi = DPI
        file = io.BytesIO()
        with _laid_out(figure, dpi, options["format"]):
            figure.savefig(file, dpi=dpi, **options)
    return file.getvalue()


@contextmanager
def _laid_out(figure: Figure, dpi: float, kind: str) -> Iterator[None]:
    """Lays out a figure of this package for a PNG; else matplotlib draws the whole figure to lay it out."""
    engine = figure.get_layout_engine()
    if engine is None or figure not in MADE or kind != "png":
        yield
        return
    drawn_at = figure.dpi
    figure.dpi = dpi
    try:
        engine.execute(figure)
        figure.set_layout_engine(None)
        yield
    finally:
        figure.set_layout_engine(engine)
        figure.dpi = drawn_at


# Title and legend


def title(
    ax: Axes, text: str, marks: Sequence[Any] = (), note: str = "", columns: int = 4, lift: float = 0.0
) -> None:
    """A title at the left, a note at its right or below, and the legend below both.

    On a figure of this package they begin at the figure's left edge; on a user's axes, at the axes' left
    edge. ``lift`` is the distance to the axes in points, for texts in between.
    """
    from matplotlib import rcParams
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = ax.get_figure(root=True)
    assert figure is not None
    left_edge = 0.0
    inches = ax.get_window_extent().width / figure.dpi
    across = ax.transAxes
    if figure in MADE:
        left_edge = _MARGIN / figure.get_figwidth()
        inches = figure.get_figwidth() - 2 * _MARGIN
        across = blended_transform_factory(figure.transFigure, ax.transAxes)

    def above(pad: float) -> Any:
        return across + ScaledTranslation(0, pad / 72, figure.dpi_scale_trans)

    pad = lift + points(4)
    if marks:
        size = letters_of("legend.fontsize")
        for mark in marks:
            mark.set_label(fitted(str(mark.get_label()), inches - 2.6 * size / 72, size))
        place: Style = {"bbox_to_anchor": (left_edge, 1.0), "bbox_transform": above(lift + points(1))}
        place |= {"loc": "lower left", "borderaxespad": 0.2, "borderpad": 0.2}
        legend = legend_of(ax, marks, columns, inches, **place)
        legend.set_in_layout(False)
        pad += legend.get_window_extent().height / figure.dpi * 72 + 0.35 * size
    size = letters_of("axes.titlesize")
    small = points(8)
    bold = rcParams["axes.titleweight"] not in ("normal", "light", 400)
    head = ax.set_title(fitted(text, inches, size, bold=bold, cut_end=True), loc="left")
    if note:
        fits_beside = wide(text, size, bold) + wide(note, small) + 0.3 <= inches
        aside = ax.set_title(
            fitted(note, inches, small, cut_end=True), loc="right", fontsize=small, fontweight="normal"
        )
        aside.set(va="bottom", style="italic", color=tone().grey, transform=above(pad), x=1 - left_edge)
        if not fits_beside:
            aside.set(ha="left", x=left_edge)
            pad += 1.3 * small * (1 + aside.get_text().count("\n"))
    head.set(x=left_edge, transform=above(pad), va="bottom")
    label = ax.xaxis.label
    room = inches - 0.3
    if narrow():
        room = 0.75 * inches
    label.set_text(fitted(label.get_text(), room, letters_of("axes.labelsize"), lines=3))


def head(figure: Any, text: str) -> None:
    """A title above all panels of a figure, at the left edge."""
    size = letters_of("axes.titlesize")
    inches = figure.get_figwidth()
    shown = fitted(text, inches - 2 * _MARGIN, size, bold=True, cut_end=True)
    figure.suptitle(shown, fontsize=size, fontweight="bold", x=_MARGIN / inches, ha="left")


def legend_of(owner: Any, marks: Sequence[Any], columns: int, inches: float, **place: Any) -> Legend:
    """The legend of axes or of a figure, with up to ``columns`` columns within ``inches``."""
    place |= {"handles": list(marks), "handlelength": 1.6, "columnspacing": 1.4}
    for count in range(min(columns, len(marks)), 1, -1):
        legend = owner.legend(ncols=count, **place)
        if _HINTING * legend.get_window_extent().width / legend.get_figure(root=True).dpi <= inches:
            return legend
        legend.remove()
    return owner.legend(**place)


def letters_of(setting: str) -> float:
    """Font size of a matplotlib setting in points; the setting may be a word."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=rcParams[setting]).get_size_in_points())


_JOINTS = re.compile(r"[^ _\-./]*[ _\-./]+|[^ _\-./]+")  # parts of a name, each with the following separators


def shorten(text: str, limit: int = 40) -> str:
    """One line of at most ``limit`` letters without its middle, since names often differ at their ends."""
    line = " ".join(str(text).split())
    if len(line) <= limit:
        return line
    head = (limit - 1) * 3 // 5
    return f"{line[:head]}…{line[len(line) - (limit - 1 - head) :]}"


def clipped(text: str, limit: int = 40) -> str:
    """One line of at most ``limit`` letters; a longer text loses its end."""
    line = " ".join(str(text).split())
    if len(line) <= limit:
        return line
    return f"{line[: limit - 1].rstrip()}…"


def wrapped(text: str, width: int = 24, lines: int = 2, *, cut_end: bool = False) -> str:
    """A label on a few lines, broken between its parts.

    A text with more than ``lines`` lines, or a part longer than ``width`` letters, loses its middle, or with
    ``cut_end`` its end.
    """
    remaining = " ".join(str(text).split())
    finished: list[str] = []
    while len(remaining) > width and len(finished) < lines - 1:
        cut = 0
        for part in _JOINTS.finditer(remaining):
            if len(part[0].rstrip()) + part.start() > width:
                break
            cut = part.end()
        if not cut:  # the first part is too long
            break
        finished.append(remaining[:cut].rstrip())
        remaining = remaining[cut:].strip()
    if remaining and cut_end:
        finished.append(clipped(remaining, width))
    elif remaining:
        finished.append(shorten(remaining, width))
    return "\n".join(finished)


_FEWEST = 6  # letters in a line, even in a narrow room
_HINTING = 1.03  # letters are drawn up to this much wider than measured, at few dots per inch


def fitted(
    text: str,
    inches: float,
    size: float,
    *,
    lines: int = 2,
    bold: bool = False,
    cut_end: bool = False,
) -> str:
    """A text wrapped to the available room, and shortened if the lines are not enough.

    Args:
        text: The text; line breaks are kept.
        inches: Width of the longest line.
        size: Of the letters, in points.
        lines: Largest number of lines.
        bold: Whether the letters are bold.
        cut_end: True to cut the end of a long text instead of the middle.
    """
    if "\n" in text:
        parts = text.split("\n")
        return "\n".join(fitted(part, inches, size, bold=bold, cut_end=cut_end) for part in parts)
    room = inches / _HINTING
    width = wide(text, size, bold)
    if width <= room:
        return text
    letters = max(_FEWEST, int(len(text) * room / width))
    shown = wrapped(text, letters, lines, cut_end=cut_end)
    while letters > _FEWEST and wide(shown, size, bold) > room:
        letters -= 1
        shown = wrapped(text, letters, lines, cut_end=cut_end)
    return shown


def beside_rows(text: str) -> str:
    """A name next to the rows of a figure, on at most two lines."""
    return wrapped(text, min(26, int(4 * page_width())))


def fitting(centres: Sequence[float] | Floats, widths: Sequence[float], order: Iterable[int]) -> list[int]:
    """Numbers of labels that do not touch, by centres and widths in inches; earlier in ``order`` first."""
    shown: list[int] = []
    for i in order:
        if all(abs(centres[i] - centres[j]) >= (widths[i] + widths[j]) / 2 for j in shown):
            shown.append(i)
    return sorted(shown)


def short_ids(ids: Sequence[str]) -> list[str]:
    """The beginnings of ids: 6 letters, or enough to distinguish them."""
    for letters in range(6, max((len(id_) for id_ in ids), default=0)):
        if len({id_[:letters] for id_ in ids}) == len(set(ids)):
            return [id_[:letters] for id_ in ids]
    return list(ids)


def told_apart(texts: Sequence[str], limit: int) -> list[str]:
    """Labels of at most ``limit`` letters; common beginnings and ends go if labels would be equal."""
    short = [shorten(text, limit) for text in texts]
    if len(set(short)) == len(short) or len(set(texts)) < len(texts):
        return short
    head = _common(texts)
    tail = _common([text[head:][::-1] for text in texts])
    return [shorten(f"…{text[head : len(text) - tail]}{'…' * bool(tail)}", limit) for text in texts]


def _common(texts: Sequence[str]) -> int:
    """Length of the common beginning."""
    alike = (len(set(letters)) == 1 for letters in zip(*texts, strict=False))
    return sum(1 for _ in takewhile(bool, alike))


_POINTS = 1500  # largest number of single trials that are drawn


_KEPT_ALPHA = 0.14  # of the blue on the kept part


def line_mark(label: str, color: str | None = None, **style: Any) -> Line2D:
    """A line in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"color": color or tone().ink, "label": label, **style})


def dot_mark(label: str, color: str, marker: str = "o", **style: object) -> Line2D:
    """A marker in a legend."""
    return line_mark(label, color, marker=marker, linewidth=0, **style)


def area_mark(label: str, color: str | None = None, **style: Any) -> Patch:
    """An area in a legend."""
    from matplotlib.patches import Patch

    return Patch(color=color, label=label, **style)


def shade_kept(ax: Axes, low: float, high: float, *, rows: bool = False) -> None:
    """Shades the kept part of an axis between two visible edges.

    With ``rows``, the part lies on the vertical axis.
    """
    shade: Style = {"color": tone().blue, "alpha": _KEPT_ALPHA, "linewidth": 0, "zorder": 0}
    edge: Style = {"color": tone().blue, "linewidth": 1, "zorder": 0.5}
    if rows:
        ax.axhspan(low, high, **shade)
        ax.axhline(low, **edge)
        ax.axhline(high, **edge)
        return
    ax.axvspan(low, high, **shade)
    ax.axvline(low, **edge)
    ax.axvline(high, **edge)


def kept_mark(label: str) -> Patch:
    """The legend of :func:`shade_kept`."""
    return area_mark(label, facecolor=tone().towards_blue(_KEPT_ALPHA), edgecolor=tone().blue, linewidth=1)


def dots(ax: Axes, x: npt.ArrayLike, y: npt.ArrayLike, **style: object) -> None:
    """Single trials, as an image within SVG."""
    size = 6.5
    if np.size(x) > 100:
        size = 4.0
    options: Style = {"color": tone().grey, "alpha": 0.5, "markersize": size, "marker": "."} | style
    ax.plot(x, y, linewidth=0, markeredgewidth=0, rasterized=True, **options)


def interval(
    ax: Axes, low: float, high: float, row: float, color: str, width: float = 1.6, **style: Any
) -> None:
    """A horizontal interval, if both ends are finite."""
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [row, row], color=color, linewidth=width, solid_capstyle="butt", **style)


def named_rows(ax: Axes, names: Sequence[str]) -> None:
    """Rows with names, from the top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def beside(
    ax: Axes, row: float, text: str, color: str | None = None, x: float = 1.015, size: float = 8
) -> None:
    """A text at the right of a row, or at ``x`` in units of the axes' width."""
    place: Style = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": points(size)}
    ax.text(x, row, text, color=color or tone().grey, **place)


def percents(share: float, _: object = None) -> str:
    """A share as the text of a tick."""
    return f"{100 * share:.3g} %"


def thinned(mask: Bools) -> Ints:
    """Row numbers of at most 1,500 points, evenly spread over the table."""
    rows = np.flatnonzero(mask)
    if len(rows) > _POINTS:
        return rows[np.linspace(0, len(rows) - 1, _POINTS).astype(np.int64)]
    return rows


def spread(count: int) -> Floats:
    """Reproducible numbers in [0, 1) of random appearance: multiples of the golden ratio."""
    return np.asarray((np.arange(count) * 0.6180339887498949) % 1.0)
