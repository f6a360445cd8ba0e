"""How figures look: width, colours and letters. What the present matplotlib style says goes before what is ours."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from refine.errors import AnalysisError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Width = Literal["text", "column"]
Theme = Literal["light", "dark"]

WIDTHS: dict[str, float] = {"text": 7.2, "column": 3.4}
"""Inches: the width of a report's text, and that of one of two columns of a page."""

THEMES = ("light", "dark")

_SIZES = {"text": 9.0, "column": 8.0}  # points of most letters
_SMALLEST = 6.5  # points that can still be read in print


class Palette(NamedTuple):
    """Colours by what they are for. Series can be told apart with every kind of colour vision and in grey print.

    Attributes:
        blue: Most series.
        orange: The best, and medians over dots.
        amber: What is proposed or decided.
        green: Further series.
        pink: The same.
        sky: The same.
        ink: Letters and dots.
        grey: What stands back.
        light: Areas of all trials.
        pale: Bands and grids.
        paper: The ground.
        density: Colours of a density on the ground, from little to much.
    """

    blue: str
    orange: str
    amber: str
    green: str
    pink: str
    sky: str
    ink: str
    grey: str
    light: str
    pale: str
    paper: str
    density: tuple[str, ...]


# Okabe and Ito's colours; on a dark ground lighter ones of the same hues.
_LIGHT = Palette(
    blue="#0072B2",
    orange="#D55E00",
    amber="#E69F00",
    green="#009E73",
    pink="#CC79A7",
    sky="#56B4E9",
    ink="#222222",
    grey="#7a7a7a",
    light="#c8c8c8",
    pale="#ececec",
    paper="white",
    density=(
        "#f7fbff",
        "#deebf7",
        "#c6dbef",
        "#9ecae1",
        "#6baed6",
        "#4292c6",
        "#2171b5",
        "#08519c",
        "#08306b",
    ),
)
_DARK = Palette(
    blue="#56b4e9",
    orange="#ff8a5c",
    amber="#f0b429",
    green="#33c79c",
    pink="#e298c5",
    sky="#b5dcf7",
    ink="#e6e8eb",
    grey="#9aa3ae",
    light="#4a525d",
    pale="#272d35",
    paper="#14171b",
    density=("#182029", "#1b2a38", "#1d3648", "#20455d", "#255673", "#2b688a", "#327aa2", "#3a8dba"),
)
_SERIES = ("blue", "orange", "amber", "green", "pink", "sky")

# Sizes are of letters of 9 points; they are scaled with ``font.size``.
_POINTS = {
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
}
_VISUAL: tuple[str, ...] = (
    "axes",
    "errorbar",
    "figure.",
    "font.",
    "grid.",
    "hatch.",
    "image.",
    "legend.",
    "lines.",
    "markers.",
    "mathtext.",
)
_VISUAL += (
    "patch.",
    "path.",
    "savefig.",
    "scatter.",
    "svg.",
    "text.",
    "xaxis.",
    "xtick.",
    "yaxis.",
    "ytick.",
)
_LOOK: dict[str, Any] = {
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True)
class Look:
    """How figures look at present.

    Attributes:
        width: Of a new figure, in inches.
        size: Of letters, relative to the 9 points that sizes in this package are of.
        stretch: Width of the font's letters relative to those of matplotlib's own font.
        palette: Colours.
        theme: What was asked for; ``None`` for colours of the present style.
        settings: What of matplotlib's settings differs from its defaults.
    """

    width: float
    size: float
    stretch: float
    palette: Palette
    theme: Theme | None
    settings: Mapping[str, Any]


_PRESENT: ContextVar[Look | None] = ContextVar("refine_look", default=None)
_MADE: WeakKeyDictionary[Figure, Look] = WeakKeyDictionary()


@contextmanager
def look(width: Width = "text", theme: Theme | None = None, *, plain: bool = False) -> Iterator[Look]:
    """Figures that are drawn within are as wide and have colours as asked for; settings come back afterwards.

    Fonts, sizes of letters, lines, and without ``theme`` colours are those of matplotlib's present style, of
    ``plt.style.use(...)`` or ``matplotlibrc``, wherever it differs from matplotlib's defaults; the rest is of the
    reports' look.

    Args:
        width: ``"text"``, 7.2 inches, or ``"column"``, 3.4 inches, for one of two columns of a page.
        theme: ``"light"`` or ``"dark"``; default the colours of the present style.
        plain: Whether nothing of the present style counts, as in reports, which are the same for everybody.

    Raises:
        AnalysisError: Another width or theme.
    """
    import matplotlib as mpl

    _check("width", width, tuple(WIDTHS))
    if theme is not None:
        _check("theme", theme, THEMES, " or None, for matplotlib's present style")
    given = {} if plain else _changed()
    with mpl.rc_context():
        mpl.rcdefaults()
        found = _settle(given, width, theme)
        token = _PRESENT.set(found)
        try:
            yield found
        finally:
            _PRESENT.reset(token)


