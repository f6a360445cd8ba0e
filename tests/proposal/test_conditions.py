"""Parameters under observed or declared conditions: unread ones are fixed or dropped, and never counted."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.conditions import different, unread_in
from refine.analysis.winner import RetrainedValues
from refine.design.space_filling import Sobol, draw
from refine.proposal.alternatives import left_to_run
from refine.proposal.preview import preview_of
from refine.proposal.proposal import claim_for, proposal_from_json, proposal_to_json
from tests.reading import codes_of

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-4, 1e-1, levels=7, log=True),
        "optimizer": ["adam", "nadam", "sgd"],
        "momentum": (0.0, 0.9, 4),
    }
)


@pytest.fixture(scope="module")
def analysis():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 60, 1)))
    sgd = (frame["optimizer"] == "sgd").to_numpy()
    value = -((np.log10(frame["lr"]) + 2.5) ** 2) / 4 - 2.0 * sgd + 0.3 * sgd * frame["momentum"]
    return refine.analyze(
        SPACE, frame.assign(value=value + rng.normal(0, 0.05, len(frame))), read={"momentum": sgd}
    )


@pytest.fixture(scope="module")
def proposal(analysis):
    return refine.propose(analysis)


def test_dropping_all_choices_that_read_a_parameter_fixes_the_parameter(analysis, proposal):
    assert proposal["optimizer"].kind == "drop"
    assert "sgd" not in proposal["optimizer"].new.grid
    change = proposal["momentum"]
    assert change.kind == "fix"
    assert proposal.space["momentum"].fixed
    assert codes_of(change.reasons) == ["not_read_in_box"]
    assert change.risk < 0.05
    reread = proposal_from_json(proposal_to_json(proposal))
    assert (reread["momentum"].kind, reread["momentum"].new) == ("fix", change.new)


def test_fixing_it_changes_no_claim(analysis, proposal):
    varied = proposal.space.replace({"momentum": SPACE["momentum"]})
    assert claim_for(proposal, varied).probability == proposal.claim.probability
    assert unread_in(varied, analysis.parameters) == ("momentum",)


def test_configurations_that_differ_only_in_unread_values_count_once(analysis, proposal):
    assert different(SPACE, analysis.parameters, SPACE.size) == 7 * (2 + 4)
    assert left_to_run(analysis, SPACE) < 7 * (2 + 4)
    fixed = SPACE.replace({"optimizer": ["adam"], "momentum": 0.3})
    preview = preview_of(proposal, fixed, 20, 1)
    assert preview.exist == 7
    ran = analysis.table.query("optimizer == 'adam'")["lr"].nunique()
    assert preview.left == 7 - ran
    # Trials lie inside whatever their momentum was, which they did not read.
    best = analysis.table.nlargest(10, "value")
    assert preview.top_kept == (best["optimizer"] == "adam").sum()


def test_the_expected_values_of_a_preview_are_also_of_trials_without_an_inactive_parameter(rng):
    conditional = SPACE.replace(
        {"momentum": refine.Float(0.0, 0.9, levels=4, when="optimizer == 'sgd'")},
    )
    frame = pd.DataFrame(conditional.columns(draw(Sobol(), conditional, 40, 1)))
    sgd = (frame["optimizer"] == "sgd").to_numpy()
    frame["momentum"] = frame["momentum"].astype(object).where(sgd, None)
    value = -((np.log10(frame["lr"]) + 2.5) ** 2) / 4 - 2.0 * sgd
    analysis = refine.analyze(conditional, frame.assign(value=value + rng.normal(0, 0.05, len(frame))))
    proposal = refine.propose(analysis)
    narrow = conditional.replace({"lr": refine.Float(1e-3, 1e-2, levels=3, log=True)})
    retrained = RetrainedValues(analysis.table, analysis.table["value"].to_numpy(float))
    preview = preview_of(proposal, narrow, 10, 1, lambda: retrained)
    assert preview.lost
    assert preview.expected.inside == pytest.approx(preview.best_kept, abs=0.3)  # sgd is 2 worse
