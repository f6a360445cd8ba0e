"""Weights & Biases, and Trackio, which has the same calls: a run per trial, grouped by round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refine.errors import DesignError
from refine.report.trackers.tracker import RoundFacts, Tracker, curve_steps, named, plain
from refine.trials.finished import FinishedTrial
from refine.trials.trial import FAILED
from refine.utils.extras import load


class WandB(Tracker):
    """Sends trials to Weights & Biases: one run per trial, in a group per round; the report as an artifact.

    Args:
        project: Name of the project; default that of the tree.
        mode: ``"online"`` or ``"offline"``, as for ``wandb.init``; default as wandb itself has it.
        settings: Further arguments of ``wandb.init``, such as ``{"entity": ...}``.
        patience: As for :class:`refine.report.trackers.Tracker`.
        report: As for :class:`refine.report.trackers.Tracker`.

    Raises:
        DesignError: wandb is not installed.
    """

    name = "Weights & Biases"

    def __init__(
        self,
        project: str | None = None,
        *,
        mode: str | None = None,
        settings: dict[str, Any] | None = None,
        patience: float = 30.0,
        report: bool = True,
    ) -> None:
        super().__init__(patience=patience, report=report)
        self._library = load("wandb", f"the tracker {self.name}", DesignError)
        self._project, self._settings = project, dict(settings or {})
        if mode is not None:
            self._settings["mode"] = mode
        self._facts: RoundFacts | None = None

    def opened(self, facts: RoundFacts) -> None:
        """Notes the round; runs are made per trial."""
        self._facts = facts

    def ended(self, trial: FinishedTrial) -> None:
        """Makes a run of the trial; the same trial has the same id."""
        assert self._facts is not None
        name = named(trial)
        run = self._library.init(
            project=self._project or self._facts.tree,
            id=name,
            name=name,
            group=trial.round,
            job_type="trial",
            tags=[trial.state, trial.origin],
            notes=self._facts.note or None,
            config={**plain(trial.params), **self._facts.tags, "refine.seed": trial.seed},
            resume="allow",
            reinit="create_new",
            **self._settings,
        )
        for step, row in enumerate(curve_steps(trial)):
            run.log(row, step=step)
        run.summary["refine.state"] = trial.state
        if trial.error:
            run.summary["refine.error"] = trial.error[-2000:]
        run.finish(exit_code=int(trial.state in FAILED))

    def closed(self, folder: Path | None) -> None:
        """Adds the report, in a run of its own."""
        assert self._facts is not None
        if folder is None:
            return
        name = f"{self._facts.id}-report"
        run = self._library.init(
            project=self._project or self._facts.tree,
            id=name,
            name=name,
            group=self._facts.id,
            job_type="report",
            config=self._facts.tags,
            resume="allow",
            reinit="create_new",
            **self._settings,
        )
        artifact = self._library.Artifact(name, type="report")
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)
        run.finish()


class Trackio(Tracker):
    """Sends trials to Trackio, which keeps them on this machine: one run per trial, in a group per round.

    Args:
        project: Name of the project; default that of the tree.
        settings: Further arguments of ``trackio.init``.
        patience: As for :class:`refine.report.trackers.Tracker`.

    Raises:
        DesignError: trackio is not installed.
    """

    name = "Trackio"

    def __init__(
        self, project: str | None = None, *, settings: dict[str, Any] | None = None, patience: float = 30.0
    ) -> None:
        super().__init__(patience=patience, report=False)
        self._library = load("trackio", f"the tracker {self.name}", DesignError)
        self._project, self._settings = project, dict(settings or {})
        self._facts: RoundFacts | None = None
        self._sent: set[str] = set()

    def opened(self, facts: RoundFacts) -> None:
        """Notes the round, and which of its trials are there."""
        self._facts = facts
        project = self._project or facts.tree
        try:
            known = self._library.Api().runs(project)
            self._sent = {run.name for run in known}
        except Exception:  # noqa: BLE001  # a project that is not there yet
            self._sent = set()

    def ended(self, trial: FinishedTrial) -> None:
        """Makes a run of the trial."""
        assert self._facts is not None
        if (name := named(trial)) in self._sent:
            return
        run = self._library.init(
            project=self._project or self._facts.tree,
            name=name,
            group=trial.round,
            config={
                **plain(trial.params),
                **self._facts.tags,
                "refine.seed": trial.seed,
                "refine.state": trial.state,
            },
            embed=False,
            **self._settings,
        )
        for step, row in enumerate(curve_steps(trial)):
            run.log(row, step=step)
        run.finish()
        self._sent.add(name)

    def closed(self, folder: Path | None) -> None:
        """Nothing is left to do: Trackio takes no files of a group."""
