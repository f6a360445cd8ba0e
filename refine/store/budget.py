"""The budget of a tree in the store: value, spent trials, running trials."""

from __future__ import annotations

import contextlib
import json

import sqlalchemy as sa

from refine.space.fidelity import Fidelity, fidelity_of
from refine.space.space import Space
from refine.store.lease import lease_rows
from refine.store.schema import t
from refine.store.validity import BROKEN
from refine.trials.budget import Budget, BudgetState, checked_budget
from refine.trials.trial import FAILED, State

_BUDGET = "budget/"  # beginning of keys in the table ``meta``: budget of a tree, by row
_CLAIM = "claim/"  # claim of a call in progress, by the rows of tree and round


def write_budget(connection: sa.Connection, tree: int, budget: Budget) -> None:
    """Stores the budget of a tree; ``None`` removes it."""
    c = t.meta.c
    key = f"{_BUDGET}{tree}"
    connection.execute(t.meta.delete().where(c.key == key))
    if budget is not None:
        connection.execute(t.meta.insert().values(key=key, value=json.dumps(budget)))


def read_state(connection: sa.Connection, tree: int) -> BudgetState:
    """The budget of a tree, with the spent trials and training time."""
    trial = t.trial.c
    node = t.node.c
    ran = trial.environment.is_not(None)
    # A dead worker leaves no environment. Imported trials and copied results have no environment either.
    lost = (trial.origin != "imported") & trial.state.in_([*FAILED, State.PRUNED])
    of_tree = trial.node.in_(sa.select(node.pk).where(node.tree == tree))
    repeat = sa.case((trial.replicate > 0, 1), else_=0)
    cheap = sa.case((trial.state == State.CHEAP, 1), else_=0)
    query = sa.select(sa.func.count(), sa.func.sum(repeat), sa.func.sum(trial.seconds), sa.func.sum(cheap))
    fidelity = _fidelity(connection, tree)
    spent, repeats, seconds, n_cheap = connection.execute(query.where(of_tree, ran | lost)).one()
    return BudgetState(
        limit=read_budget(connection, tree),
        spent=int(spent),
        running=sum(claimed_trials(connection, tree).values()),
        repeats=int(repeats or 0),
        seconds=float(seconds or 0.0),
        cheap=int(n_cheap or 0),
        cheap_cost=1.0 if fidelity is None else fidelity.cost,
        mean_cost=1.0 if fidelity is None else fidelity.mean_cost,
    )


def _fidelity(connection: sa.Connection, tree: int) -> Fidelity | None:
    """The fidelity of the oldest round of a tree that has one; ``None`` without one."""
    node = t.node.c
    query = (
        sa.select(node.content).where(node.tree == tree, node.content.like('%"fidelity"%')).order_by(node.pk)
    )
    for content in connection.execute(query).scalars():
        with contextlib.suppress(*BROKEN):
            named = fidelity_of(Space.from_json(json.loads(content)["space"]))
            if named is not None:
                return named[1]
    return None


def read_budget(connection: sa.Connection, tree: int) -> Budget:
    """The budget of a tree; ``None`` without a budget, or if the stored text is damaged."""
    c = t.meta.c
    text = connection.execute(sa.select(c.value).where(c.key == f"{_BUDGET}{tree}")).scalar()
    if text is None:
        return None
    with contextlib.suppress(*BROKEN):
        return checked_budget(json.loads(text))
    return None


def claimed_trials(connection: sa.Connection, tree: int) -> dict[int, int]:
    """Row of a round -> trials claimed by a call in progress and not stored yet."""
    c = t.meta.c
    query = sa.select(c.key, c.value).where(c.key.like(f"{_CLAIM}{tree}/%"))
    claims = connection.execute(query).all()
    if not claims:
        return {}
    held_nodes = {lease.node for lease in lease_rows(connection) if lease.alive}
    claimed = {}
    for key, text in claims:
        with contextlib.suppress(*BROKEN):
            node = int(key.rpartition("/")[2])
            if node in held_nodes:
                claimed[node] = max(0, int(json.loads(text)) - rows_of(connection, node))
    return claimed


def rows_of(connection: sa.Connection, node: int) -> int:
    """Number of stored trials of a round, repeats and further attempts included."""
    query = sa.select(sa.func.count()).select_from(t.trial).where(t.trial.c.node == node)
    return int(connection.execute(query).scalar_one())


def lock_budget(connection: sa.Connection, tree: int) -> None:
    """Takes the lock for writing: two coordinators must not claim the same trials."""
    c = t.meta.c
    connection.execute(t.meta.update().where(c.key == f"{_BUDGET}{tree}").values(value=c.value))


def write_claim(connection: sa.Connection, tree: int, node: int, count: int) -> None:
    """Claims ``count`` trials of a round for a call."""
    release_claim(connection, tree, node)
    target = rows_of(connection, node) + count
    connection.execute(t.meta.insert().values(key=f"{_CLAIM}{tree}/{node}", value=json.dumps(target)))


def release_claim(connection: sa.Connection, tree: int, node: int) -> None:
    """Ends the claim of a call."""
    connection.execute(t.meta.delete().where(t.meta.c.key == f"{_CLAIM}{tree}/{node}"))
