"""Questions about a part of a space: answers from the trials of a tree, and rounds that settle them."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np

from refine.analysis.analysis import Analysis
from refine.errors import AnalysisError, DesignError, RefineError
from refine.proposal.posterior import known_enough, surrogate_of
from refine.proposal.proposal import tolerances_of
from refine.proposal.question import (
    FEW,
    THIN,
    Evidence,
    Masks,
    check_divides,
    compared,
    condition_in,
    contenders,
    expected_best,
    level_rows,
    ran_candidates,
    rows_inside,
)
from refine.space.constraints import Constraint
from refine.space.encoding import label, seed_of
from refine.space.space import Indices, configuration_key
from refine.tree.lineage import analyze
from refine.tree.overview import comparable
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.utils.action import Action
from refine.utils.display import Shown
from refine.utils.threads import one_thread

YES = "yes"
PROBABLY = "probably"
OPEN = "open"
PROBABLY_NOT = "probably not"
NO = "no"
EITHER = "either"
UNKNOWN = "unknown"

# Model probabilities from which on an answer is yes, and from which on it is probably.
_SURE = 0.95
_LIKELY = 0.85
# Trials that would settle a question: a batch if one side is likely, and two if the question is open.
_BATCH = 6


@dataclass(frozen=True)
class Side:
    """One side of a question: its share of the space, its trials, and the best of them."""

    trials: int  # finished trials
    failed: int  # trials without a usable model
    share: float  # share of the configurations, as measured by the candidates of the posterior
    best: Mapping[str, str] | None  # values of the best trial by parameter, as labels; ``None`` without one
    value: float  # its best observed value; NaN without one
    runs: int  # how often this configuration ran, repeats included
    mean: float  # mean value of those runs; NaN without one
    expected: float  # expected best value of this side, retrained; NaN if it cannot be stated


@dataclass(frozen=True, repr=False)
class Answer(Shown):
    """The answer to a question about a part of a space.

    ``probability`` is the model probability that the best value inside is within ``epsilon`` of the best
    anywhere. With ``better``, the probability that the asked region holds the better best of the two.

    Examples:
        >>> answer = tree.ask("dropout <= 0.2")
        >>> answer.verdict, answer.probability > 0.95
        ('yes', True)
    """

    question: str  # the expression, in its canonical spelling
    given: str | None  # the condition within which the question is asked; ``None`` without one
    better: str | None  # the other region; ``None`` if the question is about everything outside
    # ``"yes"``, ``"probably"``, ``"open"``, ``"probably not"``, ``"no"`` or ``"unknown"``; with ``better``
    # also ``"either"``, if both regions are probably equally good
    verdict: str
    probability: float  # model probability of a yes; NaN if it cannot be stated
    tie: float  # model probability that both bests differ by at most epsilon; NaN if it cannot be stated
    cost: float  # expected best outside minus best inside; positive if the best inside is worse
    cost_low: float  # ends of the 90 % interval of the cost
    cost_high: float
    epsilon: float  # loss that counts as none, in units of the metric
    epsilon_source: str  # where epsilon comes from: see :class:`refine.proposal.proposal.Claim`
    inside: Side  # the asked region
    outside: Side  # the rest, or the region of ``better``
    conditional: tuple[str, ...]  # conditional parameters in the question: without them a trial is outside
    metric: str  # name of the metric
    direction: str  # ``"maximize"`` or ``"minimize"``
    goals: tuple[str, ...]  # metrics of all goals; one without a front
    subject_to: tuple[str, ...]  # metric constraints that the values meet
    round: str  # id of the round whose space and evidence answer
    trials: int  # finished trials behind the answer
    earlier: int  # of those, trials of earlier rounds
    later: tuple[str, ...]  # ids of newer rounds that the answer does not use
    draws: int  # functions drawn from the posterior
    evidence: str  # digest of the evidence
    needed: int  # trials that would settle the question; 0 if nothing is open
    _tree: Any = field(default=None, compare=False)
    _asked: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def settle(self, n: int = _BATCH, *, note: str = "", author: str | None = None) -> Round:
        """Creates a child round of the trials that reduce the doubt most: both sides, near their bests.

        The trials are the best configurations inside, and outside, of functions drawn from the posterior. No
        configuration that ran is among them. A repeated call on the same evidence finds the same round.

        Args:
            n: Number of trials.
            note: Reason, in your words; default the question.
            author: Default the user name.

        Raises:
            AnalysisError: No configuration is left to run on either side.
            DesignError: ``n`` is not a whole number >= 1.

        Examples:
            >>> child = tree.ask("lr <= 2").settle(n=4)
            >>> len(child.run(progress=False).trials)
            4
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise DesignError(f"n must be a whole number >= 1, got {n!r}; for example answer.settle(n=6)")
        tree: TreeRecord = self._tree
        asked = tree.round(self.round)
        given = _settling(tree, asked, self, n)
        if not given:
            raise AnalysisError(
                f"question {self.question!r}: no configuration is left to run near the bests of both sides; "
                "ask about larger regions"
            )
        about = f"settles: {self.question}" + (f", given {self.given}" if self.given else "")
        seed = seed_of(self.round, "settle", str(self._asked), self.evidence, str(n)) % 2**31
        return asked.branch(
            asked.space, given=given, n=len(given), seed=seed, note=note or about, author=author
        )

    def again(self) -> Answer:
        """The answer to the same question, from the present evidence."""
        return ask(self._tree, self._asked["question"], **self._asked["how"], **self._asked["bounds"])