def _changed() -> dict[str, Any]:
    """Settings of what figures look like that differ from matplotlib's defaults."""
    import matplotlib as mpl

    # By dict, since asking RcParams for its backend loads one.
    now = dict.items(mpl.rcParams)
    return {k: v for k, v in now if k.startswith(_VISUAL) and v != mpl.rcParamsDefault[k]}


def _check(name: str, value: object, known: tuple[str, ...], more: str = "") -> None:
    if not isinstance(value, str) or value not in known:
        names = " or ".join(repr(k) for k in known)
        hint = f"; {did_you_mean(value, known)}" if isinstance(value, str) else ""
        raise AnalysisError(f"{name}: takes {names}{more}, got {value!r}{hint}")


def _settle(given: Mapping[str, Any], width: Width, theme: Theme | None) -> Look:
    """Sets matplotlib's settings and says what they mean."""
    import matplotlib as mpl

    colours = {k for k in given if "color" in k or k in ("axes.prop_cycle", "image.cmap")}
    kept = {k: v for k, v in given.items() if theme is None or k not in colours}
    # Labels are people's own text: a dollar sign in them is no formula.
    fixed = {"text.parse_math": False, "text.usetex": False}
    mpl.rcParams.update({"font.size": _SIZES[width]} | kept | fixed)
    size = float(mpl.rcParams["font.size"]) / 9.0
    palette = (_LIGHT if theme == "light" else _DARK) if theme else _of_style(kept)
    ours = {key: points_of(value, size) for key, value in _POINTS.items()} | _LOOK | _inked(palette)
    if "axes.facecolor" in kept:  # the ground of axes only
        del ours["figure.facecolor"]
    mpl.rcParams.update({key: value for key, value in ours.items() if key not in kept})
    settings = _changed()
    stretch = _stretch() / _DEJAVU if any(k.startswith("font.") for k in kept) else 1.0
    return Look(WIDTHS[width], size, stretch, palette, theme, settings)


def _inked(palette: Palette) -> dict[str, Any]:
    return {
        "axes.edgecolor": palette.grey,
        "axes.labelcolor": palette.ink,
        "axes.facecolor": palette.paper,
        "text.color": palette.ink,
        "xtick.color": palette.ink,
        "ytick.color": palette.ink,
        "grid.color": palette.pale,
        "figure.facecolor": palette.paper,
        "savefig.facecolor": "auto",
        "legend.facecolor": palette.paper,
    }


def _of_style(kept: Mapping[str, Any]) -> Palette:
    """Colours of the present style, and ours where it leaves them open."""
    from matplotlib.colors import to_rgb

    ground = next((kept[k] for k in ("axes.facecolor", "figure.facecolor") if _seen(kept.get(k))), "white")
    dark = _lightness(ground) < 0.4
    base = _DARK if dark else _LIGHT
    touched = {"axes.facecolor", "figure.facecolor", "text.color", "axes.prop_cycle"} & set(kept)
    if not touched:
        return base
    paper = ground if _seen(kept.get("axes.facecolor")) or _seen(kept.get("figure.facecolor")) else base.paper
    ink = kept.get("text.color", base.ink)
    cycle = [c for c in _cycle(kept) if abs(_lightness(c) - _lightness(paper)) > 0.1]
    spare = [c for c in (getattr(base, name) for name in _SERIES) if to_rgb(c) not in map(to_rgb, cycle)]
    series = dict(zip(_SERIES, [*cycle, *spare], strict=False))
    shades = tuple(
        _mix(paper, series["blue"], share) for share in (0.06, 0.14, 0.24, 0.36, 0.5, 0.64, 0.78, 0.92)
    )
    return Palette(
        **series,
        ink=ink,
        grey=_mix(paper, ink, 0.6),
        light=_mix(paper, ink, 0.25),
        pale=_mix(paper, ink, 0.086),
        paper=paper,
        density=shades if "axes.prop_cycle" in kept or paper != base.paper else base.density,
    )


