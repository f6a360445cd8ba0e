"""What a statistic has to keep to: options in fields, data in the call, a small result, and nothing changed on the way."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np


class StatisticContract(ABC):
    """The contract of a statistic, such as those of :mod:`refine.stats`."""

    @abstractmethod
    def statistic(self) -> Callable[..., Any]:
        """What is tested, with few resamples."""

    @abstractmethod
    def data(self) -> tuple[Any, ...]:
        """What it is called with."""

    def test_options_are_fields_that_cannot_change(self) -> None:
        """A frozen dataclass, equal to another with the same options."""
        statistic = self.statistic()
        assert dataclasses.is_dataclass(statistic), "a statistic is a dataclass"
        for field in dataclasses.fields(statistic):
            try:
                setattr(statistic, field.name, None)
            except dataclasses.FrozenInstanceError:
                continue
            raise AssertionError(f"{field.name} can be changed: @dataclass(frozen=True)")
        assert statistic == self.statistic()

    def test_equal_data_give_equal_results(self) -> None:
        """Its draws come from a seed of its own: global generators are neither used nor touched."""
        states: list[Any] = []
        results = []
        for _ in range(2):
            statistic, data = self.statistic(), self.data()
            before: Any = random.getstate(), np.random.get_state()
            results.append(statistic(*data))
            states.append(_equal(before, (random.getstate(), np.random.get_state())))
            np.random.seed(7)
            random.seed(7)
        first, second = results
        assert all(states), "it draws from a global generator"
        assert _equal(first, second), f"{second} is not {first}"

    def test_its_data_stay_as_they_were(self) -> None:
        """Arrays and lists are not written into."""
        data = self.data()
        kept = copy.deepcopy(data)
        self.statistic()(*data)
        assert _equal(data, kept), "it writes into its data"

    def test_results_are_documented_tuples(self) -> None:
        """A NamedTuple, or several, with a docstring."""
        result = self.statistic()(*self.data())
        for each in result if type(result) in (list, tuple) else [result]:
            if isinstance(each, tuple):
                assert hasattr(each, "_fields"), f"{type(each).__name__} is no NamedTuple"
            assert type(each).__doc__, f"{type(each).__name__} has no docstring"

    def test_it_says_what_it_is(self) -> None:
        """Its class and its call have docstrings."""
        kind = type(self.statistic())
        assert kind.__doc__
        assert not kind.__doc__.startswith(f"{kind.__name__}("), (
            "the docstring is the one that dataclass makes"
        )
        assert kind.__call__.__doc__, "its call has no docstring"

    def test_it_can_be_sent_to_another_process(self) -> None:
        """With its options."""
        assert pickle.loads(pickle.dumps(self.statistic())) == self.statistic()


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        x, y = np.asarray(a), np.asarray(b)
        return x.shape == y.shape and bool(np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"))
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(
            _equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    return type(a) is type(b) and (callable(a) or bool(a == b))
