"""The contract of executors on which rounds can run."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.run.executors import TrialExecutor
from refine.run.machine import Machine
from refine.run.protocols import Objective
from refine.tree.tree import Tree

if TYPE_CHECKING:
    import pandas as pd

SPACE = {"x": (0.0, 1.0, 11), "n": (1, 4), "act": ["relu", "elu"]}


def noisy(params: Mapping[str, Any]) -> float:
    """An objective that draws slowly from Python's and numpy's generators, to detect concurrent draws."""
    total = float(params["x"] * params["n"])
    for _ in range(20):
        total += random.random() + float(np.random.normal())  # noqa: S311  # a round seeds both
        time.sleep(0.001)
    return total


def failing(params: Mapping[str, Any]) -> float:
    """An objective that raises for some configurations."""
    if params["act"] == "elu":
        raise ValueError("no elu")
    return float(params["x"])


def printing(params: Mapping[str, Any]) -> float:
    """An objective that prints, as training loops do."""
    print(f"x = {params['x']}", flush=True)  # noqa: T201  # tests an executor with output
    return float(params["x"])


class ExecutorContract(ABC):
    """The contract of an executor, of refine or of ``concurrent.futures``, or of ``workers=`` alone."""

    workers = 2

    @abstractmethod
    def executor(self) -> Executor | TrialExecutor | None:
        """The executor under test; called once per round."""

    def _machine(self) -> Machine:
        return Machine(workers=self.workers, executor=self.executor(), progress=False)

    def _trials(self, objective: Objective, *, in_process: bool = False) -> pd.DataFrame:
        with Tree("contract", store="sqlite://") as tree:
            root = tree.add_round(SPACE, objective, n=12, seed=4)
            if in_process:
                root.run(machine=Machine(progress=False))
            else:
                root.run(machine=self._machine())
            return root.trials.sort_values("cell").reset_index(drop=True)

    def test_trials_are_those_of_this_process(self) -> None:
        """Cells, seeds and values equal those of this process, in any order."""
        local = self._trials(noisy, in_process=True)
        remote = self._trials(noisy)
        columns = ["cell", "seed", "state", "value"]
        assert local[columns].equals(remote[columns]), f"{remote[columns]}\nis not\n{local[columns]}"

    def test_what_an_objective_raises_is_a_failed_trial(self) -> None:
        """An exception of the objective fails the trial and does not stop the round."""
        trials = self._trials(failing)
        assert len(trials) == 12, f"{len(trials)} of 12 trials came back"
        states = trials["state"].where(trials["act"] == "relu", "failed")
        assert (trials["state"] == states).all(), trials[["act", "state"]]

    def test_prints_of_an_objective_do_no_harm(self) -> None:
        """Values arrive unchanged if the objective prints."""
        trials = self._trials(printing)
        assert trials["value"].equals(trials["x"]), trials[["state", "x", "value"]]

    def test_a_round_can_go_on(self) -> None:
        """A larger second run adds only new configurations; a replay gives equal values."""
        with Tree("contract", store="sqlite://") as tree:
            root = tree.add_round(SPACE, noisy, n=4, seed=4)
            for n in (4, 9):
                root.run(n, machine=self._machine())
                assert len(root.trials) == n
            assert root.replay(3, machine=self._machine()).same
