"""Failed trials say where trials fail, and do not pull down the good cells beside them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from surfaces import SURFACES, claims

import refine
from refine.design.space_filling import Sobol, draw
from refine.proposal.allocation import learning_from
from refine.proposal.alternatives import advice
from refine.proposal.posterior import posterior_of, surrogate_of
from refine.proposal.proposal import claim_for, proposal_from_json, proposal_to_json
from refine.report.pages.reasons import sentence
from refine.utils.format import percent
from tests.reading import facts_of, numbers_in

SPACE = refine.Space(dict.fromkeys("xyz", (0.0, 1.0, 11)))


def cliff(frame):
    """Rises with x until trials diverge, beyond 0.7."""
    value = frame["x"] - (frame["y"] - 0.4) ** 2
    return value.where(frame["x"] < 0.65)


def analysis_of(value, n=60, seed=0):
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, n, seed)))
    frame["value"] = value(frame) + 0.02 * np.random.default_rng(seed).normal(size=n)
    frame["state"] = np.where(frame["value"].isna(), "failed", "complete")
    return refine.analyze(SPACE, frame)


@pytest.fixture(scope="module")
def analysis():
    return analysis_of(cliff)


def test_failed_trials_are_marked_and_keep_the_place_of_the_worst_value(analysis):
    share = analysis.states["failed"] / sum(analysis.states.values())
    assert analysis.failed.mean() == pytest.approx(share)
    assert (analysis.y[analysis.failed] == analysis.y.min()).all()
    assert analysis_of(lambda frame: frame["x"]).failed is None


def test_cells_next_to_a_cliff_are_not_pulled_down(analysis):
    edge, inland, beyond = ([x, 0.4, 0.5] for x in (0.6, 0.4, 0.9))
    positions = np.array([edge, inland, beyond])
    as_worst = posterior_of(replace(analysis, failed=None), positions).scores
    separate = posterior_of(analysis, positions).scores
    assert np.mean(separate[:, 0] > separate[:, 1]) > np.mean(as_worst[:, 0] > as_worst[:, 1])
    assert np.mean(separate[:, 0] > separate[:, 1]) > 0.8
    assert np.mean(separate[:, 2] == separate.min()) > 0.8  # likely to fail


def test_known_rows_of_the_posterior_are_rows_of_the_evidence(analysis):
    posterior = posterior_of(analysis, analysis.X[:5])
    assert not analysis.failed[posterior.known].any()
    best = posterior.best_known(3)
    assert analysis.y[best].min() > np.quantile(analysis.y, 0.8)


def test_the_expected_share_of_failures_falls_in_the_proposed_space(analysis):
    claim = refine.propose(analysis).claim
    assert claim.failing_now == pytest.approx(4 / 11, abs=0.07)
    assert claim.failing_inside < 0.15
    surrogate = surrogate_of(analysis)
    assert surrogate.failing_share(SPACE.replace({"x": refine.Float(0.8, 1.0, levels=3)})) > 0.8


def test_a_proposal_stored_without_shares_of_failures_is_read_back(analysis):
    proposal = refine.propose(analysis)
    data = proposal_to_json(proposal)
    assert data["claim"]["failing_now"] == pytest.approx(proposal.claim.failing_now)
    for name in ("failing_now", "failing_inside"):
        del data["claim"][name]
    old = proposal_from_json(data)
    assert np.isnan([old.claim.failing_now, old.claim.failing_inside]).all()
    assert old.digest == proposal.digest


def test_trials_of_a_running_round_that_fail_are_learned_as_failures(analysis):
    frame = pd.DataFrame(SPACE.columns(draw(Sobol(), SPACE, 12, 9)))
    frame["value"] = cliff(frame)
    frame["state"] = np.where(frame["value"].isna(), "failed", "complete")
    learned = learning_from(analysis, frame)
    assert len(learned.failed) == len(learned.y) == len(analysis.y) + 12
    assert learned.failed[-12:].tolist() == frame["value"].isna().tolist()


def test_with_hardly_any_finished_trial_failures_count_as_the_worst_value(analysis):
    mostly_failed = replace(analysis, failed=np.arange(len(analysis.y)) > 3)
    positions = analysis.X[:4]
    assert (
        posterior_of(mostly_failed, positions).mean
        == posterior_of(replace(mostly_failed, failed=None), positions).mean
    ).all()


@pytest.mark.nightly
def test_claims_of_studies_with_failures_hold_as_printed():
    name = "failures beside the optimum"
    all_claims = [claim for seed in range(12) for claim in claims(name, seed, risks=(0.05,))]
    assert name in SURFACES
    assert sum(claim.lost for claim in all_claims) <= 2


def test_the_advised_round_is_larger_by_the_trials_expected_to_fail(analysis):
    without_failures = advice(analysis, SPACE, 10_000)
    with_failures = advice(analysis, SPACE, 10_000, failing=0.25)
    assert without_failures.n < with_failures.n == pytest.approx(without_failures.n / 0.75, abs=10)
    assert advice(analysis, SPACE, 10_000, failing=float("nan")).n == without_failures.n
    proposal = refine.propose(analysis)
    assert claim_for(proposal, SPACE).failing_inside == proposal.claim.failing_now


def test_a_size_that_allows_for_fewer_failures_than_expected_says_so(analysis):
    advised = advice(analysis, SPACE, 10_000, failing=0.65)
    assert advised.n == advice(analysis, SPACE, 10_000, failing=0.5).n
    assert {"65", "50"} <= set(numbers_in(sentence(advised.reason)))
    assert "50" not in numbers_in(sentence(advice(analysis, SPACE, 10_000, failing=0.25).reason))


def test_a_review_says_how_many_trials_are_expected_to_fail_and_follows_an_edit():
    def score(p):
        if p["x"] > 0.65:
            raise MemoryError("out of memory")
        return p["x"] - (p["y"] - 0.4) ** 2

    tree = refine.Tree("memory", store="sqlite://")
    review = tree.add_round(SPACE, score, n=60, seed=2).run().propose()
    assert review.proposal.claim.failing_now == pytest.approx(4 / 11, abs=0.1)
    bold = review.edit(x=(0.7, 1.0))
    claim = bold.preview().claim
    assert claim.failing_inside > 0.8 > review.proposal.claim.failing_inside
    for share in (claim.failing_inside, claim.failing_now):
        assert percent(share) in facts_of(bold)["Failures"]


def test_failures_by_chance_are_expected_as_often_as_they_were_seen():
    def by_chance(frame):
        failing = np.random.default_rng(3).random(len(frame)) < 0.12
        return frame["x"].where(~failing)

    analysis = analysis_of(by_chance)
    claim = refine.propose(analysis).claim
    assert claim.failing_now == pytest.approx(analysis.failed.mean(), abs=0.02)
    assert 0.02 < claim.failing_inside < 0.25