def ask(
    self: TreeRecord,
    question: str | None = None,
    *,
    given: str | None = None,
    better: str | None = None,
    epsilon: float | Mapping[str, float] | None = None,
    **bounds: Any,
) -> Answer:
    """Answers a question about a part of the space: is its best value as good as the best anywhere?

    The evidence is the newest round that can be analysed and whose space the question divides, with all
    trials that its analysis uses: its own, and those of earlier rounds inside its space. The first answer on
    new evidence takes as long as a proposal; later answers reuse its posterior.

    Args:
        question: An expression in the language of constraints: ``"num_layers <= 2"``, ``"model == 'svr'"``.
            A configuration without a conditional parameter of the question counts as outside.
        given: A condition: only configurations that meet it are compared.
        better: Another region: which of the two regions holds the better best?
        epsilon: Tolerance, in units of the metric; default :attr:`Round.epsilon` of the round, else the
            smallest loss that the trials can detect. Of several goals a mapping by metric.
        bounds: Bounds by parameter, which must hold as well: ``num_layers=(1, 2)``, ``model="svr"``,
            ``units=[8, 16]``.

    Raises:
        AnalysisError: No round can be analysed.
        SpaceError: An expression is not of the language, names an unknown parameter, or is true for every
            configuration, or for none.

    Examples:
        >>> tree.ask("lr <= 0.5").verdict, tree.ask(lr=(1.0, 2.0)).verdict
        ('no', 'yes')
    """
    here = self._at_once()
    asked, analysis, conditions, later = _round_for(here, question, given, better, bounds)
    chosen = asked.epsilon if epsilon is None else epsilon
    tolerances = tolerances_of(analysis, chosen)
    epsilons = [t.epsilon for t in tolerances]
    evidence, (part, rest, among) = _evidence_about(analysis, conditions)
    condition, within, rival = conditions
    result = compared(evidence.surrogate, part.candidates, rest.candidates, epsilons)
    if rival is None:
        probability = result.within
    else:
        probability = result.better
    verdict = _verdict(probability)
    if rival is not None and result.tie >= _LIKELY:
        verdict = EITHER
    named = [c for c in conditions if c is not None]
    how = {"given": given, "better": better, "epsilon": epsilon}
    finished = int((among.trials & evidence.finished).sum())
    inside = _side(evidence, part, among)
    outside = _side(evidence, rest, among)
    return Answer(
        question=str(condition),
        given=None if within is None else str(within),
        better=None if rival is None else str(rival),
        verdict=verdict,
        probability=probability,
        tie=result.tie,
        cost=result.cost,
        cost_low=result.low,
        cost_high=result.high,
        epsilon=tolerances[0].epsilon,
        epsilon_source=tolerances[0].epsilon_source,
        inside=inside,
        outside=outside,
        conditional=tuple(dict.fromkeys(name for c in named for name in evidence.conditional(c))),
        metric=analysis.metric,
        direction=analysis.direction,
        goals=tuple(t.metric for t in tolerances),
        subject_to=analysis.subject_to,
        round=asked.id,
        trials=finished,
        earlier=analysis.n_pooled + analysis.n_earlier,
        later=later,
        draws=evidence.surrogate.draws,
        evidence=analysis.digest,
        needed=_needed(verdict, inside, outside),
        _tree=self,
        _asked={"question": question, "how": how, "bounds": bounds},
    )


# The asked region, the condition within which is compared, and the other region.
_Conditions = tuple[Constraint, Constraint | None, Constraint | None]
# The asked part, the part to compare with, and all that is considered.
_Parts = tuple[Masks, Masks, Masks]


