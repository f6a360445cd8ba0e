"""MLflow: a run per round, and one per trial below it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from refine.errors import DesignError
from refine.report.trackers.tracker import RoundFacts, Tracker, curve_steps, named, now_ms, plain
from refine.trials.trial import FAILED, FinishedTrial
from refine.utils.extras import load

_MOST = 1000
"""Metrics that MLflow takes at once."""


class MLflow(Tracker):
    """Sends trials to MLflow: a run per round with tags and report, and below it one run per trial.

    Args:
        uri: Of the tracking server or folder; default as MLflow itself has it, such as by ``MLFLOW_TRACKING_URI``.
        experiment: Name of the experiment; default that of the tree.
        patience: As for :class:`refine.report.trackers.Tracker`.
        report: As for :class:`refine.report.trackers.Tracker`.

    Raises:
        DesignError: MLflow is not installed.
    """

    name = "MLflow"

    def __init__(
        self,
        uri: str | None = None,
        experiment: str | None = None,
        *,
        patience: float = 30.0,
        report: bool = True,
    ) -> None:
        super().__init__(patience=patience, report=report)
        # A line for every run would go between those of the progress bar.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self._library = load("mlflow", f"the tracker {self.name}", DesignError)
        self._client = self._library.MlflowClient(uri)
        self._experiment = experiment
        self._place = self._run = ""
        self._sent: set[str] = set()

    def opened(self, facts: RoundFacts) -> None:
        """Finds or makes experiment and run."""
        name = self._experiment or facts.tree
        found = self._client.get_experiment_by_name(name)
        self._place = self._client.create_experiment(name) if found is None else found.experiment_id
        runs = self._search(f"tags.`refine.id` = '{facts.id}'")
        run = runs[0] if runs else self._client.create_run(self._place, tags=facts.tags, run_name=facts.id)
        self._run = run.info.run_id
        below = self._search(f"tags.`mlflow.parentRunId` = '{self._run}'") if runs else []
        self._sent = {r.info.run_name for r in below if r.info.status != "RUNNING"}

    def _search(self, text: str) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self._place], text, max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def ended(self, trial: FinishedTrial) -> None:
        """Makes a run of the trial."""
        if (name := named(trial)) in self._sent:
            return
        entities = self._library.entities
        tags = {
            "mlflow.parentRunId": self._run,
            "refine.round": trial.round,
            "refine.state": trial.state,
            "refine.origin": trial.origin,
            "refine.seed": str(trial.seed),
        }
        if trial.error:
            tags["refine.error"] = trial.error[-2000:]
        began, over = now_ms(trial.seconds), now_ms()
        run = self._client.create_run(self._place, start_time=began, tags=tags, run_name=name).info.run_id
        # MLflow refuses NaN in some stores; the state says that a trial diverged.
        numbers = [
            entities.Metric(k, float(v), over, step)
            for step, row in enumerate(curve_steps(trial))
            for k, v in row.items()
            if math.isfinite(v)
        ]
        params = [entities.Param(k, str(v)) for k, v in plain(trial.params).items()]
        self._client.log_batch(run, metrics=numbers[-_MOST:], params=params)
        for start in range(0, len(numbers) - _MOST, _MOST):
            self._client.log_batch(run, metrics=numbers[start : min(start + _MOST, len(numbers) - _MOST)])
        self._client.set_terminated(run, "FAILED" if trial.state in FAILED else "FINISHED", over)
        self._sent.add(name)

    def closed(self, folder: Path | None) -> None:
        """Adds the report and ends the round's run."""
        if folder is not None:
            self._client.log_artifacts(self._run, str(folder), "report")
        self._client.set_terminated(self._run, "FINISHED")
