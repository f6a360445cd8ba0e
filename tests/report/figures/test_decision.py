"""The figure of a decision: panels of the largest changes, their shading, and the text if nothing changes."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from looks import SPACE, legend, texts
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import Rectangle

import refine
from refine.report import figures
from refine.report.figures.theme import tone
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import words

from refine.report.pages.review import risk_of


def _shades(ax):
    blue = [
        p for p in ax.patches if isinstance(p, Rectangle) and same_color(p.get_facecolor()[:3], tone().blue)
    ]
    return [p for p in blue if p.get_facecolor()[3] < 0.5]  # bars are opaque


def _span(patch):
    low = patch.get_x()
    return low, low + patch.get_width()


def test_the_parameters_of_which_the_least_stays_are_drawn(analysis):
    new = SPACE.replace(
        {
            "lr": Float(1e-3, 1e-2, 3, log=True),
            "dropout": Float(0.0, 0.4, 5),
            "neurons": Categorical([8, 16, 32, 64]),
            "optimizer": Categorical(["Adam"]),
            "width": Integer(16, 312, 38),
        }
    )
    panels = figures.decision(analysis, new)
    assert panels.shape == (1, 4)
    heads = [texts(ax)[0] for ax in panels.flat]
    assert [head.partition(" (log")[0] for head in heads] == ["optimizer", "lr", "neurons", "dropout"]
    assert ["(log" in head for head in heads] == [False, True, False, False]
    assert texts(panels[0, 1])[1] == "→ 0.001 to 0.01"
    assert _span(_shades(panels[0, 1])[0]) == pytest.approx((1e-3, 1e-2))  # the bounds, and no wider
    assert [_span(s) for s in _shades(panels[0, 0])] == [(-0.5, 0.5)]
    assert legend(panels[0, 0])[-1] == "kept"


def test_the_risk_stands_below_the_title_of_a_proposal_and_of_an_edited_one(tree):
    round_ = tree.add_round(
        {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}, lambda p: 1 - (p["x"] - 0.8) ** 2 - 0.5 * p["y"], n=60
    )
    review = round_.run().propose()
    changed = next(change for change in review.proposal.changes if change.kind == "narrow")
    for shown in (review, review.reject(changed.name)):
        title = shown.plot().flat[0].get_title("right")
        assert title.removeprefix("Risk: ").startswith(risk_of(shown).headline)


def test_the_kept_part_has_edges_in_the_accent_of_the_review_page():
    style = (Path(refine.__file__).parent / "ui" / "web" / "static" / "review.css").read_text()
    for theme in ("light", "dark"):
        with figures.themed(theme=theme):
            assert f"--accent: {tone().blue.lower()}" in style
            assert contrast(tone().blue, tone().paper) >= 4.5


def test_the_best_trial_has_the_same_colour_in_figures_and_on_the_page():
    style = (Path(refine.__file__).parent / "ui" / "web" / "static" / "review.css").read_text()
    for theme in ("light", "dark"):
        with figures.themed(theme=theme):
            assert f"--winner: {tone().orange.lower()};" in style
            assert contrast(tone().orange, tone().paper) >= 3.0  # of a mark; no letter has this colour
    rules = re.findall(r"([^{}]+)\{[^{}]*var\(--winner\)", style)
    assert [rule.strip() for rule in rules] == [".refine-key.winner:before", ".refine-winner"]


def contrast(first, second):
    """The contrast of two colours as WCAG 2.2 defines it, from 1 to 21."""
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def test_a_trial_is_drawn_by_its_rank_at_its_level(analysis):
    ax = figures.decision(analysis, SPACE.replace({"optimizer": Categorical(["Adam"])}))[0, 0]
    grey, blue = (line for line in ax.lines if line.get_marker() == "o")
    ended = analysis.table["state"].eq("complete")
    assert len(grey.get_xdata()) + len(blue.get_xdata()) == ended.sum()
    assert grey.get_ydata().min() == 0
    assert blue.get_ydata().max() == 1
    assert grey.get_ydata().max() < blue.get_ydata().min() == pytest.approx(0.8, abs=0.02)
    positions = np.round([*grey.get_xdata(), *blue.get_xdata()])
    assert [int((positions == i).sum()) for i in range(3)] == [
        int((ended & (analysis.table["optimizer"] == name)).sum()) for name in ("Adam", "Nadam", "SGD")
    ]
    values = [float(label.get_text()) for label in ax.get_yticklabels()]
    assert values == [float(f"{value:.2g}") for value in values]  # round numbers
    assert 0 <= analysis.table["value"][ended].max() - values[-1] < 0.01


def test_a_proposal_without_changes_shows_the_parameters_that_matter(analysis):
    panels = figures.decision(analysis, SPACE)
    assert panels.shape == (1, 3)
    assert not any(_shades(ax) for ax in panels.flat)
    assert "kept" not in legend(panels[0, 0])


@pytest.mark.slow
def test_the_figure_of_a_review_shows_the_proposal_or_the_edits(tmp_path):
    with words.ten_lines(tmp_path) as tree:
        review = tree.rounds[0].propose(keep=False)
        panels = review.plot()
        assert panels[0, 0].get_title("left").startswith("Proposed")
        edited = review.edit(lr=(2.0, 3.0)).plot(width="column")
        assert edited[0, 0].get_title("left").startswith("Decided")
        assert edited.shape == (edited.size, 1)
        assert "→ 2 to 3" in [text for ax in edited.flat for text in texts(ax)]


def test_the_part_of_a_widened_range_where_nothing_ran_is_hatched(analysis):
    old = SPACE["dropout"]
    ax = figures.decision(analysis, SPACE.replace({"dropout": Float(old.low, 2 * old.high, 9)}))[0, 0]
    hatched = [patch for patch in ax.patches if patch.get_hatch()]
    assert [_span(patch) for patch in hatched] == [(old.high, 2 * old.high)]
    assert "tried" in legend(ax)[-1]


def test_a_figure_for_a_screen_is_wider_than_one_for_a_text(analysis):
    with figures.themed("wide"):
        wide = figures.decision(analysis, SPACE)[0, 0].figure
    assert wide.get_figwidth() == 11
