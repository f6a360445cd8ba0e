"""Runs configurations of a person at once, in an existing round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, Unpack

from refine.errors import DesignError, SpaceError
from refine.run.options import RunKeywords
from refine.run.protocols import Objective
from refine.space.space import configuration_key, encode_configuration
from refine.space.user_configurations import given_configuration
from refine.tree.round_record import RoundRecord
from refine.tree.running import run_extended

R = TypeVar("R", bound=RoundRecord)


def try_out(
    self: R,
    configurations: Sequence[Mapping[str, object]],
    *,
    objective: Objective | None = None,
    objective_name: str | None = None,
    **options: Unpack[RunKeywords],
) -> R:
    """Runs configurations of your own now, in addition to the plan of the round.

    They count as given: they may be best and inform the posterior, but enter no test, because they are not a
    random sample. A configuration that ran in this round is not repeated.

    Args:
        configurations: Values by name, inside or outside the space, on a level or between levels.
        objective: As ``objective_name`` and ``options``: see :meth:`run`.

    Returns:
        This round.

    Raises:
        DesignError: ``configurations`` is empty, exceeds the budget of the tree, or the round was imported.
        RoundBusyError: The round is being run; nothing was planned.
        SpaceError: A configuration misses a parameter, or has a value that the parameter cannot have.

    Examples:
        >>> tried = root.try_out([{"lr": 1.4, "dropout": 0.0}], progress=False)
        >>> tried.trials[["lr", "origin"]].tail(1).to_dict("records")
        [{'lr': 1.4, 'origin': 'given'}]
    """
    if isinstance(configurations, Mapping | str) or not isinstance(configurations, Iterable):
        raise SpaceError(
            f"configurations must be a list of configurations, got {configurations!r}; put it in [...]"
        )
    asked = [given_configuration(self.space, c, f"configurations[{i}]") for i, c in enumerate(configurations)]
    if not asked:
        raise DesignError("configurations must hold at least one configuration, got none; write [{...}]")
    context = self.context
    stored = self._stored
    ran = set(context.store.records([stored.pk]).columns["key"])
    fresh = {key: c for c in asked if (key := configuration_key(c)) not in ran}
    if not fresh:
        return self
    self._budget.check(len(fresh), f"round {self.id}", "try out {left} or fewer")
    given = [("given", encode_configuration(c)) for c in fresh.values()]

    def extend() -> None:
        context.store.add_node(context.tree, self.node, self.n, given=given)

    return run_extended(
        self,
        extend,
        objective=objective,
        objective_name=objective_name,
        check_noise=False,
        trials=len(fresh),
        **options,
    )
