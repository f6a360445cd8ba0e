"""Runs configurations of a person at once, in an existing round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar, Unpack

from refine.errors import DesignError
from refine.run.options import RunKeywords
from refine.run.protocols import Objective
from refine.space.categorical import surface
from refine.space.encoding import label
from refine.space.space import configuration_key, encode_configuration
from refine.space.user_configurations import given_configurations
from refine.tree.round_record import RoundRecord
from refine.tree.running import run_extended
from refine.trials.replicates import best_keys
from refine.trials.trial import FAILED, State
from refine.utils.action import Action
from refine.utils.warning import warn

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
    random sample. A configuration that ran in this round is not repeated; a warning names the call to repeat
    the configuration, if there is one: not if values repeat exactly, or the trial may not be called best.

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
    asked = given_configurations(self.space, configurations, "configurations")
    if not asked:
        raise DesignError("configurations must hold at least one configuration, got none; write [{...}]")
    context = self.context
    columns = context.store.records([self._stored.pk]).columns
    states = dict(zip(columns["key"], columns["state"], strict=True))
    by_key = {configuration_key(c): c for c in asked}
    new = {key: c for key, c in by_key.items() if key not in states}
    ended = {key: states[key] for key in by_key if key in states}
    if ended:
        _warn_of_ended(self, by_key, ended)
    if not new:
        return self
    self._budget.check(len(new), f"round {self.id}", "try out {left} or fewer")
    given = [("given", encode_configuration(c)) for c in new.values()]

    def extend() -> None:
        context.store.add_node(context.tree, self.node, self.n, given=given)

    return run_extended(
        self,
        extend,
        objective=objective,
        objective_name=objective_name,
        check_noise=False,
        trials=len(new),
        **options,
    )


def _warn_of_ended(
    round_: RoundRecord, configurations: Mapping[str, Mapping[str, object]], ended: Mapping[str, str]
) -> None:
    """Warns of configurations that ran already (key -> state), with the call that repeats the first one."""
    key, state = next(iter(ended.items()))
    configuration = configurations[key]
    values = {name: surface(configuration[name]) for name in round_.space.varied if name in configuration}
    text = ", ".join(f"{name} {label(configuration[name])}" for name in values)
    if len(ended) > 1:
        text += f" and {len(ended) - 1} further"
    ran = f"round {round_.id}: {text} ran already ({state}) and did not run now"
    if state == State.COMPLETE and round_.declared.noise == "none":
        warn(f"{ran}; values are declared to repeat exactly")
        return
    ranked = best_keys(round_.context.store.records([round_._stored.pk], curves=True), round_.goal)
    if state in (*FAILED, State.PRUNED, State.EXCLUDED):
        repeat = Action("round.run", rerun=str(state))
    elif key not in ranked:
        warn(f"{ran}; the trial may not be called best, so no repeat counts")
        return
    elif key == ranked[0]:
        repeat = Action("round.replicate", top=1, seeds=3)
    else:
        repeat = Action("tree.judge", values, "best", budget=6)
    warn(f"{ran}; repeat the trial", repeat)
