"""The number of statements to the store is the same for trees of ten and of a hundred rounds."""

import pytest
import sqlalchemy as sa

import refine
from refine.review.decision import Decision
from refine.run.outcome import Outcome, Task
from refine.run.runner import _trial
from refine.space.space import configuration_key
from refine.trials.round_record import Node, StoredDecision


def bowl(params):
    return -((params["x"] - 3) ** 2) - params["y"]


def _grown(tree, rounds):
    """Two branches of rounds, each on a space of its own, with decisions, tags and a few trials."""
    store = tree._context.store
    row = tree._context.tree
    nodes = []
    for i in range(rounds):
        parent = nodes[-2 if i > 1 else -1] if nodes else None
        space = refine.Space({"x": (0, 9), "y": (0.0, 1.0 + i, 5)})
        fields = {"method": "sobol", "seed": 1, "objective": "bowl", "note": f"step {i}", "author": "ann"}
        node = Node(parent and parent.id, space, **fields, created=float(i))
        link = None
        if parent:
            decision = Decision(
                kind="branched",
                proposal="",
                space=space,
                edits={},
                rejected=(),
                child=node.id,
                note=node.note,
                author=node.author,
                n=12,
            )
            on = store.nodes(row)[parent.id].pk
            link = StoredDecision(on, decision.digest, decision.dumps(), node.id)
        pk = store.add_node(row, node, 12, decision=link)
        _run(store, pk, node, 12 if i == rounds - 1 else 4)
        if i % 5 == 0:
            store.set_tag(row, f"tag {i}", pk)
        nodes.append(node)
    return tree[nodes[-1].id]


def _run(store, pk, node, n):
    with store.writer(pk) as writer:
        for cell in range(n):
            params = node.space.configuration(cell)
            key = configuration_key(params)
            outcome = Outcome(
                state="complete",
                metrics={"value": bowl(params)},
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
                replicate=0,
                attempt=0,
                origin="space_filling",
                seed=cell,
            )
            writer.add(_trial(task, outcome, "code"))


@pytest.fixture(scope="module", params=[10, 40])
def grown(request, tmp_path_factory):
    with refine.Tree("many", store=tmp_path_factory.mktemp("many") / "refine.db") as tree:
        last = _grown(tree, request.param)
        yield tree, last, tmp_path_factory.mktemp("reports")


LOOKS = {
    "print(tree)": lambda tree, last, folder: str(tree),
    "tree._best()": lambda tree, last, folder: tree._best(),
    "tree.log()": lambda tree, last, folder: tree.log(),
    "tree.to_dict()": lambda tree, last, folder: tree.to_dict(),
    "tree.calibration()": lambda tree, last, folder: tree.calibration(),
    "tree.report()": lambda tree, last, folder: tree.report(folder),
    "print(round)": lambda tree, last, folder: str(last),
    "round.analyze()": lambda tree, last, folder: last.analyze(),
    "round.report()": lambda tree, last, folder: last.report(folder),
}
SEEN = {}


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS)
def test_looks_need_as_many_statements_for_any_number_of_rounds(grown, name):
    tree, last, folder = grown
    statements = []
    sa.event.listen(
        tree._context.store.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    LOOKS[name](tree, last, folder)
    assert len(statements) <= 30, statements
    assert SEEN.setdefault(name, len(statements)) == len(statements)
