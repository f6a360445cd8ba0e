"""What figures are drawn on: axes and panels, title and legend, files."""

from __future__ import annotations

import io
import reprlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from refine.errors import AnalysisError
from refine.report.figures.labels import fitted
from refine.report.figures.theme import MADE, as_drawn, narrow, points, present, quiet, tone, wide, within
from refine.utils.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

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
    rows: int, columns: int, height: float, sharey: bool | Literal["row"] = "row", sharex: bool = True
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
    head = ax.set_title(fitted(text, inches, size, bold=bold), loc="left")
    if note:
        beside = wide(text, size, bold) + wide(note, small) + 0.3 <= inches
        aside = ax.set_title(fitted(note, inches, small), loc="right", fontsize=small, fontweight="normal")
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
    shown = fitted(text, inches - 2 * _MARGIN, size, bold=True)
    figure.suptitle(shown, fontsize=size, fontweight="bold", x=_MARGIN / inches, ha="left")


def legend_of(owner: Any, marks: Sequence[Any], columns: int, inches: float, **place: Any) -> Legend:
    """The legend of axes or of a figure, in as many columns, at most that many, as are no wider than that."""
    for count in range(min(columns, len(marks)), 1, -1):
        legend = owner.legend(handles=list(marks), ncols=count, handlelength=1.6, columnspacing=1.4, **place)
        if legend.get_window_extent().width / legend.get_figure(root=True).dpi <= inches:
            return legend
        legend.remove()
    return owner.legend(handles=list(marks), handlelength=1.6, **place)


def letters_of(setting: str) -> float:
    """Points that a setting of matplotlib stands for, which may be a word."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=rcParams[setting]).get_size_in_points())