def _round_for(
    tree: TreeRecord, question: str | None, given: str | None, better: str | None, bounds: Mapping[str, Any]
) -> tuple[Round, Analysis, _Conditions, tuple[str, ...]]:
    """The newest round that can be analysed and whose space a question divides, with its analysis.

    Raises:
        AnalysisError: No round can be analysed.
        SpaceError: The question is wrong, or divides no space.
    """
    rounds = comparable(tree.rounds)[::-1]
    if not rounds:
        raise AnalysisError(
            f"tree {tree.name!r} has no round yet, so that nothing can be asked; add one and run it",
            Action("tree.add_round", ...),
        )
    first: RefineError | None = None
    later: list[str] = []
    for each in rounds:
        try:
            conditions = _conditions(each, question, given, better, bounds)
            analysis = _analysed(each)
        except RefineError as error:
            # An error in the question itself matters more than a round with too few trials.
            if first is None or isinstance(first, AnalysisError):
                first = error
            later += [each.id] if len(each.trials) else []
            continue
        return each, analysis, conditions, tuple(later)
    assert first is not None
    raise first


def _conditions(
    of: Round, question: str | None, given: str | None, better: str | None, bounds: Mapping[str, Any]
) -> _Conditions:
    """The conditions of a question, checked against the space of a round."""
    condition = condition_in(of.space, question, bounds)
    if given is None:
        within = None
    else:
        within = condition_in(of.space, given, role="given")
    if better is None:
        rival = None
    else:
        rival = condition_in(of.space, better, role="better")
    check_divides(of.space, condition, within)
    if rival is not None:
        check_divides(of.space, rival, within, "better")
    return condition, within, rival


def _parts(evidence: Evidence, conditions: _Conditions) -> _Parts:
    """The asked part, the part to compare with, and all that is considered."""
    question, given, better = conditions
    among = evidence.masks(given)
    part = evidence.masks(question).inside(among)
    if better is None:
        rest = part.outside(among)
    else:
        rest = evidence.masks(better).inside(among)
    return part, rest, among


def _verdict(probability: float) -> str:
    if math.isnan(probability):
        return UNKNOWN
    if probability >= _LIKELY:
        if probability >= _SURE:
            return YES
        return PROBABLY
    if probability <= 1 - _LIKELY:
        if probability <= 1 - _SURE:
            return NO
        return PROBABLY_NOT
    return OPEN


def thin(side: Side, trials: int) -> bool:
    """True if a side was hardly tried: few trials, or a small share of all trials."""
    return side.trials < FEW or side.trials < THIN * trials


def _needed(verdict: str, inside: Side, outside: Side) -> int:
    """Number of trials that would settle a question."""
    if verdict in (YES, NO, EITHER, UNKNOWN):
        return 0
    scarce = min(inside.trials, outside.trials) < FEW
    if scarce or verdict == OPEN:
        return 2 * _BATCH
    return _BATCH


def _side(evidence: Evidence, part: Masks, among: Masks) -> Side:
    """The trials of a part of the space, and the best of them."""
    analysis = evidence.analysis
    surrogate = evidence.surrogate
    finished = part.trials & evidence.finished
    rows = np.flatnonzero(part.trials & evidence.usable)
    expected = math.nan
    if int(part.candidates.sum()) >= surrogate.fewest:
        expected = analysis.sign * expected_best(surrogate, part.candidates)
    share = part.candidates.sum() / max(1, among.candidates.sum())
    side = Side(
        trials=int(finished.sum()),
        failed=int((part.trials & ~evidence.finished).sum()),
        share=float(share),
        best=None,
        value=math.nan,
        runs=0,
        mean=math.nan,
        expected=expected,
    )
    if not len(rows):
        return side
    best = int(rows[np.argmax(analysis.y[rows])])
    values = analysis.y[(analysis.configurations == analysis.configurations[best]) & evidence.usable]
    if analysis.replicates is not None:
        positions, repeats = analysis.replicates
        values = np.concatenate([values, repeats[(np.abs(positions - analysis.X[best]) < 1e-9).all(axis=1)]])
    read = analysis.read_positions[best]
    unread = {e.name for e, x in zip(analysis.parameters, read, strict=True) if np.isnan(x)}
    row = evidence.trials.iloc[best]
    varied = [e.name for e in analysis.parameters if e.name not in unread]
    return replace(
        side,
        best={name: label(row[name]) for name in varied},
        value=analysis.sign * float(analysis.y[best]),
        runs=len(values),
        mean=analysis.sign * float(values.mean()),
    )


# Trials that settle a question.


