"""Growth of work with the rounds of a tree: a branch reads a fixed number of times, an export per round."""

import pytest
import sqlalchemy as sa

import refine
from refine.store import reader
from refine.tree import winner

SPACE = {"x": (0.0, 1.0, 101), "y": (0.0, 1.0, 11)}


def chain(store, depth):
    """A tree of one path: every round but the first has one trial."""
    tree = refine.Tree("question", store=store)
    last = tree.add_round(
        SPACE, lambda p: p["x"], n=12, name="f", metric=refine.Goal("value", noise="retraining")
    ).run()
    for seed in range(1, depth):
        last = last.branch(SPACE, n=1, seed=seed)
    return tree, last


def statements(tree, call):
    """Number of SQL statements of a call."""
    counted = []
    engine = tree._context.store.engine

    def count(*args):
        counted.append(args[2])

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        call()
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)
    return len(counted)


def test_branch_costs_the_same_at_any_depth(tmp_path, monkeypatch):
    parsed = []
    original = reader.node_of
    monkeypatch.setattr(reader, "node_of", lambda row: parsed.append(row["id"]) or original(row))
    counts = []
    for depth in (4, 24):
        tree, last = chain(tmp_path / f"{depth}.db", depth)
        parsed.clear()
        counts.append(statements(tree, lambda last=last: last.branch(SPACE, n=1, seed=1000)))
        assert len(parsed) <= 2  # the newest nodes alone
        tree.close()
    assert counts[0] == counts[1]


@pytest.mark.nightly
@pytest.mark.slow
def test_export_is_linear_in_rounds(tmp_path, monkeypatch):
    measured = []
    original = winner.read_noise
    monkeypatch.setattr(winner, "read_noise", lambda *args: measured.append(1) or original(*args))
    counts = []
    for depth in (3, 6, 9):
        tree, _ = chain(tmp_path / f"{depth}.db", depth)
        measured.clear()
        counts.append(statements(tree, lambda tree=tree, depth=depth: tree.export(tmp_path / str(depth))))
        assert len(measured) <= depth
        tree.close()
    assert counts[2] - counts[1] == counts[1] - counts[0]
