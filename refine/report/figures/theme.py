"""The theme of figures: width, colours and letters. What the present matplotlib style says goes before what is ours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from refine.errors import AnalysisError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")
Width = Literal["text", "column"]
ThemeName = Literal["light", "dark"]

WIDTHS = {"text": 7.2, "column": 3.4}  # inches of a report's text, and of one of two columns of a page
_SIZES = {"text": 9.0, "column": 8.0}  # points of most letters
_SMALLEST = 6.5  # points that can still be read in print


class Palette(NamedTuple):
    """Colours by what they are for; series can be told apart with every kind of colour vision and in grey print."""

    blue: str  # most series
    orange: str  # the best, and medians over dots
    amber: str  # what is proposed or decided
    green: str  # further series
    pink: str
    sky: str
    ink: str  # letters and dots
    grey: str  # what stands back
    light: str  # areas of all trials
    pale: str  # bands and grids
    paper: str  # the ground

    def towards_blue(self, share: float) -> str:
        """The ground, and so much of the blue."""
        return _mix(self.paper, self.blue, share)


# Okabe and Ito's colours; on a dark ground lighter ones of the same hues.
_LIGHT = Palette(
    *("#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#222222", "#7a7a7a", "#c8c8c8", "#ececec", "white"),
)
_DARK = Palette(
    *("#56b4e9", "#ff8a5c", "#f0b429", "#33c79c", "#e298c5", "#b5dcf7"),
    *("#e6e8eb", "#9aa3ae", "#4a525d", "#272d35", "#14171b"),
)

# Sizes are of letters of 9 points; they are scaled with ``font.size``.
_POINTS = dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8.5)
_POINTS |= {"axes.titlesize": 10.0, "axes.labelsize": 9.0}
_VISUAL = re.compile(  # settings of what figures look like
    r"axes|errorbar|(figure|font|grid|hatch|image|legend|lines|markers|mathtext|patch|path|savefig|scatter|svg|"
    r"text|[xy]axis|[xy]tick)\."
)
_OURS: dict[str, Any] = dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False)
_OURS |= {"axes.titleweight": "bold", "axes.axisbelow": True, "grid.linewidth": 0.8, "hatch.linewidth": 0.6}


class Theme(NamedTuple):
    """What figures look like at present."""

    width: float  # of a new figure, in inches
    size: float  # of letters, relative to the 9 points that sizes in this package are of
    stretch: float  # width of the font's letters relative to those of matplotlib's own font
    palette: Palette
    settings: Mapping[str, Any]  # what of matplotlib's settings differs from its defaults


_REPORTS = Theme(WIDTHS["text"], 1.0, 1.0, _LIGHT, {})
_PRESENT: ContextVar[Theme | None] = ContextVar("refine_theme", default=None)
MADE: WeakKeyDictionary[Figure, Theme] = WeakKeyDictionary()  # ours, and what each was drawn in


@contextmanager
def themed(width: Width = "text", theme: ThemeName | None = None, *, plain: bool = False) -> Iterator[None]:
    """Figures that are drawn within are as wide and have colours as asked for; settings come back afterwards.

    ``"text"`` is 7.2 inches wide, ``"column"`` 3.4 inches, for one of two columns of a page. Fonts, sizes of letters, lines,
    and without ``theme``, ``"light"`` or ``"dark"``, colours are those of matplotlib's present style, of ``plt.style.use(...)``
    or ``matplotlibrc``, wherever it differs from matplotlib's defaults; the rest is as in reports. If ``plain``, nothing of the
    present style counts, as in reports, which are the same for everybody.

    Raises:
        AnalysisError: Another width or theme.
    """
    import matplotlib as mpl

    _check("width", width, tuple(WIDTHS))
    if theme is not None:
        _check("theme", theme, ("light", "dark"), " or None, for matplotlib's present style")
    given = {} if plain else _changed()
    with mpl.rc_context():
        mpl.rcdefaults()
        token = _PRESENT.set(_settle(given, width, theme))
        try:
            yield
        finally:
            _PRESENT.reset(token)


def _changed() -> dict[str, Any]:
    """Settings of what figures look like that differ from matplotlib's defaults."""
    import matplotlib as mpl

    # By dict, since asking RcParams for its backend loads one.
    now = dict.items(mpl.rcParams)
    return {k: v for k, v in now if _VISUAL.match(k) and v != mpl.rcParamsDefault[k]}


def _check(name: str, value: object, known: tuple[str, ...], more: str = "") -> None:
    if not isinstance(value, str) or value not in known:
        names = " or ".join(repr(k) for k in known)
        hint = f"; {did_you_mean(value, known)}" if isinstance(value, str) else ""
        raise AnalysisError(f"{name}: takes {names}{more}, got {value!r}{hint}")


def _settle(given: Mapping[str, Any], width: Width, theme: ThemeName | None) -> Theme:
    """Sets matplotlib's settings and says what they mean."""
    import matplotlib as mpl

    colours = {k for k in given if "color" in k or k in ("axes.prop_cycle", "image.cmap")}
    kept = {k: v for k, v in given.items() if theme is None or k not in colours}
    # Labels are people's own text: a dollar sign in them is no formula.
    fixed = {"text.parse_math": False, "text.usetex": False}
    mpl.rcParams.update({"font.size": _SIZES[width]} | kept | fixed)
    size = float(mpl.rcParams["font.size"]) / 9.0
    palette = (_LIGHT if theme == "light" else _DARK) if theme else _of_style(kept)
    ours = {key: points(value, size) for key, value in _POINTS.items()} | _OURS | _inked(palette)
    if "axes.facecolor" in kept:  # the ground of axes only
        del ours["figure.facecolor"]
    mpl.rcParams.update({key: value for key, value in ours.items() if key not in kept})
    stretch = wide(_LETTERS, 72) / _DEJAVU if any(k.startswith("font.") for k in kept) else 1.0
    return Theme(WIDTHS[width], size, stretch, palette, _changed())


