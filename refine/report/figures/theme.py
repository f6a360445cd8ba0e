"""The theme of figures: width, colours and letters. The present matplotlib style overrides our defaults."""

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
Width = Literal["text", "column", "wide"]
ThemeName = Literal["light", "dark"]

# Inches of a report's text, of one of two columns of a page, and of a screen.
WIDTHS = {"text": 7.2, "column": 3.4, "wide": 11.0}
_SIZES = {"text": 9.0, "column": 8.0, "wide": 9.0}  # points of most letters
_SMALLEST = 6.5  # points that can still be read in print


class Palette(NamedTuple):
    """Colours by use; series are distinct for all kinds of colour vision and in grey print."""

    blue: str  # most series, and ranges kept: the accent of the review page
    orange: str  # the best
    amber: str  # tags and tolerances
    green: str  # further series
    pink: str
    sky: str
    ink: str  # letters and medians
    grey: str  # background marks
    light: str  # areas of all trials
    pale: str  # bands and grids
    paper: str  # background

    def towards_blue(self, share: float) -> str:
        """The background mixed with a share of blue."""
        return _mix(self.paper, self.blue, share)


# Okabe and Ito's colours, but the blue of the review page; lighter on a dark background.
_LIGHT = Palette(
    *("#0068A8", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#222222", "#7a7a7a", "#c8c8c8", "#ececec", "white"),
)
_DARK = Palette(
    *("#5fb4ea", "#ff8a5c", "#f0b429", "#33c79c", "#e298c5", "#b5dcf7"),
    *("#e6e8eb", "#9aa3ae", "#4a525d", "#272d35", "#14171b"),
)

# Sizes for letters of 9 points, scaled with ``font.size``.
_POINTS = dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8.5)
_POINTS |= {"axes.titlesize": 10.0, "axes.labelsize": 9.0}
_VISUAL = re.compile(  # settings of the appearance of figures
    r"axes|errorbar|(figure|font|grid|hatch|image|legend|lines|markers|mathtext|patch|path|savefig|scatter|"
    r"svg|text|[xy]axis|[xy]tick)\."
)
_OURS: dict[str, Any] = dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False)
_OURS |= {"axes.titleweight": "bold", "axes.axisbelow": True, "grid.linewidth": 0.8, "hatch.linewidth": 0.6}


class Theme(NamedTuple):
    """The present appearance of figures."""

    width: float  # size of a new figure, in inches
    size: float  # size of letters, relative to 9 points, the unit of sizes in this package
    stretch: float  # width of the font's letters relative to those of matplotlib's own font
    palette: Palette
    settings: Mapping[str, Any]  # matplotlib settings that differ from the defaults


_REPORTS = Theme(WIDTHS["text"], 1.0, 1.0, _LIGHT, {})
_PRESENT: ContextVar[Theme | None] = ContextVar("refine_theme", default=None)
MADE: WeakKeyDictionary[Figure, Theme] = WeakKeyDictionary()  # figures of this package, with their themes


@contextmanager
def themed(width: Width = "text", theme: ThemeName | None = None, *, plain: bool = False) -> Iterator[None]:
    """Sets width and colours of figures drawn in the block; matplotlib's settings are restored afterwards.

    ``"text"`` is 7.2 inches wide, ``"column"`` 3.4 inches, for one of two columns of a page, ``"wide"`` 11
    inches, for a screen. Fonts, letter sizes and lines follow matplotlib's present style
    (``plt.style.use(...)`` or ``matplotlibrc``) where it differs from matplotlib's defaults; so do colours,
    unless ``theme`` is ``"light"`` or ``"dark"``. All other settings are those of reports. With ``plain`` the
    present style is ignored, as in reports, which are equal for all users.

    Raises:
        AnalysisError: Another width or theme.
    """
    import matplotlib as mpl

    _check("width", width, tuple(WIDTHS))
    if theme is not None:
        _check("theme", theme, ("light", "dark"), " or None, for matplotlib's present style")
    user_settings: Mapping[str, object] = {}
    if not plain:
        user_settings = _changed()
    with mpl.rc_context():
        mpl.rcdefaults()
        token = _PRESENT.set(_settle(user_settings, width, theme))
        try:
            yield
        finally:
            _PRESENT.reset(token)


def _changed() -> dict[str, object]:
    """Settings of the appearance of figures that differ from matplotlib's defaults."""
    import matplotlib as mpl

    # By dict: RcParams would load a backend.
    current = dict.items(mpl.rcParams)
    return {k: v for k, v in current if _VISUAL.match(k) and v != mpl.rcParamsDefault[k]}


def _check(name: str, value: object, allowed: tuple[str, ...], or_else: str = "") -> None:
    if not isinstance(value, str) or value not in allowed:
        text = f"{name}: takes {' or '.join(map(repr, allowed))}{or_else}, got {value!r}"
        if isinstance(value, str):
            text += f"; {did_you_mean(value, allowed)}"
        raise AnalysisError(text)


