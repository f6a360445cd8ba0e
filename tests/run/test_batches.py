"""Objectives that run several trials at once: batches, faults of one member, kills, and what is recorded."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import refine
from refine.errors import ObjectiveError, RefineWarning
from refine.run.outcome import Outcome
from refine.run.workers.batches import Batches
from refine.testing import ObjectiveContract, findings_of

SPACE = {"x": (0.0, 9.0, 10), "y": (0.0, 9.0, 10)}


def noise(seed):
    return float(np.random.default_rng(seed).normal(0, 0.01))


class Vectorised:
    """A bowl with noise, computed for all configurations in one expression."""

    name = "vectorised bowl"

    def __init__(self, folder=None, most=None):
        self.folder, self.most_together = folder, most

    def __call__(self, params, trial):
        return self.run_many([params], [trial])[0]

    def run_many(self, configurations, trials):
        if self.folder is not None:
            (Path(self.folder) / f"{len(configurations)}-{os.getpid()}-{trials[0].seed}").touch()
        x, y = (np.array([c[name] for c in configurations]) for name in ("x", "y"))
        values = -((x - 4) ** 2) - (y - 6) ** 2
        for value, trial in zip(values, trials, strict=True):
            trial.report(0, {"half": float(value) / 2})
        return [{"value": float(v) + noise(t.seed)} for v, t in zip(values, trials, strict=True)]


class OneByOne(Vectorised):
    run_many = None

    def __call__(self, params, trial):
        return Vectorised.run_many(self, [params], [trial])[0]


class Faulty(Vectorised):
    """Some members fail, one is NaN, one returns nonsense."""

    def run_many(self, configurations, trials):
        found = super().run_many(configurations, trials)
        for i, c in enumerate(configurations):
            if c["x"] == 0:
                found[i] = ArithmeticError(f"no x of {c['x']}")
            elif c["x"] == 1:
                found[i] = {"value": float("nan")}
            elif c["x"] == 2:
                found[i] = "much"
        return found


class Raises(OneByOne):
    """Can't run a certain configuration among others."""

    def run_many(self, configurations, trials):
        if any(c["x"] == 5 for c in configurations):
            raise MemoryError("too much at once")
        return Vectorised.run_many(self, configurations, trials)


class Kills(Vectorised):
    """One configuration kills its process, alone and among others."""

    def run_many(self, configurations, trials):
        if any(c["x"] == 5 and c["y"] == 5 for c in configurations):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run_many(configurations, trials)


def table(round_):
    return round_.trials.sort_values(["x", "y"]).drop(columns=["seconds", "finished"], errors="ignore")


def sizes(folder):
    return [int(path.name.partition("-")[0]) for path in Path(folder).glob("*-*-*")]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.cluster)])
def test_values_curves_and_reads_are_those_of_one_by_one(tree, tmp_path, workers):
    together = tree.add_round(SPACE, Vectorised(str(tmp_path)), n=60, seed=1, metric="value")
    together.run(workers=workers, check_noise=False, progress=False)
    with refine.Tree("alone", store="sqlite://") as other:
        alone = other.add_round(SPACE, OneByOne(), n=60, seed=1, metric="value").run(progress=False)
        np.testing.assert_allclose(table(together)["value"], table(alone)["value"], rtol=1e-12)
        assert set(together.trials["state"]) == {"complete"}
        assert table(together)["half"].tolist() == pytest.approx(table(alone)["half"].tolist())
    assert sum(sizes(tmp_path)) == 60
    assert max(sizes(tmp_path)) >= 8


def test_a_member_that_fails_harms_no_other(tree):
    first = tree.add_round(SPACE, Faulty(), n=60, seed=1, metric="value").run(progress=False)
    trials = first.trials
    assert set(trials.loc[trials["x"] == 0, "state"]) == {"failed"}
    assert set(trials.loc[trials["x"] == 1, "state"]) == {"diverged"}
    assert set(trials.loc[trials["x"] == 2, "state"]) == {"failed"}
    assert set(trials.loc[trials["x"] > 2, "state"]) == {"complete"}
    told = [e for e in first.context.store.records([first._stored.pk]).columns["error"] if e]
    assert sum("ArithmeticError: no x of 0" in text for text in told) == (trials["x"] == 0).sum() > 0
    assert sum("number or a mapping" in text for text in told) == (trials["x"] == 2).sum() > 0


def test_what_can_not_run_together_runs_one_by_one_and_says_so(tree):
    with pytest.warns(
        RefineWarning, match=r"run_many failed for .* one by one .*MemoryError: too much at once"
    ):
        first = tree.add_round(SPACE, Raises(), n=60, seed=1, metric="value").run(progress=False)
    assert set(first.trials["state"]) == {"complete"}


@pytest.mark.cluster
def test_a_member_that_kills_its_process_is_alone_crashed(tree):
    n = 100  # all of the grid
    first = tree.add_round(SPACE, Kills(), n=n, seed=1, metric="value").run(workers=2, progress=False)
    trials = first.trials
    crashed = trials[trials["state"] == "crashed"]
    assert crashed[["x", "y"]].to_numpy().tolist() == [[5.0, 5.0]]
    assert "differ in together (yes: " in str(first)  # some ran alone after the kill
    assert (trials["state"] == "complete").sum() == n - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("most", "limits", "expected"), [(3, {}, [3] * 4), (None, {"timeout": 60}, [1] * 12)]
)
def test_limits_are_of_single_trials_and_it_says_how_many_there_can_be(
    tree, tmp_path, most, limits, expected
):
    first = tree.add_round(SPACE, Vectorised(str(tmp_path), most), n=12, seed=1, metric="value")
    first.run(check_noise=False, progress=False, **limits)
    assert sizes(tmp_path) == expected


def test_a_trial_records_how_many_ran_together(tree):
    first = tree.add_round(SPACE, Vectorised(), n=24, seed=1, metric="value").run(progress=False)
    found = first.context.store.environments_of(
        first._stored.pk, first.context.store.records([first._stored.pk]).columns["key"]
    )
    assert {e["together"] for e in found} == {"8", "16"}
    assert first.replay().same
    assert "differ" not in str(first)


@pytest.mark.parametrize("most", [0, -3, 2.0, True, "many"])
def test_no_number_of_trials_is_an_error_before_anything_runs(tree, most):
    first = tree.add_round(SPACE, Vectorised(most=most), n=12, seed=1, metric="value")
    with pytest.raises(ObjectiveError, match=f"most_together must be a whole number >= 1, got {most!r}"):
        first.run(progress=False)
    assert first.trials.empty


def test_batches_grow_until_they_take_half_a_minute():
    batches, todo = Batches(Vectorised(), 1000, 2, wanted=True), iter(range(1000))
    for seconds, size in ((0.01, 8), (0.0, 16), (10.0, 32), (100.0, 3), (0.0, 1)):
        assert len(batches.take(lambda: next(todo, None))) == size
        batches.tell([Outcome("complete", {}, {}, seconds, None, None)] * size)


class TestVectorised(ObjectiveContract):
    def objective(self):
        return Vectorised()

    def space(self):
        return SPACE


class Leaks(Vectorised):
    """Centres on the mean of whoever is there."""

    def run_many(self, configurations, trials):
        found = super().run_many(configurations, trials)
        mean = sum(f["value"] for f in found) / len(found)
        return [{"value": f["value"] - mean * (len(found) > 1)} for f in found]


def test_the_contract_finds_members_that_change_each_other():
    found = [f for f in findings_of(Leaks(), SPACE) if f.check == "runs_together"]
    assert len(found) >= 1
    assert "alone" in found[0].text