def _inked(palette: Palette) -> dict[str, Any]:
    inked = dict.fromkeys(("axes.labelcolor", "text.color", "xtick.color", "ytick.color"), palette.ink)
    grounds = dict.fromkeys(("axes.facecolor", "figure.facecolor", "legend.facecolor"), palette.paper)
    rest = {"axes.edgecolor": palette.grey, "grid.color": palette.pale, "savefig.facecolor": "auto"}
    return inked | grounds | rest


def _of_style(kept: Mapping[str, Any]) -> Palette:
    """Colours of the present style, and ours where it leaves them open."""
    from matplotlib.colors import to_rgb, to_rgba

    faces = [kept.get(k, "none") for k in ("axes.facecolor", "figure.facecolor")]
    grounds = [face for face in faces if to_rgba(face)[3] > 0.5]  # that cover what is below
    base = _DARK if grounds and lightness(grounds[0]) < 0.4 else _LIGHT
    if not kept.keys() & {"axes.facecolor", "figure.facecolor", "text.color", "axes.prop_cycle"}:
        return base
    paper, ink = grounds[0] if grounds else base.paper, kept.get("text.color", base.ink)
    colours = kept["axes.prop_cycle"].by_key().get("color", []) if "axes.prop_cycle" in kept else []
    cycle = [c for c in dict.fromkeys(colours) if abs(lightness(c) - lightness(paper)) > 0.1]
    spare = [c for c in base[:6] if to_rgb(c) not in map(to_rgb, cycle)]
    grey, light, pale = (_mix(paper, ink, share) for share in (0.6, 0.25, 0.086))
    series = dict(zip(Palette._fields, [*cycle, *spare][:6], strict=False))
    return Palette(**series, ink=ink, grey=grey, light=light, pale=pale, paper=paper)


def lightness(colour: Any) -> float:
    """From 0, black, to 1, white."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.3 * red + 0.59 * green + 0.11 * blue


def _mix(a: Any, b: Any, share: float) -> str:
    from matplotlib.colors import to_hex, to_rgb

    return str(to_hex([x + share * (y - x) for x, y in zip(to_rgb(a), to_rgb(b), strict=True)]))


def drawing(draw: Callable[P, R]) -> Callable[P, R]:
    """A function that draws, in what :func:`themed` asks for around it, else in the present style."""

    @wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> R:
        theme = _PRESENT.get()
        if theme is None:
            with themed():
                return draw(*args, **options)
        token = _PRESENT.set(theme)  # `within` changes the width for this figure alone
        try:
            return draw(*args, **options)
        finally:
            _PRESENT.reset(token)

    return drawn


def present() -> Theme:
    """The theme within :func:`themed`; outside, that of reports."""
    return _PRESENT.get() or _REPORTS


def tone() -> Palette:
    """Colours of the present theme."""
    return present().palette


def shades() -> Any:
    """Colours of a density, from little to much."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [tone().towards_blue(share) for share in (0.06, 0.92)]
    return LinearSegmentedColormap.from_list("density", ends)


def page_width() -> float:
    """Width of a new figure in inches that letters of 9 points would need for as much text."""
    theme = present()
    return theme.width / theme.size / theme.stretch


def narrow() -> bool:
    """Whether figures have room for half as much text as usual: in a column, or with large letters."""
    return page_width() < 5.5


def points(size: float, scale: float | None = None) -> float:
    """Points of letters that have ``size`` where most have 9: never smaller than can be read, unless all letters are."""
    scale = present().size if scale is None else scale
    return max(size * scale, min(_SMALLEST, 9.0 * scale))


def within(ax: Axes, beside: float = 1.2) -> None:
    """Until the end of the figure, as much room as these axes have, with ``beside`` inches around them."""
    theme, figure = _PRESENT.get(), ax.get_figure(root=True)
    if theme is not None and figure is not None:
        inches = min(ax.get_window_extent().width / figure.dpi + beside, figure.get_figwidth())
        _PRESENT.set(theme._replace(width=inches))


@contextmanager
def as_drawn(figure: Figure) -> Iterator[None]:
    """Matplotlib's settings as they were when a figure was drawn; the present ones for a figure of somebody else."""
    import matplotlib as mpl

    with mpl.rc_context():
        if figure in MADE:
            mpl.rcdefaults()
            mpl.rcParams.update(MADE[figure].settings)
        yield


_LETTERS = "abcdefghijklmnopqrstuvwxyz_ 0123456789"
_DEJAVU = 21.826  # ems of these, in matplotlib's own font


def wide(text: str, size: float, bold: bool = False) -> float:
    """Inches of the longest line of a text in the present font, its letters ``size`` points as drawn."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else mpl.rcParams["font.weight"])
    with quiet():
        sizes = [text_to_path.get_text_width_height_descent(line, font, False) for line in text.split("\n")]
    return max(width for width, _, _ in sizes) / 72


@contextmanager
def quiet() -> Iterator[None]:
    """A label may hold letters that the font lacks; a box in their place is no reason to fail a report."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield
