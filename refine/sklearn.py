"""A search of scikit-learn that narrows its space between rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state

from refine.analysis.analysis import LEAST
from refine.analysis.finished_runs import scores_of
from refine.design.space_filling import feasible
from refine.errors import AnalysisError, DesignError
from refine.proposal.proposal import check_risk
from refine.review.review import Review
from refine.review.round_spec import Plan
from refine.run.machine import Machine
from refine.space.encoding import freeze
from refine.space.space import Space, configuration_key, space_of
from refine.tree.children import left_to_run
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.goal import Goal
from refine.utils.warning import warn

# Half of a later round is spent where the optimum is plausible, as by :func:`refine.autopilot`.
_PLAN = Plan(exploit=0.5, audit=0.0)


class RefineSearchCV(BaseSearchCV):  # type: ignore[misc]  # nothing is known of scikit-learn's types
    """A search of scikit-learn in rounds, each inside the space that the previous round proposes.

    Even trials of a round run together on ``n_jobs``; half of a later round is chosen by results, one after
    the other.

    Args:
        estimator: The estimator, such as a pipeline.
        space: A :class:`refine.Space` or its mapping, with names as ``set_params`` has them: ``{"clf__C":
            refine.Float(0.01, 100, log=True)}``.
        n: Number of configurations in total; at most the size of the space.
        rounds: Number of rounds, of at least ten configurations each; with fewer than 20 configurations, a
            single round. If too few configurations of a round have a score for an analysis, that round is
            the last, with a warning.
        risk: Accepted probability of losing the best value, per narrowing.
        scoring: As ``n_jobs``, ``refit``, ``cv``, ``verbose``, ``pre_dispatch``, ``error_score`` and
            ``return_train_score``: see ``sklearn.model_selection.RandomizedSearchCV``. With several scorers
            ``refit`` names the deciding scorer.
        random_state: Seed of the drawn configurations.

    Attributes:
        tree_: The :class:`refine.Tree` of its rounds, in memory; it is not part of a pickle.

    Raises:
        SpaceError: When it is fitted, as ``DesignError`` and ``AnalysisError``: the space, the counts or
            ``refit`` break a rule.

    Examples:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from refine.sklearn import RefineSearchCV
        >>> estimator = DecisionTreeClassifier(random_state=0)
        >>> search = RefineSearchCV(estimator, {"max_depth": (1, 12)}, n=12, cv=2, random_state=0)
        >>> len(search.fit([[0], [1], [2], [3]] * 6, [0, 1, 0, 1] * 6).cv_results_["params"])
        12
    """

    def __init__(
        self,
        estimator: object,
        space: Space | Mapping[str, object],
        *,
        n: int = 60,
        rounds: int = 2,
        risk: float = 0.05,
        scoring: object = None,
        n_jobs: int | None = None,
        refit: object = True,
        cv: object = None,
        verbose: int = 0,
        pre_dispatch: object = "2*n_jobs",
        random_state: object = None,
        error_score: object = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n = n
        self.rounds = rounds
        self.risk = risk
        self.random_state = random_state

    def propose(self, risk: float | None = None) -> Review[Round]:
        """Proposes a further round, by default at the ``risk`` of the search, on the data of ``fit``."""
        return self.tree_.rounds[-1].propose(self.risk if risk is None else risk)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in super().__getstate__().items() if name != "tree_"}

    def _run_search(
        self, evaluate_candidates: Callable[[Sequence[dict[str, Any]]], Mapping[str, Any]]
    ) -> None:
        for name, count in (("n", self.n), ("rounds", self.rounds)):
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
                raise DesignError(f"{name} must be a whole number >= 1, got {count!r}; such as {name}=20")
        check_risk(self.risk)
        # A function may return several scores, which is known when it was called.
        named = callable(self.scoring) and isinstance(self.refit, str)
        if named:
            metric = self.refit
        else:
            metric = self._get_scorers()[1]
        if not isinstance(metric, str):
            raise AnalysisError(
                f"refit must name the scorer to go by where there are several, got {metric!r}; such as "
                "refit='accuracy'"
            )
        scored = dict[str, dict[str, float]]()
        raised = list[Exception]()

        def score(candidates: Sequence[dict[str, Any]]) -> None:
            results = evaluate_candidates(candidates)
            scored.update(zip(map(_key, results["params"]), scores_of(results, metric), strict=True))

        def objective(params: Mapping[str, object]) -> dict[str, float]:
            if _key(params) not in scored:
                try:
                    score([dict(params)])
                except Exception as error:
                    raised.append(error)
                    raise
            return scored[_key(params)]

        def run(current: Round) -> None:
            score([current.space.configuration(cell) for cell in current._cells()])
            current.run(machine=Machine(progress=False))
            if raised and self.error_score == "raise":
                raise raised[0]

        space = space_of(self.space)
        n = min(self.n, feasible(space).high)
        rounds = max(1, min(self.rounds, n // LEAST))
        share = n // rounds
        self.tree_ = Tree("search", store=":memory:")
        current = self.tree_.add_round(
            space,
            objective,
            metric=Goal(metric, "maximize", noise="retraining"),
            n=n - share * (rounds - 1),
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            name="search",
        )
        run(current)
        for _ in range(rounds - 1):
            try:
                review = current.propose(risk=self.risk)
            except AnalysisError as error:
                warn(f"the search ended after {len(scored)} of {n} configurations: {error}")
                break
            size = min(share, left_to_run(current, review.space))
            if not size:
                break
            current = review.accept(n=size, author="RefineSearchCV", plan=_PLAN)
            run(current)


def _key(params: Mapping[str, object]) -> str:
    return configuration_key({name: freeze(value) for name, value in params.items()})
