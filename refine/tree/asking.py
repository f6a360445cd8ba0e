"""Questions about a part of a space, answered from the trials of a tree."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, overload

import numpy as np

from refine.errors import AnalysisError, DesignError
from refine.proposal.proposal import claimed_data
from refine.proposal.question import FEW, THIN, Evidence, Masks, compared, expected_best
from refine.proposal.settling import SURE, SURE_OF_TWO
from refine.review.decision import check_author
from refine.review.next_step import trials_for_rounds
from refine.space.encoding import label
from refine.tree.question_evidence import Basis, Question, basis_of
from refine.tree.questions import Questions, questions
from refine.tree.round import Round
from refine.tree.settling import outlook_about, settling_trials
from refine.tree.tree_record import TreeRecord
from refine.trials.stored_answer import StoredAnswer
from refine.utils.arrays import Floats
from refine.utils.display import Shown
from refine.utils.numbers import is_real, is_whole
from refine.utils.provided import provides
from refine.utils.warning import warn

YES = "yes"
PROBABLY = "probably"
OPEN = "open"
PROBABLY_NOT = "probably not"
NO = "no"
EITHER = "either"
UNKNOWN = "unknown"

# Smallest model probabilities of the answers yes and probably yes.
_SURE = 0.95
_LIKELY = SURE_OF_TWO
BATCH = 6  # trials for a question with an unknown need


@dataclass(frozen=True)
class Side:
    """One side of a question: share of the space, trials, and the best trial."""

    trials: int  # finished trials
    failed: int  # trials without a usable model
    share: float  # share of the configurations, as measured by the candidates of the posterior
    # values of the configuration with the best mean by parameter, as labels; ``None`` without a trial
    best: Mapping[str, str] | None
    value: float  # its best planned value; NaN without one
    runs: int  # number of runs of this configuration, repeats included
    mean: float  # mean value of those runs; NaN without one
    expected: float  # expected best value of this side, retrained; NaN if it cannot be stated

    @property
    def ran(self) -> int:
        """Number of trials, including failed trials."""
        return self.trials + self.failed


@dataclass(frozen=True, repr=False)
class Answer(Shown):
    """The answer to a question about a part of the space.

    ``probability`` is the model probability that the best value inside is within ``epsilon`` of the best
    anywhere. With ``better``, the probability that the asked region holds the better best of the two.

    Examples:
        >>> answer = tree.ask("dropout <= 0.2")
        >>> answer.verdict, answer.probability > 0.95
        ('yes', True)
    """

    question: str  # the expression, in its canonical spelling
    given: str | None  # the condition within which is compared; ``None`` without one
    better: str | None  # the other region; ``None`` if the question is about everything outside
    # ``"yes"``, ``"probably"``, ``"open"``, ``"probably not"``, ``"no"``, ``"unknown"``, or ``"either"`` if
    # the bests of both sides probably differ by at most epsilon, as far as the trials tell
    verdict: str
    probability: float  # probability of a yes; NaN if it cannot be stated
    tie: float  # model probability that both bests differ by at most epsilon; NaN if it cannot be stated
    cost: float  # best outside minus best inside, the median; positive if the best inside is worse
    cost_low: float  # ends of the 90 % interval of the cost
    cost_high: float
    epsilon: float  # loss that counts as none, in units of the metric
    epsilon_source: str  # source of epsilon, see :class:`refine.proposal.proposal.Claim`
    inside: Side  # the asked region
    outside: Side  # the rest, or the region of ``better``
    conditional: Mapping[str, str]  # conditional parameters in the question -> their conditions
    metric: str  # name of the metric
    direction: str  # ``"maximize"`` or ``"minimize"``
    goals: tuple[str, ...]  # metrics of all goals; one without a front
    tolerances: Mapping[str, float]  # tolerance by goal; `epsilon` is the tolerance of the first goal
    tolerance_sources: Mapping[str, str]  # source of the tolerance by goal, as `epsilon_source`
    subject_to: tuple[str, ...]  # metric constraints that the values meet
    round: str  # id of the round whose space the answer is about
    of_first: bool  # whether that round has no parent
    trials: int  # finished trials behind the answer
    earlier: int  # of those, trials of other rounds
    # draws of the posterior; 0 if every configuration was run and repeats are identical
    draws: int
    evidence: str  # digest of the evidence
    data: str  # data that the answer is about: see :attr:`refine.proposal.proposal.Claim.data`
    # trials that settle most such questions, as far as the budget pays rounds: 12 if no number up to 48 does,
    # and 0 for a settled question; see :data:`refine.proposal.settling.ENOUGH`
    needed: int
    advised: int  # the same number without a budget
    # number of trials, as far as the budget pays rounds -> share of simulated rounds that settle the
    # question; empty for a settled question, and with several goals
    outlook: Mapping[int, float]
    # reason if no possible number of trials settles most such questions: ``"noise"``, or ``"region"`` if the
    # bests may lie in too many places; else empty
    obstacle: str
    _tree: Any = field(default=None, compare=False)
    _asked: Any = field(default=None, compare=False)
    _reread: bool = field(default=False, compare=False)  # True if a text was read as people type
    _author: str = field(default="", compare=False)

    @property
    def settled(self) -> bool:
        """True if the probability is at most 0.1 or at least 0.9, or if either of two regions will do.

        A question about two regions stays open while a tie within epsilon is as well possible. A question
        with an untried side stays open too, unless the model is sure.
        """
        return _settled(self.verdict, self.probability, self.better is not None)

    def again(self) -> Answer:
        """The answer to the question from the present evidence, stored like the first answer."""
        return _kept(self._tree, answered(self._tree, self._asked), self._author)


@overload
def ask(self: TreeRecord) -> Questions: ...  # type: ignore[overload-overlap]


@overload
def ask(
    self: TreeRecord,
    question: str | None = None,
    *,
    given: str | None = None,
    better: str | None = None,
    epsilon: float | Mapping[str, float] | None = None,
    at: Round | str | None = None,
    guess: float | None = None,
    author: str | None = None,
    **bounds: object,
) -> Answer: ...


def ask(
    self: TreeRecord,
    question: str | None = None,
    *,
    given: str | None = None,
    better: str | None = None,
    epsilon: float | Mapping[str, float] | None = None,
    at: Round | str | None = None,
    guess: float | None = None,
    author: str | None = None,
    **bounds: object,
) -> Answer | Questions:
    """Answers a question about a part of the space: is the best value inside as good as the best anywhere?

    The space is that of the first round, before any narrowing, unless ``at`` names another round. The
    evidence is all finished trials of the tree inside that space. The first answer on new evidence takes as
    long as a proposal; later answers reuse its model. Question and answer are stored, and :meth:`calibration`
    scores the answer by later trials.

    ``tree.ask()`` lists the stored questions with their answers over time, and suggests up to three whose
    answer would change a decision on the newest proposal.

    Args:
        question: A condition: ``"num_layers <= 2"``, ``"model = svr"``, ``"lr 0.003..0.3"``. The answer has
            the condition in the language of constraints.
            A conditional parameter restricts the question to configurations with the parameter, unless the
            question also names the parameter in the condition. With ``better``, a parameter's name.
        given: A condition: only configurations within are compared.
        better: A second region: which of the two regions holds the better best? Or a value of the parameter
            ``question``: is the value better than the other values?
        epsilon: Tolerance, in units of the metric; default that of the round's goal, else the
            smallest loss that the trials can detect. Of several goals a mapping by metric.
        at: The round whose space the question is about: a round, its id, tag or path, or ``"last"``. Default
            the first round with the asked parameters on the way to the newest round.
        guess: Your own chance of a yes, from 0 to 1, scored next to the answer.
        author: Default the user name.
        bounds: Bounds by parameter, which must hold as well: ``num_layers=(1, 2)``, ``model="svr"``,
            ``units=[8, 16]``.

    Raises:
        AnalysisError: No round can be analysed, or ``guess`` is not from 0 to 1.
        SpaceError: A condition cannot be read, names an unknown parameter, or is true for every
            configuration, or for none.

    Examples:
        >>> tree.ask("lr <= 0.5").verdict, tree.ask(lr=(1.0, 2.0)).verdict
        ('no', 'yes')
        >>> tree.ask("lr", better="1.5").question
        'lr == 1.5'
    """
    if question is None and given is None and better is None and not bounds:
        return questions(self)
    if guess is not None and not (is_real(guess) and 0 <= guess <= 1):
        raise AnalysisError(
            f"guess must be your chance of a yes, from 0 to 1, got {guess!r}; for 80 % write guess=0.8"
        )
    author = check_author(author)
    about = None
    if at is not None:
        about = self[at].id
    answer = answered(self, Question(question, given, better, epsilon, bounds, about))
    return _kept(self, answer, author, guess)


@provides("round.settling")
def _settling_configurations(
    round_: Round, settle: Answer | str, n: int | None
) -> Sequence[Mapping[str, object]]:
    """New configurations of a round near the bests of the two sides of a question: see :meth:`Round.add`.

    A settled question needs none, unless a number is given; then a warning says so.
    """
    answer = settle
    tree = TreeRecord._of(round_._context)
    if isinstance(answer, str):
        answer = answered(tree, Question(answer, None, None, None, {}, round_.id))
    if not isinstance(answer, Answer):
        raise DesignError(
            f"settle must be a question or an answer of tree.ask, got {settle!r:.60}; for example "
            "add(settle='lr <= 2')"
        )
    if answer.round != round_.id:
        raise DesignError(
            f"question {answer.question!r}: the answer is about round {answer.round}, not about round "
            f"{round_.id}; write tree[{answer.round!r}].add(settle=answer)"
        )
    if n is not None and not is_whole(n):
        raise DesignError(f"n must be a whole number >= 1, got {n!r}; for example add(6, settle='lr <= 2')")
    if n is None and answer.settled:
        settled = f"question {answer.question!r} is settled ({answer.verdict})"
        warn(f"{settled}: no trial is planned; give n to plan some")
        return ()
    n = n or answer.needed or BATCH
    tree._budget.check(n, f"question {answer.question!r}", "plan {left} or fewer")
    basis = basis_of(tree, answer._asked._replace(at=round_.id))
    noisy = not basis.analysis.noise.deterministic
    tree._budget.warn_of_reserve(n, f"question {answer.question!r}", noisy=noisy)
    return settling_trials(tree, basis, n)


def answered(tree: TreeRecord, question: Question) -> Answer:
    """The answer to a question, which is not stored."""
    basis = basis_of(tree._at_once(), question)
    analysis = basis.analysis
    evidence = basis.evidence
    parts = basis.parts
    region, within, rival, *_ = basis.conditions
    result = compared(evidence, parts.inside.candidates, parts.outside.candidates, basis.epsilons)
    probability = result.within
    if rival is not None:
        probability = result.better
    tie = result.tie
    inside = _side(evidence, parts.inside, parts.considered)
    outside = _side(evidence, parts.outside, parts.considered)
    verdict = _verdict(probability, 1 - probability)
    if rival is not None:
        verdict = _verdict(result.ahead, result.behind)
    if verdict not in (YES, NO) and not (inside.ran and outside.ran):
        verdict = UNKNOWN  # the posterior alone, without a trial on this side
    elif tie >= _LIKELY:
        verdict = EITHER  # both regions are likely to hold a best value within epsilon
    certain = evidence.surrogate.known is not None
    considered = parts.considered.trials & evidence.finished
    earlier = 0
    if analysis.own is not None:
        earlier = int((considered & ~analysis.own).sum())
    available = trials_for_rounds(analysis, tree._budget)
    settling = _NOTHING
    if not (math.isnan(probability) or _settled(verdict, probability, rival is not None)):
        settling = _settling_of(basis, available)
    return Answer(
        question=str(region),
        given=_text(within),
        better=_text(rival),
        verdict=verdict,
        probability=probability,
        tie=tie,
        cost=result.cost,
        cost_low=result.low,
        cost_high=result.high,
        epsilon=basis.tolerances[0].epsilon,
        epsilon_source=basis.tolerances[0].epsilon_source,
        inside=inside,
        outside=outside,
        conditional=evidence.conditional(region, rival),
        metric=analysis.metric,
        direction=analysis.direction,
        goals=tuple(t.metric for t in basis.tolerances),
        tolerances={t.metric: t.epsilon for t in basis.tolerances},
        tolerance_sources={t.metric: t.epsilon_source for t in basis.tolerances},
        subject_to=analysis.subject_to,
        round=basis.round.id,
        of_first=basis.round.parent is None,
        trials=int(considered.sum()),
        earlier=earlier,
        draws=0 if certain else evidence.surrogate.draws,
        data=claimed_data(analysis),
        evidence=analysis.digest,
        needed=settling.needed,
        advised=settling.advised,
        outlook=settling.outlook,
        obstacle=settling.obstacle,
        _tree=tree,
        _asked=question,
        _reread=question.is_reread(analysis.space),
    )


def _kept(tree: TreeRecord, answer: Answer, author: str, guess: float | None = None) -> Answer:
    """An answer with its author, after it is stored."""
    stored = StoredAnswer(
        created=time.time(),
        author=author,
        round=answer.round,
        question=answer.question,
        given=answer.given,
        better=answer.better,
        tolerance=answer._asked.epsilon,
        verdict=answer.verdict,
        probability=answer.probability,
        guess=guess,
        cost=answer.cost,
        epsilon=answer.epsilon,
        goals=len(answer.goals),
        trials=answer.trials,
        inside=answer.inside.trials,
        evidence=answer.evidence,
    )
    tree._context.store.add_answers(tree._context.tree, [stored])
    return replace(answer, _author=author)


def _text(condition: object) -> str | None:
    if condition is None:
        return None
    return str(condition)


def _verdict(for_yes: float, for_no: float) -> str:
    """The answer by the probabilities of a yes and of a no; their rest is a tie of two regions."""
    if math.isnan(for_yes):
        return UNKNOWN
    if for_yes >= _LIKELY:
        if for_yes >= _SURE:
            return YES
        return PROBABLY
    if for_no >= _LIKELY:
        if for_no >= _SURE:
            return NO
        return PROBABLY_NOT
    return OPEN


def thin(side: Side, trials: int) -> bool:
    """True if a side was hardly tried: few trials, or a small share of all trials."""
    return side.trials < FEW or side.trials < THIN * trials


def _settled(verdict: str, probability: float, of_two: bool) -> bool:
    """True if an answer is settled: see :attr:`Answer.settled`."""
    if verdict == UNKNOWN or (of_two and verdict == OPEN):
        return False
    return verdict == EITHER or max(probability, 1 - probability) >= SURE


class _Settling(NamedTuple):
    """The trials to settle a question: fields of an answer with the same names."""

    needed: int
    advised: int
    outlook: Mapping[int, float]
    obstacle: str


_NOTHING = _Settling(0, 0, {}, "")


def _settling_of(basis: Basis, available: int | None) -> _Settling:
    """The trials to settle an open question, ``available`` of which the budget pays."""
    outlook = outlook_about(basis, available)
    if outlook is not None:
        possible = {n: share for n, share in outlook.shares.items() if available is None or n <= available}
        needed = outlook.needed(available)
        return _Settling(needed, outlook.needed(), possible, outlook.obstacle(available))
    needed = 2 * BATCH
    if available is not None:
        needed = min(needed, available)
    return _Settling(needed, 2 * BATCH, {}, "")


def _runs_of(evidence: Evidence) -> tuple[Floats, Floats]:
    """Mean and number of all runs of the configuration of each trial, repeats included: both of shape (n,).

    Larger means are better. Trials without a value count as no run.
    """
    analysis = evidence.analysis
    configurations = analysis.configurations
    usable = evidence.usable
    count = np.bincount(configurations[usable], minlength=configurations.max() + 1).astype(float)
    total = np.bincount(configurations, weights=np.where(usable, analysis.y, 0.0))
    if analysis.replicates is not None:
        for position, repeat in zip(*analysis.replicates, strict=True):
            equal = np.flatnonzero((np.abs(analysis.X - position) < 1e-9).all(axis=1))
            if len(equal):
                count[configurations[equal[0]]] += 1
                total[configurations[equal[0]]] += repeat
    return (total / np.maximum(count, 1))[configurations], count[configurations]


def _side(evidence: Evidence, part: Masks, considered: Masks) -> Side:
    """The trials of a part of the space, and the best of them."""
    analysis = evidence.analysis
    surrogate = evidence.surrogate
    finished = part.trials & evidence.finished
    rows = np.flatnonzero(part.trials & evidence.usable)
    expected = math.nan
    if int(part.candidates.sum()) >= surrogate.fewest:
        expected = analysis.sign * expected_best(evidence, part.candidates)
    share = part.candidates.sum() / max(1, considered.candidates.sum())
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
    mean, runs = _runs_of(evidence)
    best = rows[np.lexsort((-analysis.y[rows], -mean[rows]))[0]]
    read = analysis.read_positions[best]
    unread = {e.name for e, x in zip(analysis.parameters, read, strict=True) if np.isnan(x)}
    row = evidence.trials.iloc[best]
    varied = [e.name for e in analysis.parameters if e.name not in unread]
    return replace(
        side,
        best={name: label(row[name]) for name in varied},
        value=analysis.sign * float(analysis.y[best]),
        runs=round(float(runs[best])),
        mean=analysis.sign * float(mean[best]),
    )