def _settling(tree: TreeRecord, asked: Round, answer: Answer, n: int) -> list[dict[str, Any]]:
    """Configurations, at most ``n``, of both sides of a question that ran in no round."""
    how = answer._asked["how"]
    conditions = _conditions(
        asked, answer._asked["question"], how["given"], how["better"], answer._asked["bounds"]
    )
    analysis = _analysed(asked)
    if how["epsilon"] is None:
        tolerance = asked.epsilon
    else:
        tolerance = how["epsilon"]
    epsilons = [t.epsilon for t in tolerances_of(analysis, tolerance)]
    evidence, (part, rest, _) = _evidence_about(analysis, conditions)
    if not (part.candidates.any() and rest.candidates.any()):
        return []
    ran = _ran(tree)
    # Some cells may have run in rounds outside the evidence, so more are chosen than are needed.
    most = n + len(ran)
    taken = ran_candidates(evidence)
    cells = contenders(evidence, part.candidates, rest.candidates, most, epsilons[0], taken)
    space = asked.space
    chosen = [space.frozen(space.at(row)) for row in level_rows(evidence.surrogate, cells)]
    fresh = {configuration_key(c): c for c in chosen}
    return [c for key, c in fresh.items() if key not in ran][:n]


def _ran(tree: TreeRecord) -> set[str]:
    """Keys of the configurations that any round of a tree ran."""
    return {key for each in tree.rounds for key in each._records().columns["key"]}


# The posterior of a round, kept for the next question.

_MOST_KEPT = 4
_kept_analyses: OrderedDict[str, Analysis] = OrderedDict()
_kept_surrogates: OrderedDict[tuple[Any, ...], Evidence] = OrderedDict()
_lock = Lock()


def _analysed(of: Round) -> Analysis:
    """The analysis of a round; of unchanged trials the one made before."""
    key = _fingerprint(of)
    with _lock:
        earlier = _kept_analyses.get(key)
    if earlier is not None:
        return earlier
    analysis = analyze(of)
    if not known_enough(analysis):
        raise AnalysisError(
            f"round {of.id}: an answer needs 5 different configurations, got fewer; run more trials",
            Action("round.run"),
        )
    _keep(_kept_analyses, key, analysis)
    return analysis


def _fingerprint(of: Round) -> str:
    """Hash of a round and of the stored trials on its path, repeats and marks included."""
    snapshot = of._at_once()
    reader = snapshot.context.reader
    curves = snapshot._metric.curves
    settings = (snapshot.id, snapshot._judged_by, snapshot.declared, snapshot.belief)
    hashed = hashlib.sha256(repr(settings).encode())
    hashed.update(str(id(snapshot._metric.function)).encode())
    for stored in snapshot.context.path(snapshot.node):
        records = reader.records([stored.pk], curves=curves, replicates=True)
        columns = {name: list(values) for name, values in records.columns.items()}
        hashed.update(repr((stored.node.id, columns, list(records.metrics))).encode())
    return hashed.hexdigest()


def _evidence_about(analysis: Analysis, conditions: _Conditions) -> tuple[Evidence, _Parts]:
    """The posterior over candidates of both sides of a question, with more of them for a small region."""
    evidence = _evidence_of(analysis)
    parts = _parts(evidence, conditions)
    question, given, better = conditions
    fewest = evidence.surrogate.fewest
    regions = []
    if parts[0].candidates.sum() < fewest:
        regions.append(question)
    if better is not None and parts[1].candidates.sum() < fewest:
        regions.append(better)
    if not regions:
        return evidence, parts
    rows = np.concatenate([rows_inside(analysis.space, region, given) for region in regions])
    if len(rows):
        evidence = _evidence_of(analysis, rows)
        parts = _parts(evidence, conditions)
    return evidence, parts


@one_thread
def _evidence_of(analysis: Analysis, more: Indices | None = None) -> Evidence:
    """The posterior of an analysis; of the same evidence the one made before."""
    declared = (analysis.noise, analysis.declared_limits, analysis.declared_belief)
    key: tuple[Any, ...] = (analysis.digest, analysis.space.digest, analysis.metric, repr(declared))
    if more is not None:
        key = (*key, more.tobytes())
    with _lock:
        earlier = _kept_surrogates.get(key)
    if earlier is not None:
        return earlier
    surrogates = [surrogate_of(goal, more) for goal in (analysis, *analysis.others)]
    fitted = [surrogate for surrogate in surrogates if surrogate is not None]
    if len(fitted) < len(surrogates):
        raise AnalysisError(
            "an answer needs 5 different configurations with a value in every goal, got fewer; run more "
            "trials",
            Action("round.run"),
        )
    evidence = Evidence(analysis, replace(fitted[0], others=tuple(fitted[1:])))
    _keep(_kept_surrogates, key, evidence)
    return evidence


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    with _lock:
        kept[key] = value
        while len(kept) > _MOST_KEPT:
            kept.popitem(last=False)
