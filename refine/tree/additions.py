"""Plans more trials in an existing round: ``round.add()``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol, TypeVar

from refine.design.space_filling import design_named
from refine.errors import DesignError
from refine.proposal.allocation import check_shares
from refine.review.round_spec import check_per
from refine.run.replicates import check_times, known_best
from refine.space.space import encode_configuration
from refine.space.user_configurations import given_configurations
from refine.tree.round_record import RoundRecord
from refine.tree.running import extended_size
from refine.tree.untried import untried
from refine.trials.replicates import best_keys
from refine.trials.round_record import Addition, Encoded, repeats_of
from refine.utils.numbers import is_whole
from refine.utils.provided import provided


class Answered(Protocol):
    """An answer of ``tree.ask``."""

    @property
    def question(self) -> str:
        """The question in the words of a call."""


R = TypeVar("R", bound=RoundRecord)


def add(
    self: R,
    n: int | None = None,
    *,
    exploit: float | None = None,
    per: str = "trial",
    given: Sequence[Mapping[str, object]] = (),
    repeat: int | None = None,
    seeds: int = 3,
    settle: str | Answered | None = None,
) -> R:
    """Plans more trials in the round and returns the round, so that ``root.add(20).run()`` runs them.

    A call plans trials of one kind; calls can be chained. Decisions taken so far stay, and the next
    :meth:`propose` counts the new trials.

    - ``add(20)`` continues the design of the round. A repeated call adds as many again.
    - ``add(20, exploit=0.5)`` lets the model choose half of them while the round runs, where the best value
      is plausible, from all trials of the tree inside the space.
    - ``add(given=[{...}])`` runs configurations of your own. They may be best and inform the posterior, but
      enter no test, because they are not a random sample.
    - ``add(repeat=5, seeds=3)`` repeats the best five configurations under three new seeds each. Repeats
      join :attr:`replicates`, measure the noise, and show the share of luck in the best value:
      :meth:`optimism`. A repeated call plans only missing repeats.
    - ``add(settle="lr <= 2")`` runs new configurations near the bests of the two sides of a question, so that
      :meth:`Tree.ask` can answer.

    Args:
        n: Number of trials; with ``settle``, default :attr:`Answer.needed`.
        exploit: Share of ``n`` chosen by the model, from 0 to 1; default the round's own share. A child that
            was created with a larger share keeps its share.
        per: ``"second"`` divides the expected improvement of exploit trials by their expected duration.
        given: Values by name, inside or outside the space, on a level or between levels. A configuration that
            ran in this round is not repeated, with a warning. A configuration that completed in a round with
            evidence for this one runs again with a warning, unless values are declared to repeat exactly.
        repeat: Number of configurations to repeat, by the value of the planned run.
        seeds: Number of repeats per configuration. The noise needs 5 more repeats than configurations.
        settle: A question about the space of this round, or an answer of ``tree.ask(question, at=round)``.

    Returns:
        This round.

    Raises:
        DesignError: No trials or several kinds are asked for, a number is not a whole number >= 1, fewer
            configurations or a smaller budget are left, the round was imported, or its design chooses every
            configuration itself.
        ReviewError: ``exploit`` is out of range.
        RoundBusyError: The round is being run; nothing was planned.
        SpaceError: A configuration misses a parameter, has a value that the parameter cannot have, or the
            question is wrong.
        AnalysisError: No finished trial may be best, or no configuration is left to settle the question.

    Examples:
        >>> root.add(6, exploit=1.0).run().trials["origin"].value_counts().to_dict()
        {'space_filling': 30, 'exploit': 6}
        >>> root.add(repeat=2).run().replicates[["lr", "replicate", "value"]]
            lr  replicate   value
        0  1.5          1  0.9998
        1  1.5          2  0.9998
        2  1.5          3  0.9998
        3  1.0          1  0.9968
        4  1.0          2  0.9968
        5  1.0          3  0.9968
    """
    check_per(per)
    _check_one_kind(n, exploit, given, repeat, settle)
    if repeat is not None:
        check_times(repeat, seeds)
        _plan(self, _Plan(repeat=repeat, seeds=seeds))
    elif settle is not None:
        chosen = provided("round.settling")(self, settle, n)
        _plan(self, _Plan(configurations=_encoded(self, chosen)))
    elif _some(given):
        typed = given_configurations(self.space, given, "given")
        _plan(self, _Plan(configurations=_encoded(self, untried(self, typed))))
    else:
        count = 0 if n is None else n
        by_model = check_addition(self, count, exploit)
        _plan(self, _Plan(evenly=count - by_model, by_model=by_model, per=per))
    return self


def _check_one_kind(
    n: object, exploit: object, configurations: object, repeat: object, settle: object
) -> None:
    """Raises DesignError unless a call of :func:`add` asks for trials of one kind."""
    kinds = [
        name
        for name, present in (
            ("given", _some(configurations)),
            ("repeat", repeat is not None),
            ("settle", settle),
        )
        if present
    ]
    alone = {"n": n, "exploit": exploit}
    if kinds == ["settle"]:
        del alone["n"]
    kinds += [name for name, value in alone.items() if kinds and value is not None]
    if len(kinds) > 1:
        raise DesignError(
            f"add plans trials of one kind, got {kinds[0]}= and {kinds[1]}=; chain calls: "
            "round.add(6).add(repeat=5)"
        )
    if not kinds and n is None:
        raise DesignError(
            "add needs a number of trials, configurations, repeats or a question, got none; write add(6), "
            "add(given=[{...}]), add(repeat=5) or add(settle='lr <= 2')"
        )


def _some(argument: object) -> bool:
    """True unless an argument is an empty list."""
    return not (isinstance(argument, Sized) and not len(argument))


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """An addition to the plan of a round."""

    evenly: int = 0  # number of configurations of the design
    by_model: int = 0  # number of exploit trials
    per: str = "trial"
    configurations: Sequence[Encoded] = ()
    repeat: int = 0  # number of configurations to repeat
    seeds: int = 0


def _plan(round_: RoundRecord, plan: _Plan) -> None:
    """Stores an addition under the lease of the round.

    Raises:
        RoundBusyError: Another call runs the round.
        DesignError: The budget of the tree is too small.
    """
    context = round_._context
    store = context.store
    context.stored(round_.id)  # raises NotFoundError if another process removed the round
    with store.lease(round_._stored.pk, f"round {round_.id}"):
        n = round_.n + plan.evenly + plan.by_model
        additions = [*_exploit(round_, plan), *_repeats(round_, plan)]
        if additions or plan.configurations or n > round_.n:
            store.add_node(context.tree, round_._node, n, given=[*plan.configurations, *additions])


def _exploit(round_: RoundRecord, plan: _Plan) -> list[Addition]:
    """The exploit trials of an addition, numbered behind those that are planned already."""
    if not plan.by_model:
        return []
    stored = round_._stored
    planned = round_._context.store.beside(stored.pk)
    first = stored.off_design(planned) - sum(b.origin != "exploit" for b in planned)
    return [Addition("", first, first + plan.by_model, plan.per)]


def _repeats(round_: RoundRecord, plan: _Plan) -> list[Addition]:
    """The repeats of an addition, without those that are planned already."""
    if not plan.repeat:
        return []
    keys = best_keys(round_._records(), round_._goal)
    existing = repeats_of(round_._stored.additions)
    return [
        Addition(key, 0, plan.seeds)
        for key in known_best(keys, plan.repeat, round_.id)
        if existing.get(key, 0) < plan.seeds
    ]


def _encoded(round_: RoundRecord, configurations: Sequence[Mapping[str, object]]) -> list[Encoded]:
    """Configurations as the store holds them, after a check of the round and of the budget."""
    if not round_._node.adaptive:
        design_named(round_._node.method)
    round_._budget.check(len(configurations), f"round {round_.id}", "add {left} or fewer")
    return [("given", encode_configuration(c)) for c in configurations]


def check_addition(round_: RoundRecord, n: int, exploit: float | None) -> int:
    """Checks a number of further trials; returns the number of those that the model chooses.

    Raises:
        DesignError: As :func:`add`.
        ReviewError: ``exploit`` is out of range.
    """
    if not is_whole(n):
        raise DesignError(f"n must be a whole number >= 1 of trials to add, got {n!r}; write add(6)")
    check_shares(exploit)
    by_model = round((exploit or 0.0) * n)
    if by_model and round_._node.adaptive:
        raise DesignError(
            f"exploit= does not go with the design {round_._node.method!r}, which chooses every "
            "configuration itself; leave exploit out"
        )
    extended_size(round_, n, planned=round_.n)
    round_._budget.check(n, f"round {round_.id}", "ask for n={left} or fewer")
    return by_model
