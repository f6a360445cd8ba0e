"""The cost of looking at a tree grows linearly with its rounds. The tests count work and read no clock."""

import math

import numpy as np
import pytest

import refine
from nightly import nightly
from refine.report.markdown.tree import TOLD
from refine.tree import lineage
from refine.tree.round import Round

pytestmark = pytest.mark.slow


def wavy(params):
    value = math.sin(3 * params["x"]) - params.get("y", 0.5) ** 2
    return {"value": value, "degenerate": float(params["x"] > 2.5)}


def _branched(tree, rounds, n=12):
    """A chain with a side branch at every fourth round; spaces differ, and some have one more parameter."""
    round_ = tree.add_round({"x": (0.0, 3.0, 31)}, wavy, n=n)
    branch_rounds = [round_.run()]
    for i in range(1, rounds):
        space = {"x": (0.0, 3.0 - 1.5 * i / rounds, 31), "y": (0.0, 1.0, 5)}
        previous = {} if "y" in round_.space else {"y": 0.5}
        child = round_.branch(space, n=n, seed=i, previous=previous, note=f"step {i}")
        branch_rounds.append(child.run(objective=wavy))
        round_ = round_ if i % 4 == 0 else child
    return branch_rounds


@pytest.fixture(scope="module", params=[6, nightly(42)])
def branched(request, tmp_path_factory):
    with refine.Tree("many", store=tmp_path_factory.mktemp("many") / "refine.db") as tree:
        yield tree, _branched(tree, request.param)


def _inside(child):
    """The best value inside, from the tables of the whole path."""
    path = child._context.path(child._node)
    sources = lineage.lineage(child._context.reader, path, child._goal).sources
    values = []
    for frame in (sources.frame, sources.earlier):
        if frame is not None:
            usable = child.space.contains(frame) & ~(frame["degenerate"] >= 0.5) & np.isfinite(frame["value"])
            values += frame["value"][usable].tolist()
    return child._goal.best(values)


def test_the_best_inside_is_that_of_all_tables(branched):
    tree, rounds = branched
    entries = {e.child: e.outcome.inside for e in tree.calibration().entries}
    assert entries == {child.id: _inside(child) for child in rounds[1:]}
    assert len({round(v, 9) for v in entries.values()}) > 1


def test_a_report_analyses_no_more_rounds_however_many_there_are(branched, monkeypatch, tmp_path):
    tree, rounds = branched
    analysed = []

    def counted(self, *args, analyze=Round.analyze, **named):
        analysed.append(self.id)
        return analyze(self, *args, **named)

    monkeypatch.setattr(Round, "analyze", counted)
    text = tree.report(tmp_path).read_text(encoding="utf-8")
    small = len(rounds) <= 2 * TOLD
    assert len(set(analysed)) <= (len(rounds) if small else TOLD + 1)
    assert ("on the way" in text) != small
