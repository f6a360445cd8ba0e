"""Sentences about trials must be true of them: failures, configurations that do not exist, rounds that grew."""

import math
import re
import warnings

import numpy as np
import pytest

import refine
from refine.errors import DesignError, RefineWarning
from refine.report.markdown.rendering import rendered
from refine.report.markdown.round import decisions_parts, gather
from refine.report.markdown.script import reproduce
from refine.report.pages.checks import says
from refine.report.pages.proposal import why
from refine.report.pages.reasons import sentences, short_reason
from refine.review.checks import Checks

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-4, 10.0, levels=11, log=True),
        "kind": ["relu", "tanh", "gelu"],
        "units": [8, 16, 32, 64],
        "batch": [16, 32],
    },
    ["batch >= 32 or units <= 32"],
)


def train(p, trial):
    if p["kind"] == "gelu":
        raise RuntimeError("no such activation")
    if p["lr"] > 0.5 and p["units"] != 8:
        raise FloatingPointError("overflow")
    noise = np.random.default_rng(trial.seed).normal(0, 0.01)
    return 1 - (math.log10(p["lr"]) + 1.5) ** 2 / 20 + 0.01 * (p["kind"] == "relu") + noise


def hill(p):
    return -abs(p["x"] - 0.7) + 0.001 * p["y"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with refine.Tree("truth", store=tmp_path_factory.mktemp("truth") / "refine.db") as tree:
        yield tree.add_round(SPACE, train, n=120, seed=3).run(progress=False)


@pytest.mark.slow
def test_a_level_where_all_failed_was_tried(root):
    count = int((root.trials["kind"] == "gelu").sum())
    assert count > 10
    review = root.propose(risk=0.01)
    assert review.space["kind"].grid == ("relu", "tanh")  # nothing but what always fails leaves
    reason = next(why(c) for c in review.proposal.changes if c.name == "kind")
    assert "Failed: 100 % of the trials at kind = gelu, more than at the other levels" in reason
    assert "No trial at gelu gave a value." in reason
    assert "No trial was run" not in reason
    said = re.search(
        r" and none of the (\d+) trials kept gave a value\.",
        str(review.preview(kind=["gelu"])).replace("\n", " "),
    )
    space = review.edit(kind=["gelu"]).preview().space
    # A trial is inside whatever stands at the parameters that it did not read.
    assert int(np.sum(space.contains(root.trials))) <= int(said[1]) <= count


def test_failures_are_seen_behind_a_choice_that_always_fails(root):
    analysis = root.analyze()
    assert analysis["kind"].fails
    assert analysis["lr"].fails
    assert analysis["lr"].bad.below == 0.0
    count = int((root.trials["kind"] == "gelu").sum())
    assert analysis["lr"].apart == count
    told = sentences(analysis.findings["lr"].of("fails_at", "fails_towards"))
    assert f" Not counted: {count} trials at levels of other parameters where every trial fails." in told
    checks: Checks = root.checks()
    assert ", more often at some values of lr, kind and units." in says(checks["infeasible"])
    # What always fails is asked of its own parameter alone.
    assert max(level.bad for level in analysis["kind"].levels) == 1.0
    assert not analysis["batch"].fails


def test_an_edit_that_no_permutation_meets_is_said_so(root):
    review = root.propose().edit(batch=[16], units=[64])
    assert "no configuration exists: the constraints exclude all" in str(review.preview())
    with pytest.raises(DesignError, match="no configuration meets the constraint 'batch >= 32 or units <="):
        review.accept(note="none")


def test_a_parameter_added_beside_one_called_nearly_the_same_is_asked_about(root):
    with pytest.warns(RefineWarning, match="branch adds a parameter 'unit'; did you mean 'units'"):
        root.branch({**SPACE, "unit": 8}, n=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        root.branch({**SPACE, "unit": 9}, n=3, previous={"unit": 9})
        root.branch({**SPACE, "depth": 2}, n=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "direction", "text"),
    [
        (hill, "maximize", "rises with x over most of its range, but few top trials lie at its high end"),
        (
            lambda p: -hill(p),
            "minimize",
            "falls with x (smaller is better) over most of its range, but few top trials",
        ),
        (lambda p: p["x"], "maximize", "value rises with x: rank correlation"),
    ],
)
def test_a_peak_inside_is_not_called_a_rise(tree, objective, direction, text):
    space = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 5)}
    found = tree.add_round(space, objective, n=100, direction=direction, objective_name="hill").run(
        progress=False
    )
    assert text in next(why(c) for c in found.propose().proposal.changes if c.name == "x")


@pytest.mark.slow
def test_a_round_that_grew_is_reproduced_as_it_was(tree, tmp_path, monkeypatch):
    space = {"x": (0.0, 1.0, 21), "y": (0.0, 1.0, 21)}
    root = tree.add_round(space, hill, n=60, objective_name="hill").run(progress=False)
    child = root.propose().edit(x=(0.3, 0.7)).accept(note="around", n=20, audit=0.2).run(progress=False)
    child.run(progress=False, n=60)
    columns = ["x", "y", "origin", "value"]
    before = child.trials[columns].sort_values(columns).reset_index(drop=True)
    assert set(before["origin"]) == {"space_filling", "audit", "probe"}
    monkeypatch.chdir(tmp_path)
    lines = [line for line in reproduce(child).splitlines() if not line.startswith("from your_script")]
    namespace = {"objective": hill}
    exec("\n".join(lines).replace("round.run(", "round.run(progress=False, ").replace(", )", ")"), namespace)
    again = namespace["round"].trials[columns].sort_values(columns).reset_index(drop=True)
    assert again.equals(before)
    namespace["tree"].close()


@pytest.mark.slow
def test_an_earlier_acceptance_is_not_hidden_by_a_later_decline(tree):
    rng = np.random.default_rng(1)
    space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 5)}
    found = tree.add_round(space, lambda p: p["x"] + 0.01 * rng.random(), n=30).run(progress=False)
    child = found.propose().accept(note="yes", n=5)
    found.propose().decline(note="no")
    text = rendered(decisions_parts(gather(found)))
    assert f"### 2. Declined by {found.decisions[-1].author}\n" in text
    assert f"The next round is `{child.id}`, with 5 configurations asked for." in text


@pytest.mark.slow
@pytest.mark.parametrize(("edge", "said"), [(0.95, "3.7x as many top trials"), (0.55, "failures elsewhere")])
def test_failures_at_a_few_of_the_levels_that_go_do_not_explain_the_others(tree, edge, said):
    def objective(p):
        if p["x"] > edge:
            raise ValueError("diverges")
        return -((p["x"] - 0.3) ** 2) + 0.01 * p["y"]

    found = tree.add_round({"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}, objective, n=80, seed=1)
    assert short_reason(found.run(progress=False).propose().proposal.changes[0]) == said
