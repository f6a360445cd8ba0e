"""The contract of objectives: rules for trials that can be trusted, repeated and run on other machines."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import ObjectiveError
from refine.run.objective import evaluate, wants_trial
from refine.run.outcome import Outcome, Task
from refine.run.protocols import Objective
from refine.space.space import Space, configuration_key, encode_configuration, space_of
from refine.trials.trial import error_line

_SEEDS = (20_231, 977)


class Finding(NamedTuple):
    """A rule that an objective breaks.

    Attributes:
        check: Name of the check.
        text: The finding, in a sentence.
    """

    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"


@dataclass(frozen=True)
class _Case:
    """An objective and the arguments of its calls."""

    objective: Objective
    space: Space
    n: int

    @property
    def configurations(self) -> list[dict[str, Any]]:
        """Up to ``n`` configurations that meet the constraints, as frozen values; equal at each call."""
        rows = draw(Uniform(), self.space, min(self.n, feasible(self.space).low), seed=0)
        return [self.space.frozen(self.space.at(row)) for row in rows]

    def run(
        self, configuration: Mapping[str, object], seed: int, objective: Objective | None = None
    ) -> Outcome:
        """One trial in this process, run as in a round."""
        if objective is None:
            called = self.objective
        else:
            called = objective
        return evaluate(called, _task(configuration, seed), wants_trial(called, list(self.space)))


def _task(configuration: Mapping[str, object], seed: int) -> Task:
    encoded = encode_configuration(configuration)
    return Task(
        key=configuration_key(configuration),
        configuration=encoded,
        cell=None,
        replicate=0,
        attempt=0,
        origin="space_filling",
        seed=seed,
    )


def returns(case: _Case) -> Iterator[str]:
    """Returns a number, or a mapping of metrics to numbers, with equal names for all configurations."""
    names: dict[tuple[str, ...], dict[str, object]] = {}
    for configuration in case.configurations:
        outcome = case.run(configuration, _SEEDS[0])
        if outcome.state == "failed":
            yield f"fails with {configuration}: {error_line(outcome.error)}"
        else:
            names.setdefault(tuple(sorted(outcome.metrics)), configuration)
    if len(names) > 1:
        (a, first), (b, second) = list(names.items())[:2]
        yield f"returns the metrics {', '.join(a)} with {first}, but {', '.join(b)} with {second}"


def repeats(case: _Case) -> Iterator[str]:
    """Equal seeds give equal metrics and curves."""
    for configuration in case.configurations[:1]:
        first, second = (case.run(configuration, _SEEDS[0]) for _ in range(2))
        if "failed" in (first.state, second.state):
            continue
        results: dict[str, tuple[Any, Any]] = {
            "metrics": (first.metrics, second.metrics),
            "curves": (first.curve, second.curve),
        }
        for kind, (a, b) in results.items():
            if not _equal(a, b):
                yield f"two runs under seed {_SEEDS[0]} with {configuration} gave the {kind} {a} and {b}"


def keeps_seeds(case: _Case) -> Iterator[str]:
    """Different seeds leave different random states: a fixed seed would make replicates equal."""
    after = []
    for seed in _SEEDS:
        for configuration in case.configurations[:1]:
            case.run(configuration, seed)
        state: Any = np.random.get_state()  # the generator that objectives use
        after.append((state[1].tobytes(), state[2]))
    if case.configurations and after[0] == after[1]:
        yield "seeds numpy itself, so that runs under different seeds are equal; leave seeding to the round"


def keeps_params(case: _Case) -> Iterator[str]:
    """The configuration is not changed."""
    for configuration in case.configurations[:1]:
        changed: list[str] = []

        def watching(params: Any, trial: object, changed: list[str] = changed) -> Any:
            before = copy.deepcopy(dict(params))
            try:
                if wants_trial(case.objective):
                    return case.objective(params, trial)
                return case.objective(params)
            finally:
                after = dict(params)
                changed += [
                    n
                    for n in {**before, **after}
                    if n not in after or (before.get(n) is not after[n] and before.get(n) != after[n])
                ]

        case.run(configuration, _SEEDS[0], watching)
        if changed:
            yield f"changes its configuration ({', '.join(map(repr, changed))}); change a copy, dict(params)"


def travels(case: _Case) -> Iterator[str]:
    """A copy in a worker process gives equal results."""
    import cloudpickle

    try:
        sent = cloudpickle.loads(cloudpickle.dumps(case.objective))
    except Exception as error:  # noqa: BLE001  # any error of pickling is the finding
        yield f"can't be sent to a worker: {type(error).__name__}: {error}"
        return
    for configuration in case.configurations[:1]:
        original = case.run(configuration, _SEEDS[0])
        copied = case.run(configuration, _SEEDS[0], sent)
        if original.state != copied.state or not _equal(original.metrics, copied.metrics):
            results = f"{copied.metrics or copied.state}, the original {original.metrics or original.state}"
            yield f"a copy, as sent to workers, gave {results}"


def reports(case: _Case) -> Iterator[str]:
    """Epochs have equal sets of metrics."""
    for configuration in case.configurations[:1]:
        outcome = case.run(configuration, _SEEDS[0])
        last = {name for name in outcome.curve if name in outcome.metrics}
        for name, series in outcome.curve.items():
            missing = [i for i, value in enumerate(series) if math.isnan(value)]
            if missing and len(missing) < len(series):
                share = f"{len(missing)} of {len(series)} reported epochs, first in epoch {missing[0] + 1}"
                yield f"metric {name} has no number in {share}"
        if outcome.curve and not last and outcome.state == "complete":
            yield "no metric reported by epoch is among the returned metrics"


def takes_every_level(case: _Case) -> Iterator[str]:
    """The objective raises for no level of any parameter."""
    space = case.space
    earlier_lines: set[str] = set()
    for i in range(max((p.size for p in space.values()), default=0)):
        indices = [i % p.size for p in space.values()]
        if not space.valid(np.array([indices]))[0]:
            continue
        configuration = space.frozen(space.at(indices))
        outcome = case.run(configuration, _SEEDS[0])
        line = error_line(outcome.error)
        if outcome.state == "failed" and line not in earlier_lines:
            earlier_lines.add(line)
            yield f"fails with {configuration}: {line}"


CHECKS: tuple[Callable[[_Case], Iterator[str]], ...] = (
    returns,
    repeats,
    keeps_seeds,
    keeps_params,
    travels,
    reports,
    takes_every_level,
)


def findings_of(objective: Objective, space: Space | Mapping[str, object], n: int = 3) -> list[Finding]:
    """The rules that an objective breaks; empty for none. Stores no trial.

    Args:
        objective: ``f(params)`` or ``f(params, trial)``.
        space: The space of its search.
        n: Number of configurations for checks that need only one; in addition, each level is tried once.
    """
    case = _Case(objective, space_of(space), n)
    try:
        wants_trial(objective, list(case.space))
    except ObjectiveError as error:
        return [Finding("call", str(error))]
    return [Finding(check.__name__, text) for check in CHECKS for text in check(case)]


def check_objective(objective: Objective, space: Space | Mapping[str, object], n: int = 3) -> None:
    """Checks that an objective can be trusted, repeated and run on other machines; see :func:`findings_of`.

    Args:
        objective: ``f(params)`` or ``f(params, trial)``.
        space: The space of its search.
        n: Number of configurations for checks that need only one; in addition, each level is tried once.

    Raises:
        AssertionError: With a line per finding.
    """
    findings = findings_of(objective, space, n)
    if findings:
        raise AssertionError(
            "\n".join(["the objective breaks its contract:", *(f"- {finding}" for finding in findings)])
        )


def _holding(check: Callable[[_Case], Iterator[str]]) -> Callable[[Any], None]:
    """A check as a test of a contract, with the check's docstring."""

    def test(self: ObjectiveContract) -> None:
        space = self.space()
        broken = list(check(_Case(self.objective(), space_of(space), self.n)))
        assert not broken, "\n".join(broken)

    test.__doc__ = check.__doc__
    return test


class ObjectiveContract(ABC):
    """The checks as tests, one per check."""

    n = 3

    @abstractmethod
    def objective(self) -> Objective:
        """The objective under test."""

    @abstractmethod
    def space(self) -> Space | Mapping[str, Any]:
        """The space of its search."""

    def test_it_can_be_called(self) -> None:
        """Takes a configuration, or a configuration and the running trial."""
        wants_trial(self.objective(), list(self.space()))

    test_it_returns_numbers = _holding(returns)
    test_equal_seeds_give_equal_runs = _holding(repeats)
    test_it_leaves_seeding_to_the_round = _holding(keeps_seeds)
    test_it_does_not_write_into_its_configuration = _holding(keeps_params)
    test_it_travels_to_workers = _holding(travels)
    test_it_reports_whole_epochs = _holding(reports)
    test_it_takes_every_level = _holding(takes_every_level)


def _equal(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n], equal_nan=True) for n in a)
