"""What a store knows of a round: its place in the tree, its trials, what was decided. Reads, and runs nothing."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from refine.analysis.analysis import Analysis
from refine.analysis.learning_curves import best_curves
from refine.proposal.proposal import Proposal
from refine.review.checklist import Checks, checks_of
from refine.review.checks import Known
from refine.review.decision import Decision
from refine.run.holdout import HoldoutResult, holdout_result_of, holdout_results_of
from refine.run.identity import Objective
from refine.run.replicates import replicate_table
from refine.run.runner import planned_cells
from refine.space.encoding import decode, thaw
from refine.space.roles import roles_of
from refine.space.space import Space
from refine.tree.apply import path_to
from refine.tree.home import Home
from refine.tree.lineage import analysis_of
from refine.trials.round_record import Node, StoredNode
from refine.trials.trials import Metric, Score, best_first, check_direction, table

if TYPE_CHECKING:
    import optuna
    import pandas as pd


@dataclass(eq=False, repr=False)
class RoundView:
    """A round as it can be looked at; :class:`refine.Round` can be run as well.

    Attributes:
        home: Where it lives.
        node: Its frozen content.
        metric: Which metric is its value.
        direction: ``"maximize"`` or ``"minimize"``.
    """

    home: Home
    node: Node
    metric: str
    direction: str

    # What it is.

    @property
    def id(self) -> str:
        """The short node id."""
        return self.node.id

    @property
    def objective(self) -> Objective | None:
        """What it calls; ``None`` after reopening, until one is given to :meth:`run`."""
        return self.home.objectives.get((self.node.objective, self.node.data))

    @property
    def space(self) -> Space:
        """What is searched."""
        return self.node.space

    @property
    def roles(self) -> dict[str, str]:
        """The role of every parameter: ``"scientific"``, ``"nuisance"`` or ``"fixed"``; see :meth:`Round.set_roles`."""
        return roles_of(self.space, self._stored.node.scientific)

    @property
    def n(self) -> int:
        """How many configurations are planned."""
        return self._stored.n

    @property
    def parent(self) -> Self | None:
        """The round this one came from."""
        return None if self.node.parent is None else self._other(self.node.parent)

    @property
    def children(self) -> tuple[Self, ...]:
        """The rounds that came from this one, oldest first."""
        nodes = self.home.store.nodes(self.home.tree)
        return tuple(self._other(i) for i, s in nodes.items() if s.node.parent == self.id)

    @property
    def path(self) -> tuple[Node, ...]:
        """Nodes from the root to this one."""
        return path_to(self.node, self.home.store.nodes(self.home.tree))

    @property
    def _metric(self) -> Metric:
        return Metric.parse(self.metric, self.home.scores)

    @property
    def _stored(self) -> StoredNode:
        return self.home.store.nodes(self.home.tree)[self.id]

    def _other(self, node_id: str) -> Self:
        node = self.home.store.nodes(self.home.tree)[node_id].node
        if node.steered or self.node.steered:  # what steered a round is part of it, and of no other
            return type(self)(self.home, node, node.metric, node.direction)
        return type(self)(self.home, node, self.metric, self.direction)

    def cells(self, n: int | None = None) -> list[int]:
        """Numbers of the first ``n`` cells of the design; default all that are planned evenly.

        Raises:
            DesignError: More than exist.
        """
        return planned_cells(self.home.store, self._stored, n)

    # What came of it.

    @property
    def holdout_results(self) -> tuple[HoldoutResult, ...]:
        """What the hold-out showed, each time it was opened at this round, oldest first."""
        found = holdout_results_of(self.home.store, self._stored.pk)
        return tuple(holdout_result_of(self.home.store, self.node, o, self._metric) for o in found)

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: parameters, ``state, value, seconds, seed, cell, origin``, metrics."""
        records = self.home.store.records([self._stored.pk], curves=self._metric.curves)
        return table(self.space, records, self._metric)

    @property
    def replicates(self) -> pd.DataFrame:
        """Runs again, as :attr:`trials`, with their numbers in ``replicate``."""
        metric = self._metric
        records = self.home.store.records([self._stored.pk], curves=metric.curves, replicates=True)
        return replicate_table(self.space, records, metric)

    @property
    def failures(self) -> pd.DataFrame:
        """Trials that did not complete, with their tracebacks in ``error``."""
        records = self.home.store.records([self._stored.pk])
        frame = table(self.space, records, self._metric).assign(error=records.columns["error"])
        return frame[frame["state"] != "complete"].reset_index(drop=True)

    @property
    def shown(self) -> pd.DataFrame:
        """What every trial of an adaptive or pruned round was shown of others, in the order of :attr:`trials`.

        For an adaptive trial its number among the asks (``ask``), how many trials of earlier rounds (``earlier``)
        and of this one (``told``) the sampler knew, which were ``running``, and whether it was drawn ``evenly``
        because the sampler kept asking for what can't be had. With a pruner how many ended trials are behind its
        ``threshold`` (``basis``), and that: what had to be reached by every epoch from the last of its warmup on, in
        the metric's own sign; ``None`` where it was measured by nothing. Other rounds have no columns here.
        """
        import pandas as pd

        rows = self.home.store.shown(self._stored.pk)
        names = dict.fromkeys(name for row in rows for name in row if name != "rungs")
        return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, index=range(len(rows)))

    @property
    def best(self) -> pd.Series | None:
        """The row of the best trial; ``None`` before the first has finished.

        A degenerate trial is passed over, unless the round was added with ``allow_degenerate=True``.
        """
        frame = best_first(self.trials, self.direction, self.space, self.node.allow_degenerate)
        return None if frame.empty else frame.iloc[0]

    @property
    def best_params(self) -> dict[str, Any] | None:
        """The best configuration as the objective got it: classes and functions themselves, where ``best`` has labels.

        Reading it imports what the space refers to.
        """
        records = self.home.store.records([self._stored.pk], curves=self._metric.curves)
        frame = table(self.space, records, self._metric)
        ranked = best_first(frame, self.direction, self.space, self.node.allow_degenerate)
        if ranked.empty:
            return None
        return {name: thaw(decode(v)) for name, v in records.configurations[ranked.index[0]].items()}

    def analyze(
        self, metric: str | Score | None = None, direction: str | None = None, seed: int = 0
    ) -> Analysis:
        """Measures everything this round, and earlier ones inside its space, can teach.

        Args:
            metric: Another metric than the round's own.
            direction: Another direction.
            seed: Seed of every bootstrap and configuration.

        Raises:
            AnalysisError: Fewer than 10 finished space-filling trials, or an unknown metric.
        """
        chosen = Metric.parse(metric or self.metric, self.home.scores)
        direction = check_direction(direction or self.direction)
        return analysis_of(self.home.store, self.home.tree, self.path, chosen, direction, seed)

    def checks(self, analysis: Analysis | None = None, proposal: Proposal | None = None) -> Checks:
        """Questions to ask before deciding: a card each, with pass, warn or fail, its number and its picture.

        Args:
            analysis: Of this round, where it was made already.
            proposal: What is proposed on it; ``None`` where nothing is. :meth:`Review.gate` gives its own.

        Raises:
            AnalysisError: The round can't be analysed yet, or no trial may be called best.
        """
        found = self.analyze() if analysis is None else analysis
        home, node = self.home, self.node
        place = home.store, self._stored.pk, self.space, self._metric, self.direction, node.allow_degenerate
        curves = best_curves(*place, found.noise.sd)
        known = Known(proposal, self.roles, node.note, curves, self._best_before(), node.allow_degenerate)
        return checks_of(self.id, found, known)

    def _best_before(self) -> float:
        """Best value of the rounds that this one came from; NaN without one that is judged by the same."""
        sign = 1.0 if self.direction == "maximize" else -1.0
        values = []
        above = self.parent
        while above is not None:
            if (above.node.metric, above.node.direction) == (self.metric, self.direction):
                values += [] if above.best is None else [sign * float(above.best["value"])]
            above = above.parent
        return sign * max(values) if values else math.nan

    def to_optuna(self, storage: Any = None, study_name: str | None = None) -> optuna.Study:
        """All trials as an Optuna study, for ``optuna.visualization`` and optuna-dashboard.

        Replicates and failed trials are among them; of a trial that was run again, the last attempt. User attributes
        say ``round``, ``cell``, ``seed``, ``origin``, ``replicate``, ``attempt``, ``state``, the other metrics, and the
        last line of an error. Classes and functions stand there by their label.

        Args:
            storage: Optuna's storage or its URL; default in memory. Databases take about 10 ms per trial.
            study_name: Default the names of tree and round.

        Raises:
            StoreError: The storage can't be opened, or has a study of that name.
        """
        from refine.tree.exchange.optuna import to_study

        title = f"{self.home.name} {self.id}" if study_name is None else study_name
        where = (self.home.store, self._stored.pk, self.space, self._metric, self.direction, self.id)
        return to_study(*where, storage, title)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Everything decided on this round, oldest first."""
        return tuple(Decision.from_json(json.loads(c)) for c, _ in self.home.store.decisions(self._stored.pk))
