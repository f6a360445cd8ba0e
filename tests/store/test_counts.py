"""Counts of states and best trials always match all rows: rounds grow, rerun, lose rows, or are damaged."""

import random

import pytest
import sqlalchemy as sa

import refine
from refine.run.outcome import Outcome, Task
from refine.run.runner import _trial
from refine.space.space import configuration_key
from refine.store.schema import t
from refine.tree import round_record
from refine.trials.frame import best_first
from refine.trials.trial import State


def objective(params):
    return -abs(params["x"] - 0.3)


@pytest.fixture
def grown(url):
    with refine.Tree("counted", store=url) as tree:
        yield tree, tree.add_round({"x": (0.0, 1.0, 101), "y": (0, 9)}, objective, n=400)


def _write(round_, cells, draw, attempt=0, replicate=0):
    with round_._context.store.writer(round_._stored.pk) as writer:
        for cell in cells:
            params = round_.space.configuration(cell)
            key = configuration_key(params)
            state = draw.choice(["complete", "complete", "failed", "diverged"])
            value = {"value": draw.choice([draw.random(), 0.5]), "degenerate": float(draw.random() < 0.2)}
            metrics = value if state == "complete" else {}
            outcome = Outcome(
                state=State(state),
                metrics=metrics,
                curve={},
                seconds=1.0,
                error=None,
                read=None,
                examples=None,
            )
            task = Task(
                key=key,
                configuration=params,
                cell=str(cell),
                replicate=replicate,
                attempt=attempt,
                origin="space_filling",
                seed=cell,
            )
            writer.add(_trial(task, outcome, "code"))


def _check(round_, monkeypatch):
    ranked = best_first(round_.trials, "maximize", round_.space)
    counts = round_.trials["state"].value_counts().to_dict()
    assert round_._context.counts.get(round_._stored.pk, {}) == counts
    monkeypatch.setattr(round_record, "LARGE", 0)
    best = round_.best
    monkeypatch.setattr(round_record, "LARGE", 50_000)
    assert (best is None) == ranked.empty
    if best is not None:
        assert best.equals(ranked.iloc[0])
        assert best.name == ranked.index[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_counts_in_parts_equal_the_count_of_all(grown, monkeypatch, seed):
    tree, round_ = grown
    draw = random.Random(seed)
    _check(round_, monkeypatch)
    done = []
    for step in range(12):
        new = range(10 * step, 10 * step + draw.randrange(1, 10))
        _write(round_, new, draw)
        done += new
        if step % 3 == 1:
            _write(round_, draw.sample(done, 2), draw, attempt=step)
        if step % 4 == 2:
            _write(round_, draw.sample(done, 2), draw, replicate=step)
        if step % 5 == 3:
            tree.delete(round_, draw.sample(range(len(round_.trials)), 3))
        _check(round_, monkeypatch)


def test_a_look_again_reads_no_trial_that_was_read_before(grown):
    _, round_ = grown
    context = round_._context
    goal = round_._goal
    _write(round_, range(200), random.Random(1))
    fetched = []

    def executed(connection, cursor, statement, *arguments):
        fetched.append(statement)

    sa.event.listen(context.store.engine, "before_cursor_execute", executed)
    first = context.store.best_record(round_._stored.pk, goal)
    assert any(".metrics" in s for s in fetched)
    fetched.clear()
    assert context.store.best_record(round_._stored.pk, goal)[0] == first[0]
    # The one record that is shown is read; no statement goes through the others.
    assert all("trial.pk = " in s for s in fetched if ".metrics" in s)


ODD = [
    *(
        '{"value": NaN}',
        '{"value": Infinity}',
        '{"value": -Infinity}',
        '{"value": 1e-310}',
        '{"value": 1.5e+300}',
    ),
    *('{"value": 123456789012345678901234567890}', '{"value":7}', '{ "value" : 7.0 }', '{"loss": 9.5}', "{}"),
    *('{"value": 0.1}', '{"value": 0.10000000000000002}', '{"value": 0.30000000000000004, "loss": NaN}'),
    *(
        '{"value": 8.0, "degenerate": 1.0}',
        '{"value": 8.5, "degenerate": NaN}',
        '{"value": -2, "degenerate": 0}',
    ),
    *(
        '{"value": 1e400}',
        '{"value": "x"}',
        '{"value": [1',
        '{"x\\"value": 99.0, "value": 0.5}',
        '{"value": null}',
    ),
    '{"my value": 50.0, "values": 60.0, "value": 0.25}',
]
"""Metrics as stores may hold them, by whoever wrote them."""


@pytest.mark.parametrize("texts", [ODD, ODD[7:], ['{"value": [1'] * 60], ids=["odd", "some", "none"])
def test_rows_that_can_not_be_read_are_no_best_and_stop_nothing(grown, monkeypatch, texts):
    _, round_ = grown
    _write(round_, range(60), random.Random(2))
    with round_._context.store.engine.begin() as connection:
        rows = connection.execute(sa.select(t.trial.c.pk).order_by(t.trial.c.pk)).scalars()
        for pk, text in zip(list(rows), texts, strict=False):
            change = {"metrics": text, "state": "complete"}
            connection.execute(t.trial.update().where(t.trial.c.pk == pk).values(change))
    monkeypatch.setattr(round_record, "LARGE", 0)
    ranked = best_first(round_.trials, "maximize", round_.space)
    names = ["x", "y", "value"]
    assert ranked.empty if round_.best is None else list(round_.best[names]) == list(ranked.iloc[0][names])
