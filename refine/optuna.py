"""Works on an Optuna study in place: its review, a sampler that follows a decision, and a stopping rule."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from refine.analysis.finished_runs import analysis_of
from refine.analysis.finished_study import DECISION, decided_at, read_study
from refine.errors import AnalysisError, DesignError, ReviewError
from refine.proposal.proposal import with_call
from refine.review.decision import Decision, check_author, check_note
from refine.review.review import Review, decision_on, edits_of
from refine.review.worth import CONTINUE, worth_of
from refine.space.encoding import round_significant
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.tree.exchange.optuna import to_study as to_study
from refine.tree.round import Round
from refine.tree.tree import Tree
from refine.trials.goal import check_epsilon
from refine.utils.action import Action, Symbol
from refine.utils.arrays import objects
from refine.utils.extras import load
from refine.utils.format import join
from refine.utils.numbers import is_whole
from refine.utils.warning import warn

optuna: Any = load("optuna", "refine.optuna", AnalysisError)

# User attribute of a study for the latest result of StopWhenNotWorth.
WORTH = "refine:worth"

# Share of exploit trials among the simulated further trials, as in a sampler that learns.
_EXPLOIT = 0.5

_LOOKS = 3  # in a row that find searching on not worth it; by one alone most searches of TPE ended too early
_ROUNDING = 1e-9  # steps that a bound may lie off its step


def review(
    study: object,
    study_name: str | None = None,
    *,
    risk: float = 0.05,
    epsilon: float | Mapping[str, float] | None = None,
    value: int | None = None,
    space_filling: bool | None = None,
) -> Review[Round]:
    """A review of a running or finished study, to print, edit and give to :func:`narrow`.

    All ended trials count, also those after an earlier decision, on the whole space that they were
    suggested in. Nothing is tested on trials that a sampler chose by results.

    Args:
        study: As ``study_name``, ``value`` and ``space_filling``: see :meth:`refine.Tree.add_runs`.
        study_name: Its name in that storage.
        risk: As ``epsilon``: see :meth:`refine.Round.propose`.
        epsilon: Loss that counts as none.
        value: Number of the objective that alone is the value.
        space_filling: Whether its trials were drawn without looking at results.

    Raises:
        AnalysisError: Fewer than ten trials have a value, or as in :meth:`refine.Tree.add_runs`.

    Examples:
        >>> import optuna, refine.optuna
        >>> study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        >>> def loss(trial):
        ...     return trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_int("k", 1, 3)
        >>> study.optimize(loss, n_trials=30)
        >>> narrowed = refine.optuna.narrow(study, refine.optuna.review(study), note="k = 1 is best")
        >>> narrowed.optimize(loss, n_trials=5)
        >>> {t.params["k"] for t in narrowed.trials[30:]}
        {1}
    """
    root = Tree("study", store=":memory:").add_runs(
        study, study_name=study_name, value=value, space_filling=space_filling
    )
    opened = root.propose(risk=risk, epsilon=epsilon)
    call = Action("refine.optuna.narrow", Symbol("study"), Symbol("review"))
    return replace(opened, proposal=with_call(opened.proposal, call))


def narrow(
    study: Any, review: Review[Any] | None = None, *, note: str = "", author: str | None = None
) -> Any:
    """The same study, with its own sampler restricted to the decided space.

    ``optimize``, ``ask`` and ``trial.suggest_*`` work as before; trials keep the distributions of the
    objective. The sampler does not draw dropped choices and values; enqueued trials run unchanged. The
    sampler sees only the trials inside the space, as if the study began there. The decision is stored in the
    user attributes of the study.

    Args:
        study: The study, which itself stays as it was.
        review: What to decide, edited or not; without it the study's last decision holds, such as in
            another process.
        note: Why, in your words.
        author: Who decides; default the user name.

    Raises:
        ReviewError: The review is about another study, or none is given and nothing was decided.
    """
    if review is not None:
        trials = study.get_trials(deepcopy=False)
        if not set(review.space) <= {n for t in trials for n in t.distributions}:
            raise ReviewError(f"the review is about another study than {study.study_name!r}; review that")
        wider = [
            n for n, p in review.space.items() if not review.proposal.old[n].contains(objects(p.grid)).all()
        ]
        if wider:
            warn(f"{join(wider)}: wider than what the objective suggests, which is followed; widen it there")
        if edits_of(review).names:
            kind = "edited"
        else:
            kind = "accepted"
        decision = decision_on(review, kind, check_note(note), check_author(author))
        study.set_user_attr(f"{DECISION}{len(trials)}", decision.to_json())
    first, space = _decided(study)
    if space is None:
        raise ReviewError(
            f"nothing was decided on study {study.study_name!r}; give a review",
            Action("refine.optuna.review", Symbol("study")),
        )
    base = study.sampler
    narrowed = copy.copy(study)
    if isinstance(base, optuna.samplers.GridSampler | optuna.samplers.BruteForceSampler):
        raise ReviewError(
            f"a {type(base).__name__} runs all of its grid; give study.sampler another one first"
        )
    narrowed.sampler = _Inside(base.base if isinstance(base, _Inside) else base, space, first)
    return narrowed


def _decided(study: Any) -> tuple[int, Space | None]:
    """The number of the first trial after the last decision, and the space decided."""
    first = max(decided_at(study), default=0)
    stored = study.user_attrs.get(f"{DECISION}{first}")
    return first, None if stored is None else Decision.from_json(stored).space


class _Inside(optuna.samplers.BaseSampler):  # type: ignore[misc]  # nothing is known of Optuna's types
    """A sampler restricted to a space: it draws inside, and sees only the trials inside."""

    def __init__(self, base: Any, space: Space, first: int) -> None:
        self.base = base
        self._space = space
        self._first = first
        self._ended: dict[int, Any] = {}
        # What begins and ends a trial is as it was.
        self.before_trial = base.before_trial
        self.after_trial = base.after_trial
        self.reseed_rng = base.reseed_rng

    def kept(self, name: str, wide: object) -> Any:
        """The part of a distribution kept by the decision; all of it, with a warning, if no part is kept."""
        if name in self._space:
            narrowed = _kept(wide, self._space[name])
        else:
            narrowed = wide
        if narrowed is None:
            warn(
                f"{name}: the decision, {self._space[name].describe()}, lies outside what the objective "
                f"suggests, {wide}, and is not followed; review the study again"
            )
        if narrowed is None:
            return wide
        return narrowed

    def seen(self, trial: Any) -> Any:
        """A trial as the sampler sees it: failed if it lies outside, so that positions stay trial numbers."""
        if trial.number in self._ended:
            return self._ended[trial.number]
        distributions = trial.distributions
        if all(_holds(self.kept(n, distributions[n]), v) for n, v in trial.params.items()):
            shown = trial
        else:
            shown = copy.copy(trial)
            shown.state = optuna.trial.TrialState.FAIL
            shown.values = None
        if trial.number < self._first:
            shown = copy.copy(shown)
            # What CMA-ES learnt is in the units of the space that was.
            noted = trial.system_attrs.items()
            shown.system_attrs = {n: v for n, v in noted if "cma" not in n.partition(":")[0]}
        if trial.state.is_finished():
            self._ended[trial.number] = shown
        return shown

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, object]:
        return self.base.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, object]:
        narrowed = {n: self.kept(n, wide) for n, wide in search_space.items()}
        narrowed = {n: k for n, k in narrowed.items() if type(k) is type(search_space[n]) and not k.single()}
        drawn = self.base.sample_relative(_Seen(study, self), trial, narrowed)
        # What is missing is drawn independently.
        return {n: v for n, v in drawn.items() if n in narrowed and _holds(narrowed[n], v)}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: object) -> Any:
        narrowed = self.kept(param_name, param_distribution)
        if narrowed.single():
            if hasattr(narrowed, "choices"):
                return narrowed.choices[0]
            return narrowed.low
        return self.base.sample_independent(_Seen(study, self), trial, param_name, narrowed)


class _Seen(optuna.Study):  # type: ignore[misc]
    """A study in which only the trials inside a space count, for a sampler."""

    def __init__(self, study: Any, sampler: _Inside) -> None:
        self.__dict__.update(object.__getattribute__(study, "__dict__"))  # a bracket's study hides it
        self._whole = study
        self._inside = sampler

    def _get_trials(self, deepcopy: bool = True, states: Any = None, use_cache: bool = False) -> list[object]:
        trials = map(self._inside.seen, self._whole._get_trials(deepcopy, None, use_cache))
        return [trial for trial in trials if states is None or trial.state in states]


def _kept(wide: Any, parameter: Parameter) -> Any:
    """A distribution narrowed to a parameter, as a choice if single values were decided; or ``None``."""
    kinds = optuna.distributions
    choice = isinstance(wide, kinds.CategoricalDistribution)
    if choice or not isinstance(parameter, Range):
        if choice:
            values = wide.choices
        else:
            values = [v for v in parameter.grid if wide.low <= v <= wide.high]
        choices = [
            v for v, is_inside in zip(values, parameter.contains(objects(values)), strict=True) if is_inside
        ]
        if choices:
            return kinds.CategoricalDistribution(choices)
        return None
    low = max(wide.low, parameter.low)
    high = min(wide.high, parameter.high)
    step = wide.step
    if step is not None:
        low = round_significant(wide.low + step * math.ceil((low - wide.low) / step - _ROUNDING))
        high = round_significant(wide.low + step * math.floor((high - wide.low) / step + _ROUNDING))
    if low <= high:
        return type(wide)(low, high, log=wide.log, step=step)
    return None


def _holds(distribution: Any, value: Any) -> bool:
    if hasattr(distribution, "choices"):
        return value in distribution.choices
    return bool(distribution.low <= value <= distribution.high)


class StopWhenNotWorth:
    """A callback of ``study.optimize`` that stops a study of one objective when more trials are not worth it.

    The callback simulates further trials, half of them exploit trials, on the posterior of the finished
    trials, as :meth:`refine.Review.worth` does. The study stops after three results in a row without enough
    gain. The latest result is in the user attribute ``refine:worth`` of the study.

    Some studies stop too early: in 6 of 18 searches by TPE, on three functions of 4 to 6 parameters, 50
    trials after the stop improved the best value by more than ``epsilon``; five of the six had stopped
    within 50 trials. Another call of ``optimize`` continues the study.

    Args:
        every: Number of trials between two simulations; a simulation takes a fraction of a second.
        n: Number of simulated further trials.
        epsilon: Improvement that counts as none, in units of the objective; default the tolerance of a
            proposal on these trials.
        price: Cost of one trial, in units of the objective.

    Raises:
        DesignError: ``every`` or ``n`` is no whole number >= 1.
        AnalysisError: ``epsilon`` or ``price`` is no number >= 0.
    """

    def __init__(
        self, every: int = 10, *, n: int = 50, epsilon: float | None = None, price: float | None = None
    ) -> None:
        for name, count in (("every", every), ("n", n)):
            if not is_whole(count):
                raise DesignError(f"{name} must be a whole number >= 1, got {count!r}; for example {name}=20")
        self.every = every
        self.n = n
        self.epsilon = check_epsilon(epsilon)
        self.price = check_epsilon(price)
        self._in_vain = 0  # simulations in a row without enough gain

    def __call__(self, study: Any, trial: Any) -> None:
        """Simulates further trials after each ``every`` trials, and stops a study that is not worth them."""
        if len(study.directions) > 1:
            raise AnalysisError(f"StopWhenNotWorth is about one objective, got {len(study.directions)}")
        if (trial.number + 1) % self.every:
            return
        try:
            analysis = analysis_of(read_study(study))
        except AnalysisError:  # too few trials have ended
            return
        space = _decided(study)[1] or analysis.space
        if self.price is None:
            price = math.nan
        else:
            price = self.price
        worth = worth_of(analysis, self.epsilon, space=space, n=self.n, shares=(_EXPLOIT, 0.0), price=price)
        if worth is None:
            return
        study.set_user_attr(WORTH, worth.to_json())
        if worth.verdict == CONTINUE:
            self._in_vain = 0
        else:
            self._in_vain = self._in_vain + 1
        if self._in_vain >= _LOOKS:
            study.stop()
