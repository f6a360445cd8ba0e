"""``round.plot`` and ``tree.plot``: every figure by name, from the store."""

import inspect

import matplotlib as mpl
import matplotlib.style as mpl_style
import numpy as np
import pytest
from looks import inside, legend, lightness, points, texts
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

import refine
from refine.errors import AnalysisError, ReviewError
from refine.report import figures
from refine.report.figures.canvas import png
from refine.report.figures.theme import tone
from refine.report.plots import Plots, TreePlots

SPACE = refine.Space({"x": refine.Float(0.0, 1.0, 6), "y": refine.Integer(1, 8), "kind": ["a", "b", "c"]})


def score(params):
    x = params["x"]
    y = params["y"]
    if y == 8 and x > 0.7:
        raise ValueError("too much")
    noise = 0.01 * np.sin(37 * x + 11 * y + len(params["kind"]) * 3)
    return {"acc": 0.9 - (x - 0.4) ** 2 - 0.01 * y + 0.02 * (params["kind"] == "b") + noise, "cost": x}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A root, a child of its proposal, a guess beside it, and a root that is judged by something else."""
    with refine.Tree("question", store=tmp_path_factory.mktemp("plots") / "refine.db") as opened:
        root = opened.add_round(SPACE, score, metric="acc", n=48, note="all of it").run()
        child = root.propose(risk=0.2).edit(x=(0.1, 0.7, 7), y=(1, 6)).accept(note="the middle", n=12).run()
        root.branch(SPACE.replace({"kind": refine.Categorical(["b"])}), n=12, note="only b").run()
        opened.add_round(SPACE, score, metric="cost", direction="minimize", n=12, seed=9).run()
        opened.tag(child, "paper")
        yield opened


@pytest.fixture
def root(tree):
    return tree.rounds[0]


def _title(ax):
    return str(ax.get_title("left"))


GIVEN = {
    **dict.fromkeys(("density", "density_2d", "levels", "isolation"), ("x",)),
    "pair": ("x", "kind"),
}
OTHERS = {"front", "curves"}  # of other rounds than these


def _methods(kind):
    return [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]


def test_every_figure_has_a_name_and_a_docstring():
    assert all(getattr(kind, name).__doc__ for kind in (Plots, TreePlots) for name in _methods(kind))
    without = {"decision", "save", "themed", "reliability", "tree", "RoundValues", "TreeNode"}
    assert set(figures.__all__) - without == set(_methods(Plots))


@pytest.mark.slow
def test_every_figure_fits_a_column_and_a_dark_page(tree):
    for plots, kind in ((tree.rounds[0].plot, Plots), (tree.plot, TreePlots)):
        for name in set(_methods(kind)) - OTHERS:
            drawn = getattr(plots, name)(*GIVEN.get(name, ()), width="column", theme="dark")
            figure = (drawn.flat[0] if isinstance(drawn, np.ndarray) else drawn).figure
            assert (figure.get_figwidth(), to_hex(figure.get_facecolor())) == (3.4, "#14171b"), name
            assert {"width", "theme"} <= set(inspect.signature(getattr(kind, name)).parameters)
            if isinstance(drawn, np.ndarray):
                continue
            inside(drawn)
            written = [t for t in drawn.findobj(Text) if t.get_text() and t.get_visible()]
            assert min(t.get_fontsize() for t in written) >= 6.5, name
            assert min(lightness(t.get_color()) for t in written) > 0.4 or name == "pair", name


@pytest.mark.slow
def test_a_style_of_matplotlib_overrides_the_style_of_reports(root):
    plain = root.plot.density("x")
    with mpl_style.context(["dark_background", {"font.size": 12, "font.family": "monospace"}]):
        styled = root.plot.density("x")
        light = root.plot.density("x", theme="light")
        before = dict.copy(mpl.rcParams)
        assert png(styled) != png(light)
        assert dict.copy(mpl.rcParams) == before
    cycle = mpl_style.library["dark_background"]["axes.prop_cycle"].by_key()["color"]
    curves = [line.get_color() for line in plain.lines[:2]]  # the next line has the marks of the axis
    assert curves == [tone().grey, tone().blue]
    assert styled.lines[1].get_color() == cycle[0]
    assert to_hex(styled.figure.get_facecolor()) == "#000000"
    assert styled.xaxis.label.get_color() == "white"
    assert (styled.xaxis.label.get_fontsize(), plain.xaxis.label.get_fontsize()) == (12, 9)
    assert styled.figure.get_figheight() == pytest.approx(plain.figure.get_figheight() * 12 / 9)
    # A theme is of colours.
    assert styled.title.get_fontfamily() == light.title.get_fontfamily() == ["monospace"]
    assert [line.get_color() for line in light.lines[:2]] == curves
    assert to_hex(light.figure.get_facecolor()) == "#ffffff"
    with mpl_style.context("ggplot"), figures.themed(plain=True):
        assert png(figures.density(root.analyze(), "x")) == png(plain)  # as in reports


def test_widths_themes_and_axes_that_are_none(root):
    ax = Figure().add_subplot()
    for options, pattern in (
        (
            {"width": "colum"},
            "width: takes 'text' or 'column' or 'wide', got 'colum'; did you mean 'column'?",
        ),
        ({"theme": True}, "theme: takes 'light' or 'dark' or None, for .* got True"),
        ({"ax": ax, "theme": "dark"}, "width= and theme= cannot be combined with ax="),
        ({"ax": 3}, "ax: takes the axes of one panel"),
        ({"ax": Figure().subplots(1, 2)}, "ax: takes the axes of one panel"),
    ):
        with pytest.raises(AnalysisError, match=pattern):
            root.plot.levels("x", **options)


@pytest.mark.slow
def test_svg_is_the_same_every_time_and_holds_no_page_of_dots(root, tmp_path):
    for name in ("a.svg", "b.svg"):
        figures.save(root.plot.levels("x", theme="dark"), tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert "#14171b" in text
    assert "<image" in text  # trials are a picture in it
    assert "<dc:date>" not in text


def test_a_figure_for_print_is_a_pdf_with_embedded_fonts(root, tmp_path):
    path = tmp_path / "a.pdf"
    figures.save(root.plot.levels("x"), str(path))
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_an_unknown_ending_of_a_figure_is_refused(root, tmp_path):
    with pytest.raises(AnalysisError, match="as .png, .svg or .pdf, got 'a.jpg'; write 'a.pdf'"):
        figures.save(root.plot.levels("x"), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_figure_draws_into_given_axes(tree):
    for plots, kind in ((tree.rounds[0].plot, Plots), (tree.plot, TreePlots)):
        for name in set(_methods(kind)) - OTHERS:
            ax = Figure().add_subplot()
            assert getattr(plots, name)(*GIVEN.get(name, ()), ax=ax) is ax
            assert ax.lines or ax.collections, name


@pytest.mark.slow
def test_new_bounds_are_written_as_an_edit_writes_them(root):
    plot = root.plot
    assert "proposed: 0.2 to 0.6" in legend(plot.density("x", (0.2, 0.6)))
    decided = SPACE.replace({"x": refine.Float(0.2, 0.6, 3), "kind": refine.Categorical(["a", "b"])})
    as_edits = plot.pair("x", "kind", {"x": (0.2, 0.6), "kind": ["a", "b"]})
    assert png(as_edits) == png(plot.pair("x", "kind", decided)) != png(plot.pair("x", "kind"))
    with pytest.raises(ReviewError, match=r"< high"):
        plot.density("x", (0.6, 0.2))
    with pytest.raises(ReviewError, match="unknown parameter 'z'"):
        plot.pair("x", "kind", {"z": (0.2, 0.6)})
    with pytest.raises(AnalysisError, match=r"got \(0.2, 0.6\)"):
        plot.pair("x", "kind", new=(0.2, 0.6))


def test_few_trials_have_figures_too(tmp_path):
    with refine.Tree("few", store=tmp_path / "refine.db") as opened:
        with pytest.raises(AnalysisError, match="^there is no round yet"):
            opened.plot.tree()
        round_ = opened.add_round(SPACE, score, metric="acc", n=4)
        for draw, pattern in (
            (round_.plot.best_so_far, "^no trial has a value yet"),
            (opened.plot.best_so_far, "^no trial has a value yet"),
            (opened.plot.edf, "^no round has a finished space-filling trial yet"),
            (opened.plot.reliability, "no forecast is scored yet"),
        ):
            with pytest.raises(AnalysisError, match=pattern):
                draw()
        assert "0 of 4" in texts(opened.plot.tree())
        round_.run()
        assert "acc" in _title(round_.plot.best_so_far()).split()
        assert round_.plot.edf().lines
        with pytest.raises(AnalysisError, match="^curves:"):
            round_.plot.curves()
        with pytest.raises(AnalysisError, match="10 finished"):
            round_.plot.correlation()


def test_curves_need_no_analysis(tmp_path):
    def learns(params, trial):
        for epoch in range(10):
            trial.report(epoch, {"val_acc": 0.9 - 0.5 * np.exp(-epoch / 3) - 0.1 * params["x"]})
        return {"done": 1.0}

    with refine.Tree("few", store=tmp_path / "refine.db") as opened:
        round_ = opened.add_round(SPACE, learns, metric="val_acc", n=3).run()
        assert round_.plot.curves(2).shape == (1, 2)


def test_figures_of_a_tree_compare_rounds_of_one_metric_alone(tree):
    plot = tree.plot
    assert isinstance(plot, TreePlots)
    ax = plot.tree()
    written = texts(ax)
    assert {r.id[:6] for r in tree.rounds} <= set(written)
    assert {"root", "edited", "branched", "paper", "all of it", "only b"} <= set(written)
    assert len(points(ax, "best")) == 3  # the round judged by cost can't be compared
    ax = plot.best_so_far()
    assert texts(ax) == ["1", "paper", "1.2"]
    best = tree._best()
    assert best is not None
    assert points(ax, "winner")[0][1] == pytest.approx(best["value"])
    assert ax.get_title("left") == "Best acc over 3 rounds"
    ax = plot.edf()
    assert len(legend(ax)) == 3
    assert tree.rounds[3].id not in " ".join(legend(ax))
    assert ax.get_xlabel() == "acc (better →)"
    assert plot.reliability().get_yticklabels()[0].get_text() == "paper"
