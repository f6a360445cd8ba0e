"""The best configurations run again under new seeds."""

import numpy as np
import pytest

import objectives
import refine
from refine.errors import AnalysisError, DesignError


def noisy(params):
    return objectives.bowl(params) + 0.3 * np.random.normal()


@pytest.mark.slow
def test_the_best_are_run_again_under_seeds_of_their_own(tree, space):
    round_ = tree.add_round(space, noisy, n=40, seed=1).run()
    before = round_.trials
    text = str(tree)
    analysis = round_.analyze()
    assert round_.replicates.empty
    assert round_.add(repeat=4, seeds=3).run() is round_
    frame = round_.replicates
    assert list(frame.columns) == [*space, "replicate", "state", "value", "seconds", "seed", "cell", "origin"]
    assert frame["replicate"].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    best = before.nlargest(4, "value")["cell"].tolist()
    assert frame["cell"].tolist() == best * 3
    assert not {*frame["seed"]} & {*before["seed"]}
    assert frame["seed"].nunique() == frame["value"].nunique() == 12
    # Planned runs only, wherever configurations are counted or compared.
    assert round_.trials.equals(before)
    assert str(tree) == text
    reanalysed = round_.analyze()
    assert (reanalysed.digest, reanalysed.n_space_filling, reanalysed.states) == (
        analysis.digest,
        analysis.n_space_filling,
        analysis.states,
    )
    assert [e.q for e in reanalysed.parameters] == [e.q for e in analysis.parameters]
    # The noise follows them: 2 degrees of freedom each, and any of planned runs that agree on all
    # values read.
    groups = [frame.loc[frame["cell"] == cell, "value"] for cell in best]
    sd = np.sqrt(sum(((g - g.mean()) ** 2).sum() for g in groups) / 8)
    assert reanalysed.noise.source == "replicates"
    assert reanalysed.noise.n >= 8
    assert reanalysed.noise.freedom > analysis.noise.freedom + 4
    assert abs(np.log(reanalysed.noise.sd / sd)) < 0.2
    claim = round_.propose().proposal.claim
    assert (claim.epsilon_source, claim.epsilon) == (
        reanalysed.noise.epsilon_source,
        reanalysed.noise.epsilon,
    )
    below = round_.branch(space, n=12).run().analyze().noise
    assert (below.source, below.n >= reanalysed.noise.n) == ("replicates", True)


def test_a_repeated_call_runs_only_the_missing_replicates(tree, space):
    calls = []

    def counted(params):
        calls.append(params["lr"])
        return noisy(params)

    round_ = tree.add_round(space, counted, n=12, seed=2)
    with pytest.raises(AnalysisError, match="called best"):
        round_.add(repeat=5)
    with pytest.raises(DesignError, match="number >= 1, got 0"):
        round_.add(repeat=5, seeds=0)
    round_.run().add(repeat=2, seeds=2).run()
    assert len(calls) == 12 + 4
    first = round_.replicates
    round_.add(repeat=2, seeds=2).run()
    assert len(calls) == 16
    round_.add(repeat=3, seeds=3).run()
    assert len(calls) == 12 + 9
    assert round_.replicates.iloc[:4].equals(first)
    round_.run()  # the plan is done, replicates or not
    assert len(calls) == 21
    assert round_.run(n=14).trials.shape[0] == 14
    child = round_.branch(space, n=3).run()
    assert not {*child.trials["cell"]} & {*round_.trials["cell"]}  # completed ones are passed over
    assert child.replicates.empty
    assert len(child._path) == 2


def test_failed_replicates_are_kept_and_can_be_run_again(tree, space):
    def flaky(params, trial):
        if params["lr"] > 4 and trial.seed % 2:
            raise ValueError("out of luck")
        return params["lr"]

    round_ = tree.add_round(space, flaky, n=40, seed=6).run().add(repeat=4, seeds=3).run()
    frame = round_.replicates
    assert set(frame["state"]) == {"complete", "failed"}
    assert frame.loc[frame["state"] == "failed", "value"].isna().all()
    assert round_.analyze().noise.sd == 0
    assert round_.failures.shape[0] == (round_.trials["state"] == "failed").sum()
    name = round_._node.objective
    with pytest.warns(refine.errors.RefineWarning, match="version"):
        round_.add(repeat=4, seeds=3).run(rerun="failed", objective=objectives.named(lambda p: p["lr"], name))
    assert set(round_.replicates["state"]) == {"complete"}
    assert len(round_.replicates) == 12