def _seen(colour: Any) -> bool:
    """Whether a setting names a colour that covers what is below."""
    from matplotlib.colors import is_color_like, to_rgba

    return is_color_like(colour) and to_rgba(colour)[3] > 0.5


def _cycle(kept: Mapping[str, Any]) -> list[Any]:
    cycle = kept.get("axes.prop_cycle")
    found = [] if cycle is None else cycle.by_key().get("color", [])
    return list(dict.fromkeys(found))[: len(_SERIES)]


def _lightness(colour: Any) -> float:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.3 * red + 0.59 * green + 0.11 * blue


def _mix(a: Any, b: Any, share: float) -> str:
    from matplotlib.colors import to_hex, to_rgb

    return str(to_hex([x + share * (y - x) for x, y in zip(to_rgb(a), to_rgb(b), strict=True)]))


@contextmanager
def style() -> Iterator[None]:
    """The look of what :func:`look` asked for around it, else of the present style."""
    if _PRESENT.get() is not None:
        yield
        return
    with look():
        yield


def present() -> Look:
    """The look within :func:`style`; outside, that of reports."""
    return _PRESENT.get() or _REPORTS


_REPORTS = Look(WIDTHS["text"], 1.0, 1.0, _LIGHT, "light", {})


def tone() -> Palette:
    """Colours of the present look."""
    return present().palette


def page_width() -> float:
    """Width of a new figure in inches that letters of 9 points would need for as much text."""
    found = present()
    return found.width / found.size / found.stretch


def narrow() -> bool:
    """Whether figures have room for half as much text as usual: in a column, or with large letters."""
    return page_width() < 5.5


def points(size: float) -> float:
    """Points of letters that have ``size`` where most have 9."""
    return points_of(size, present().size)


def points_of(size: float, scale: float) -> float:
    """The same at a scale: never smaller than can be read, unless all letters are."""
    return max(size * scale, min(_SMALLEST, 9.0 * scale))


def remember(figure: Figure) -> None:
    """Keeps how a new figure looks, for when it is written."""
    _MADE[figure] = present()


def within(ax: Axes, beside: float = 1.2) -> None:
    """Until the end of :func:`style`, as much room as these axes have, with ``beside`` inches around them."""
    found, figure = _PRESENT.get(), ax.get_figure(root=True)
    if found is not None and figure is not None:
        inches = min(ax.get_window_extent().width / figure.dpi + beside, figure.get_figwidth())
        _PRESENT.set(replace(found, width=inches))


def is_ours(figure: Figure) -> bool:
    """Whether a figure was made by this package."""
    return figure in _MADE


@contextmanager
def as_drawn(figure: Figure) -> Iterator[None]:
    """Matplotlib's settings as they were when a figure was drawn; the present ones for a figure of somebody else."""
    import matplotlib as mpl

    known = _MADE.get(figure)
    with mpl.rc_context():
        if known is not None:
            mpl.rcdefaults()
            mpl.rcParams.update(known.settings)
        yield


_LETTERS = "abcdefghijklmnopqrstuvwxyz_ 0123456789"
_DEJAVU = 21.826  # ems of these, in matplotlib's own font


def _stretch() -> float:
    return sum(_advance(letter, False) for letter in _LETTERS)


def wide(text: str, size: float, bold: bool = False) -> float:
    """Inches of one line of text in the present font.

    Args:
        text: The line.
        size: Points of its letters, as they are drawn.
        bold: Whether it is bold.
    """
    return sum(_advance(letter, bold) for letter in text) * size / 72


def _advance(letter: str, bold: bool) -> float:
    """Ems that a letter takes."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties

    family = tuple(mpl.rcParams["font.family"])
    generic = tuple(tuple(mpl.rcParams.get(f"font.{name}", ())) for name in family)
    properties = FontProperties(family=list(family), weight="bold" if bold else mpl.rcParams["font.weight"])
    return _glyph(letter, _font_file(family, generic, str(properties.get_weight())))


@lru_cache(maxsize=64)
def _font_file(family: tuple[str, ...], generic: tuple[tuple[str, ...], ...], weight: str) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    del generic  # what a family's name stands for, which findfont looks up
    return str(findfont(FontProperties(family=list(family), weight=weight)))


@lru_cache(maxsize=4096)
def _glyph(letter: str, path: str) -> float:
    from matplotlib.font_manager import get_font

    font = get_font(path)
    code = ord(letter)
    if not font.get_char_index(code):
        return 1.0  # drawn by another font, or as a box
    font.set_size(100, 72)
    return float(font.load_char(code).linearHoriAdvance) / 65536 / 100
