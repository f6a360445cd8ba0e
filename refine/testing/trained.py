"""What an objective that trains Keras models has to keep to, beside what every objective has."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from refine.run.objective import Configuration, RunningTrial
from refine.space.space import Space
from refine.testing.objectives import ObjectiveContract


class KerasObjectiveContract(ObjectiveContract):
    """The contract of a :class:`refine.keras.KerasObjective`: ``objective()`` returns one."""

    n = 2

    def _run(self) -> tuple[dict[str, float], RunningTrial]:
        trial = RunningTrial(seed=5)
        space = self.space()
        searched = space if isinstance(space, Space) else Space(space)
        objective: Any = self.objective()
        return objective(Configuration(searched.configuration(0)), trial), trial

    def test_its_data_have_a_fingerprint(self) -> None:
        """The same for the same data."""
        one: Any = self.objective()
        other: Any = self.objective()
        assert isinstance(one.fingerprint, str)
        assert one.fingerprint == other.fingerprint, "the same data gave two fingerprints"

    def test_validation_is_reported_by_epoch(self) -> None:
        """There are metrics of the validation rows, and what is returned is the value of an epoch."""
        metrics, trial = self._run()
        assert any(name.startswith("val_") for name in metrics), (
            f"no metric of the validation rows: {metrics}"
        )
        for name, series in trial.curve.items():
            assert name in metrics, f"{name} is reported by epoch and not returned"
            assert np.isclose(series, metrics[name], equal_nan=True).any(), (
                f"{name} is {metrics[name]}, which is the value of no epoch"
            )

    def test_a_model_can_be_kept(self) -> None:
        """What :meth:`Round.best_model` trains again can be saved and read, and predicts the same."""
        objective: Any = self.objective()
        space = self.space()
        searched = space if isinstance(space, Space) else Space(space)
        model, metrics = objective.trained(Configuration(searched.configuration(0)), RunningTrial(seed=5))
        again, _ = self._run()
        shared = metrics.keys() & again.keys()
        assert shared
        assert all(np.isclose(metrics[n], again[n], equal_nan=True) for n in shared), (
            "trained again it is another model"
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            assert objective.load_model(path) is None
            objective.save_model(model, path)
            read = objective.load_model(path)
            for a, b in zip(model.get_weights(), read.get_weights(), strict=True):
                assert np.array_equal(a, b)
