"""What an executor has to keep to so that a round can run on it."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.run.protocols import Objective
from refine.tree.tree import Tree

if TYPE_CHECKING:
    import pandas as pd

SPACE = {"x": (0.0, 1.0, 11), "n": (1, 4), "act": ["relu", "elu"]}


def noisy(params: Mapping[str, Any]) -> float:
    """An objective that draws from the generators of Python and numpy, slowly: others who draw from them would be seen."""
    total = float(params["x"] * params["n"])
    for _ in range(20):
        total += random.random() + float(np.random.normal())  # noqa: S311  # a round seeds both
        time.sleep(0.001)
    return total


def failing(params: Mapping[str, Any]) -> float:
    """An objective that raises for some of the configurations."""
    if params["act"] == "elu":
        raise ValueError("no elu")
    return float(params["x"])


class ExecutorContract(ABC):
    """The contract of a ``concurrent.futures`` executor, or of ``workers=`` alone where :meth:`executor` gives ``None``."""

    workers = 2

    @abstractmethod
    def executor(self) -> Executor | None:
        """What is tested; it is asked for once per round."""

    def _trials(self, objective: Objective, n: int = 12, *, in_process: bool = False) -> pd.DataFrame:
        with Tree("contract", store="sqlite://") as tree:
            root = tree.add_round(SPACE, objective, n=n, seed=4)
            if in_process:
                root.run(progress=False)
            else:
                root.run(self.workers, executor=self.executor(), progress=False)
            return root.trials.sort_values("cell").reset_index(drop=True)

    def test_trials_are_those_of_this_process(self) -> None:
        """The same cells under the same seeds, with the same values, in whatever order they end."""
        ours, theirs = self._trials(noisy, in_process=True), self._trials(noisy)
        columns = ["cell", "seed", "state", "value"]
        assert ours[columns].equals(theirs[columns]), f"{theirs[columns]}\nis not\n{ours[columns]}"

    def test_what_an_objective_raises_is_a_failed_trial(self) -> None:
        """And stops nothing."""
        trials = self._trials(failing)
        assert len(trials) == 12, f"{len(trials)} of 12 trials came back"
        states = trials["state"].where(trials["act"] == "relu", "failed")
        assert (trials["state"] == states).all(), trials[["act", "state"]]

    def test_a_round_can_go_on(self) -> None:
        """Run again with more configurations, it runs those that are new; a replay finds the same values."""
        with Tree("contract", store="sqlite://") as tree:
            root = tree.add_round(SPACE, noisy, n=4, seed=4)
            for n in (4, 9):
                root.run(self.workers, n=n, executor=self.executor(), progress=False)
                assert len(root.trials) == n
            assert root.replay(3, workers=self.workers, executor=self.executor()).same