def _settle(user_settings: Mapping[str, object], width: Width, theme: ThemeName | None) -> Theme:
    """Applies matplotlib's settings and returns the theme."""
    import matplotlib as mpl

    colours = {k for k in user_settings if "color" in k or k in ("axes.prop_cycle", "image.cmap")}
    settings = {k: v for k, v in user_settings.items() if theme is None or k not in colours}
    # Labels are user text: a dollar sign does not start a formula.
    fixed = {"text.parse_math": False, "text.usetex": False}
    mpl.rcParams.update({"font.size": _SIZES[width]} | settings | fixed)
    size = float(mpl.rcParams["font.size"]) / 9.0
    if theme is None:
        palette = _of_style(settings)
    else:
        palette = {"light": _LIGHT, "dark": _DARK}[theme]
    defaults = {key: points(value, size) for key, value in _POINTS.items()} | _OURS
    defaults |= dict.fromkeys(("axes.labelcolor", "text.color", "xtick.color", "ytick.color"), palette.ink)
    defaults |= dict.fromkeys(("axes.facecolor", "figure.facecolor", "legend.facecolor"), palette.paper)
    defaults |= {"axes.edgecolor": palette.grey, "grid.color": palette.pale, "savefig.facecolor": "auto"}
    if "axes.facecolor" in settings:  # the background of axes only
        del defaults["figure.facecolor"]
    mpl.rcParams.update({key: value for key, value in defaults.items() if key not in settings})
    stretch = 1.0
    if any(k.startswith("font.") for k in settings):
        stretch = wide(_LETTERS, 72) / _DEJAVU
    return Theme(WIDTHS[width], size, stretch, palette, _changed())


def _of_style(settings: Mapping[str, Any]) -> Palette:
    """Colours of the present style; our colours for the rest."""
    from matplotlib.colors import to_rgb, to_rgba

    faces = [settings.get(k, "none") for k in ("axes.facecolor", "figure.facecolor")]
    grounds = [face for face in faces if to_rgba(face)[3] > 0.5]  # opaque backgrounds
    base = _LIGHT
    if grounds and lightness(grounds[0]) < 0.4:
        base = _DARK
    if not settings.keys() & {"axes.facecolor", "figure.facecolor", "text.color", "axes.prop_cycle"}:
        return base
    paper = [*grounds, base.paper][0]
    ink = settings.get("text.color", base.ink)
    colours = []
    if "axes.prop_cycle" in settings:
        colours = settings["axes.prop_cycle"].by_key().get("color", [])
    cycle = [c for c in dict.fromkeys(colours) if abs(lightness(c) - lightness(paper)) > 0.1]
    spare = [c for c in base[:6] if to_rgb(c) not in map(to_rgb, cycle)]
    grey, light, pale = (_mix(paper, ink, share) for share in (0.6, 0.25, 0.086))
    series = dict(zip(Palette._fields, [*cycle, *spare][:6], strict=False))
    return Palette(**series, ink=ink, grey=grey, light=light, pale=pale, paper=paper)


def lightness(colour: object) -> float:
    """Lightness of a colour from 0, black, to 1, white."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.3 * red + 0.59 * green + 0.11 * blue


def _mix(a: object, b: object, share: float) -> str:
    from matplotlib.colors import to_hex, to_rgb

    return str(to_hex([x + share * (y - x) for x, y in zip(to_rgb(a), to_rgb(b), strict=True)]))


def drawing(draw: Callable[P, R]) -> Callable[P, R]:
    """A drawing function with the theme of the surrounding :func:`themed`, else with the present style."""

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
    """The theme of the surrounding :func:`themed`; outside, the theme of reports."""
    return _PRESENT.get() or _REPORTS


def tone() -> Palette:
    """Colours of the present theme."""
    return present().palette


def shades() -> Any:
    """Colours of a density, from low to high."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [tone().towards_blue(share) for share in (0.06, 0.92)]
    return LinearSegmentedColormap.from_list("density", ends)


def page_width() -> float:
    """Width of a new figure in inches, for letters of 9 points with as much text."""
    theme = present()
    return theme.width / theme.size / theme.stretch


def narrow() -> bool:
    """True if figures have room for about half the usual text: in a column, or with large letters."""
    return page_width() < 5.5


def points(size: float, scale: float | None = None) -> float:
    """Font size for ``size`` at a base of 9 points, readable unless all letters are smaller."""
    if scale is None:
        scale = present().size
    return max(size * scale, min(_SMALLEST, 9.0 * scale))


def within(ax: Axes, margin: float = 1.2) -> None:
    """Limits the width of the figure being drawn to these axes and a margin of ``margin`` inches."""
    theme = _PRESENT.get()
    figure = ax.get_figure(root=True)
    if theme is not None and figure is not None:
        inches = min(ax.get_window_extent().width / figure.dpi + margin, figure.get_figwidth())
        _PRESENT.set(theme._replace(width=inches))


@contextmanager
def as_drawn(figure: Figure) -> Iterator[None]:
    """Matplotlib's settings at the drawing of a figure; the present ones for a user's figure."""
    import matplotlib as mpl

    with mpl.rc_context():
        if figure in MADE:
            mpl.rcdefaults()
            mpl.rcParams.update(MADE[figure].settings)
        yield


_LETTERS = "abcdefghijklmnopqrstuvwxyz_ 0123456789"
_DEJAVU = 21.826  # ems of these, in matplotlib's own font


def wide(text: str, size: float, bold: bool = False) -> float:
    """Inches of the longest line of a text in the present font, at ``size`` points."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else mpl.rcParams["font.weight"])
    with quiet():
        sizes = [text_to_path.get_text_width_height_descent(line, font, False) for line in text.split("\n")]
    return max(width for width, _, _ in sizes) / 72


@contextmanager
def quiet() -> Iterator[None]:
    """Silences warnings on letters missing in the font: a box instead of a letter must not fail a report."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield
