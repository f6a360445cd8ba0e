"""More trials than an analysis needs: it is made on a sample by the configurations, and says so."""

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis import analysis as module
from refine.analysis.analysis import sample_of
from tests.reading import codes_of

SPACE = refine.Space(
    {"lr": (0.0, 1.0, 41), "depth": (0, 40), "act": ["relu", "tanh", "elu"], "junk": (0, 30)}
)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    columns = SPACE.columns(rng.integers(0, SPACE.radices, size=(6_000, 4)))
    table = pd.DataFrame(columns)
    value = 1 - (table["lr"] - 0.3) ** 2 - 0.01 * table["depth"] - 0.1 * (table["act"] == "tanh")
    value += 0.02 * rng.normal(size=len(table))
    return table.assign(value=value, state="complete", seconds=1.0, depth_of=table["depth"])


def test_a_sample_depends_on_configurations_alone(frame):
    keep = sample_of(frame, SPACE, 1500)
    assert 1400 < keep.sum() <= 1500
    mixed = frame.sample(frac=1, random_state=1)
    sampled = sample_of(mixed.assign(value=0.0), SPACE, 1500)
    assert set(mixed.index[sampled]) == set(frame.index[keep])
    assert sample_of(frame, SPACE, len(frame)) is None
    twice = pd.concat([frame, frame], ignore_index=True)
    sampled_twice = sample_of(twice, SPACE, 1500)
    assert (sampled_twice[: len(frame)] == sampled_twice[len(frame) :]).all()
    grown = sample_of(frame[:4500], SPACE, 1500)
    assert (grown & keep[:4500]).sum() > 0.7 * keep[:4500].sum()


@pytest.mark.nightly
def test_a_sample_of_many_trials_gives_the_findings_of_all(frame, monkeypatch):
    analysis = refine.analyze(SPACE, frame)
    monkeypatch.setattr(module, "MOST", 2000)
    part = refine.analyze(SPACE, frame)
    assert part.n_sampled <= 2000 < part.n_space_filling == analysis.n_space_filling
    assert part.best["value"] == analysis.best["value"] == frame["value"].max()
    assert part.states == analysis.states
    assert part.covered == analysis.covered
    assert len(part.table) == len(frame)
    verdicts = [{n: f.verdict for n, f in a.findings.items()} for a in (part, analysis)]
    assert verdicts[0] == verdicts[1]
    for e in analysis.parameters:
        if e.correlation is not None:
            assert part[e.name].correlation.estimate == pytest.approx(e.correlation.estimate, abs=0.06)
    proposal = refine.propose(analysis)
    sample_proposal = refine.propose(part)
    assert sample_proposal.volume_kept == pytest.approx(proposal.volume_kept, rel=0.5)
    for name in ("lr", "depth"):
        assert sample_proposal.space[name].low <= 0.3 + 40 * (name == "depth")
    best = pd.DataFrame([{"lr": 0.3, "depth": 0, "act": "relu", "junk": 3}])
    assert proposal.space.replace({"junk": SPACE["junk"]}).contains(best)[0]
    assert sample_proposal.space.replace({"junk": SPACE["junk"]}).contains(best)[0]
    assert "6,000" in str(part.why())
    limited = refine.analyze(
        SPACE, frame.drop(columns="state"), refine.Goal("value", subject_to=["depth_of <= 20"])
    )
    assert limited.feasibility.feasible == (frame["depth_of"] <= 20).sum()
    assert limited.best["depth_of"] <= 20
    assert refine.analyze(SPACE, frame.iloc[:-1]).digest != part.digest
    assert (codes_of(part.cautions), codes_of(analysis.cautions)) == (["sampled"], [])
