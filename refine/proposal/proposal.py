"""From evidence to a proposal: one change per parameter, with reasons, volume kept and risk. Pure."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ALPHA
from refine.analysis.finished_runs import analysis_of, read_search
from refine.analysis.finished_study import read_study
from refine.analysis.reason import Reason, plain
from refine.design.space_filling import feasible
from refine.errors import AnalysisError, did_you_mean
from refine.proposal.alternatives import Advice, Offer, advice, left_to_run, offers
from refine.proposal.change import Change, beyond, reasons_of, reopened, without_unread
from refine.proposal.path import RISKS, Boxes, boxes_given, boxes_of
from refine.proposal.posterior import Region, Surrogate, surrogate_of
from refine.space.edits import narrowed, on_levels
from refine.space.encoding import decode, digest, dumps, encode
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.utils.action import Action, Symbol
from refine.utils.arrays import Bools
from refine.utils.display import Shown
from refine.utils.keywords import helped
from refine.utils.threads import one_thread

# Below it nothing could be narrowed: the surrogate's draws resolve no smaller probability.
LEAST_RISK = 0.01

# Of the JSON of a proposal, and part of its digest.
VERSION = 1

_SAME = ("risk", "n", "tested", "evidence", "metric")  # stand in JSON as they are


class Tolerance(NamedTuple):
    """The loss that counts as none in a further goal."""

    metric: str  # name of its metric
    epsilon: float  # in units of the metric
    epsilon_source: str  # as in :class:`Claim`


@dataclass(frozen=True)
class Claim:
    """What is claimed: with this probability the best value inside is within epsilon of the best in the old space."""

    probability: float  # the stated probability; NaN where none can be stated
    epsilon: float  # loss that counts as none, in units of the metric
    # where it comes from: ``"given"``, ``"folds"`` or ``"examples"`` (the paired standard error over folds or
    # validation examples), ``"replicates"``, ``"residuals"``, ``"step"`` (the smallest difference that the
    # metric can show), ``"range"`` (5 % of what the best value is above the median), ``"deterministic"`` or
    # ``"none"``
    epsilon_source: str
    # draws of the posterior that the probability is counted in, so that it resolves 1 / (draws + 1); 0 where
    # it is not
    draws: int = 0
    rows: int = 0  # of how many rows of a validation set the metric is a share; 0 where that can't be told
    # of several goals, the loss that counts as none in the further ones. The claim is then that every point
    # of the front has a configuration inside that is at most epsilon worse in each goal.
    others: tuple[Tolerance, ...] = ()
    even: int = 0  # evenly drawn configurations behind it
    # the smallest region, as a share of the old space, that they hit with probability 0.95: of smaller ones
    # that no trial has hit nothing is claimed. NaN where it is not known.
    scope: float = math.nan

    def given(self, metric: str) -> dict[str, float]:
        """What somebody said counts as no loss, by metric, of which ``metric`` is the first goal's."""
        every = (Tolerance(metric, self.epsilon, self.epsilon_source), *self.others)
        return {t.metric: t.epsilon for t in every if t.epsilon_source == "given"}


@dataclass(frozen=True, eq=False, repr=False)
class Proposal(Shown):
    """A narrowed (or widened) space with its reasons and its risk.

    Examples:
        >>> proposal = root.propose().proposal
        >>> proposal.space["lr"].high, proposal.claim.probability > 0.95
        (1.5, True)
    """

    old: Space  # the space analysed
    space: Space  # the space proposed
    changes: tuple[Change, ...]  # one per parameter that is not fixed, in the space's order
    volume_kept: float  # measure(new within old) / measure(old), over all axes
    claim: Claim  # what it may cost
    risk: float  # the probability of losing more that was asked for
    n: int  # trials that the posterior learned from
    evidence: str  # digest of the evidence
    metric: str  # name of the metric
    # flat parameters that could be fixed where they cost least; no part of ``space``
    offers: tuple[Offer, ...] = ()
    advice: Advice | None = None  # how large the next round should be
    tested: int = 0  # space-filling configurations that were tested on; 0 where the posterior alone proposes
    subject_to: tuple[str, ...] = ()  # metric constraints that the claim's values meet
    _made_of: _MadeOf | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> Change:
        for change in self.changes:
            if change.name == name:
                return change
        raise KeyError(f"no change for parameter {name!r}; known: {', '.join(c.name for c in self.changes)}")

    @property
    def digest(self) -> str:
        """Hash of bounds, numbers, codes of reasons, and the evidence: no sentence is part of it.

        Offers and advice hang on measured times.
        """
        content = self.to_json()
        codes = [[reason["code"] for reason in change["reasons"]] for change in content["changes"]]
        return digest({"version": content["version"], **_decisive(content), "codes": codes}, 16)

    def judged_by(self, drafted: Proposal) -> Proposal:
        """This proposal, read back from a store, with the posterior of one that was drafted on the same evidence."""
        return drafted if drafted.digest == self.digest else replace(self, _made_of=drafted._made_of)

    def volume_of(self, space: Space) -> float:
        """Volume kept by a space, as :attr:`volume_kept` is of the one proposed: what nothing reads any more is not counted."""
        unread = (c for c in self.changes if c.kind in ("fix", "leave") and space.get(c.name) == c.new)
        return self.old.volume_kept(space.replace({c.name: c.old for c in unread}))

    def given(self, decided: Mapping[str, Parameter]) -> tuple[Change, ...]:
        """The changes of the other parameters where some are decided otherwise than proposed.

        What may go is found anew with the decided ones as they are. A level that was proposed to stay stays: a change goes back
        as far as it stood only together with what was decided otherwise, and none goes further. They are as they are where this
        proposal was read back, or hardly a candidate lies inside.
        """
        others = tuple(c for c in self.changes if c.name not in decided)
        if self._made_of is None or all(self.space[n] == p for n, p in decided.items()):
            return others
        changed, _ = _changes(self._made_of, self.risk, decided)
        return tuple(c for c in changed if c.name not in decided)

    def probability_of(self, space: Space) -> float:
        """The probability that the best value inside another space, such as an edited one, is at least the best in the old one minus epsilon.

        NaN where it can't be stated: this proposal was read back and its posterior is gone, or too few of the candidate cells lie inside.
        """
        return math.nan if self._surrogate is None else self._surrogate.probability(space, self.claim.epsilon)

    @cached_property
    def elsewhere(self) -> Region | None:
        """The likeliest region that is cut off; ``None`` where nothing is, or the posterior is gone."""
        return None if self._surrogate is None else self._surrogate.elsewhere(self.space, self.claim.epsilon)

    @property
    def posterior(self) -> stats.Posterior | None:
        """The posterior of the (first) goal that it is read off; ``None`` where there is none, or it is gone."""
        return None if self._surrogate is None else self._surrogate.posterior

    @property
    def calls(self) -> tuple[Action, ...]:
        """What to do next with a proposal on a fitted search, which no tree has; else nothing."""
        return () if self._made_of is None else self._made_of.calls

    @property
    def _surrogate(self) -> Surrogate | None:
        return None if self._made_of is None else self._made_of.surrogate

    @property
    def risks(self) -> tuple[float, ...]:
        """Risks that are listed beside each other: 1, 5, 15 and 30 %, and those that were asked for."""
        return tuple(sorted({*RISKS, self.risk, *([] if self._made_of is None else [self._made_of.most])}))

    def at(self, risk: float) -> Proposal:
        """The proposal for another risk, from 0.01 to 0.3, or to what this one was made for, of the same posterior.

        Raises:
            AnalysisError: ``risk`` out of range, or this proposal was read back and its posterior is gone.
        """
        check_risk(risk)
        if self._made_of is None:
            raise AnalysisError(
                "a proposal that was read back can't be moved; make it anew",
                Action("round.propose", risk=risk),
            )
        most = max(*RISKS, self._made_of.most)
        if risk > most:
            raise AnalysisError(
                f"risk must be <= {most:g} here, got {risk:g}; propose it", Action("round.propose", risk=risk)
            )
        return _at(self._made_of, float(risk))

    def _data(self) -> dict[str, Any]:
        return {"digest": self.digest, **self.to_json()}

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the surrogate."""
        claim = {name: plain(value) for name, value in vars(self.claim).items() if value or name != "others"}
        names = ("name", "kind", "volume_kept", "q", "risk")
        changes = [
            {**{n: plain(getattr(c, n)) for n in names}, "reasons": [r.to_json() for r in c.reasons]}
            for c in self.changes
        ]
        return {
            "version": VERSION,
            "old": self.old.to_json(),
            "space": self.space.to_json(),
            "changes": changes,
            "volume_kept": plain(self.volume_kept),
            "claim": claim,
            **{name: getattr(self, name) for name in _SAME},
            "offers": [_data_of(offer, value=encode(offer.value)) for offer in self.offers],
            "advice": None if self.advice is None else _data_of(self.advice),
            **({"subject_to": list(self.subject_to)} if self.subject_to else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Proposal:
        """The proposal of :meth:`to_json`'s output."""
        old, space = Space.from_json(data["old"]), Space.from_json(data["space"])

        def numbers(of: Mapping[str, Any], *names: str) -> dict[str, Any]:
            return {**of, **{name: math.nan if of[name] is None else of[name] for name in names}}

        def reasoned(of: Mapping[str, Any]) -> dict[str, Any]:
            return {**of, "reason": Reason.from_json(of["reason"])}

        changes = [
            {**numbers(c, "q", "risk"), "reasons": tuple(map(Reason.from_json, c["reasons"]))}
            for c in data["changes"]
        ]
        others = tuple(Tolerance(*t) for t in data["claim"].get("others", ()))
        return cls(
            old=old,
            space=space,
            changes=tuple(Change(old=old[c["name"]], new=space[c["name"]], **c) for c in changes),
            volume_kept=data["volume_kept"],
            claim=Claim(**{**numbers(data["claim"], "probability", "scope"), "others": others}),
            offers=tuple(Offer(**{**reasoned(o), "value": decode(o["value"])}) for o in data["offers"]),
            advice=None if (a := data["advice"]) is None else Advice(**reasoned(numbers(a, "seconds"))),
            subject_to=tuple(data.get("subject_to", ())),
            **{name: data[name] for name in _SAME},
        )

    def dumps(self) -> str:
        """Canonical JSON, as it is stored: what its digest is of."""
        return dumps(self.to_json())


@dataclass(frozen=True, eq=False)
class _MadeOf:
    """What proposals of every risk are read off."""

    analysis: Analysis
    surrogate: Surrogate | None
    boxes: Boxes | None
    claim: Claim  # without its probability
    outer: Space | None
    eligible: frozenset[str]
    most: float
    calls: tuple[Action, ...] = ()


def check_risk(risk: float, epsilon: float | None = None) -> None:
    """Raises AnalysisError unless both can be asked for."""
    if isinstance(risk, bool) or not isinstance(risk, int | float) or not LEAST_RISK <= risk < 1:
        raise AnalysisError(
            f"risk must be >= {LEAST_RISK} and < 1, got {risk!r}; it is the accepted probability of losing the best "
            "value, 0.05 for 5 %, and smaller ones can't be told from none"
        )
    check_epsilon(epsilon)


def check_epsilon(epsilon: float | None) -> float | None:
    """``epsilon`` if it is a loss that can count as none, or ``None``; else AnalysisError."""
    if epsilon is None:
        return None
    most = sys.float_info.max  # an int may lie beyond every float, and below infinity
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon <= most:
        raise AnalysisError(
            f"epsilon must be a number >= 0 in units of the metric, got {epsilon!r}; left out it is what the trials can "
            "tell apart"
        )
    return float(epsilon)


@one_thread
@helped
def propose(
    analysis: Any,
    risk: float = 0.05,
    epsilon: float | Mapping[str, float] | None = None,
    outer: Space | None = None,
    eligible: Collection[str] = (),
) -> Proposal:
    """Proposes bounds from what was measured.

    A parameter is narrowed only if it, or a pair it belongs to, was seen to matter (q <= 0.1); where results chose the trials,
    so that nothing is tested, the posterior alone decides. Which levels go is decided
    jointly: the smallest box of a path of nested ones that keeps, with probability ``1 - risk``, a value within
    ``epsilon`` of the best, by draws from a forest and Gaussian processes. The configuration that is best by posterior
    mean stays inside, and so do levels without trials. Where the best trials pile up at an end that is no natural
    limit, the range is widened past it.

    Args:
        analysis: Of :func:`refine.analyze`; or a fitted search of scikit-learn or a study of Optuna with one objective, read as
            :meth:`refine.Tree.add_search` and :meth:`refine.Tree.add_study` do.
        risk: Accepted probability that the box loses more than ``epsilon``, in [0.01, 1).
        epsilon: Loss that counts as none, in units of the metric; default what the evidence can tell apart. Of several goals
            one by the name of each metric, those left out by default; a number is the first goal's.
        outer: The space of the round before, inside which audit trials were drawn. One that beats the best
            value inside by more than ``epsilon`` refutes the narrowing: its values are let in again.
        eligible: Parameters that an earlier look at this round or its ancestors saw to matter: they may be narrowed though they
            are not seen to matter now, if all space-filling trials inside, of earlier rounds too, show it still (p <= 0.1).

    Raises:
        AnalysisError: ``risk`` or ``epsilon`` out of range, or neither an analysis nor finished runs with one objective are given.

    Examples:
        >>> proposal = refine.propose(root.analyze(), risk=0.1)
        >>> proposal.risk, proposal.volume_kept < 0.2
        (0.1, True)
    """
    check_risk(risk)
    calls: tuple[Action, ...] = ()
    if hasattr(analysis, "cv_results_"):
        analysis = analysis_of(read_search(analysis))
        calls = (Action("refine.Tree('search').add_search", Symbol("search")),)
    elif hasattr(analysis, "get_trials"):
        said = read_study(analysis)
        if said.goals:
            raise AnalysisError(
                f"a proposal on a study is about one objective, got {len(said.goals) + 1}; for goals",
                Action("refine.optuna.review", Symbol("study")),
            )
        analysis = analysis_of(said)
        calls = (Action("refine.Tree('study').add_study", Symbol("study")),)
    if not isinstance(analysis, Analysis):
        raise AnalysisError(
            f"propose needs an analysis, a fitted search or a study, got {type(analysis).__name__}; "
            "refine.propose(refine.analyze(space, frame)), or round.propose()"
        )
    first, *further = _tolerances(analysis, epsilon)
    by_goal = (analysis, *analysis.others)
    eligible = {e.name for each in by_goal for e in each.parameters if e.pooled_p <= ALPHA}.intersection(
        eligible
    )
    surrogate = surrogate_of(analysis)
    others = [surrogate_of(other) for other in analysis.others]
    if surrogate is not None and others:
        known = [other for other in others if other is not None]
        epsilons = [first.epsilon, *(t.epsilon for t in further)]
        surrogate = surrogate.joined(known, epsilons) if len(known) == len(others) else None
    boxes = None if surrogate is None else boxes_of(analysis, surrogate, first.epsilon, risk, eligible)
    draws = 0 if surrogate is None else surrogate.draws
    exist = feasible(analysis.space)
    claim = Claim(
        math.nan,
        first.epsilon,
        first.epsilon_source,
        draws,
        analysis.validation_rows,
        tuple(further),
        analysis.n_even,
        stats.hit_share(analysis.n_even, exist.count if exist.exact else None),
    )
    return _at(
        _MadeOf(analysis, surrogate, boxes, claim, outer, frozenset(eligible), float(risk), calls),
        float(risk),
    )


def _tolerances(analysis: Analysis, epsilon: float | Mapping[str, float] | None) -> list[Tolerance]:
    """Per goal the loss that counts as none; AnalysisError if one is no number >= 0, or of a metric that is no goal."""
    by_goal = (analysis, *analysis.others)
    given = epsilon if isinstance(epsilon, Mapping) else {} if epsilon is None else {analysis.metric: epsilon}
    names = [each.metric for each in by_goal]
    for name in given:
        if name not in names:
            raise AnalysisError(
                f"epsilon: {name!r} is no goal of this round; {did_you_mean(str(name), names)}"
            )
    tolerances = []
    for each in by_goal:
        said = check_epsilon(given.get(each.metric))
        loss, source = each.noise.tolerance(said)
        tolerances.append(Tolerance(each.metric, float(loss) if math.isfinite(loss) else 0.0, source))
    return tolerances


def _goals_of(made_of: _MadeOf) -> list[_MadeOf]:
    """Per parameter the goal in which it is seen the clearest: the reasons of its change are that goal's."""
    surrogate = made_of.surrogate
    each = [made_of]
    for k, other in enumerate(made_of.analysis.others):
        own = surrogate.others[k] if surrogate is not None and surrogate.others else None
        each.append(replace(made_of, analysis=other, surrogate=own))
    return [
        min(each, key=lambda m: m.analysis.parameters[j].q) for j in range(len(made_of.analysis.parameters))
    ]


def _changes(
    made_of: _MadeOf, risk: float, decided: Mapping[str, Parameter] | None = None
) -> tuple[tuple[Change, ...], Space]:
    """The changes at one risk, given what was decided, and the space that they make."""
    analysis, surrogate, epsilon = made_of.analysis, made_of.surrogate, made_of.claim.epsilon
    space, goals, decided = analysis.space, _goals_of(made_of), decided or {}
    kept = tuple(_change(goal, j, analysis) for j, goal in enumerate(goals))
    changes = kept

    def made(changes: Sequence[Change]) -> Space:
        return space.replace({**{c.name: c.new for c in changes if c.kind != "keep"}, **decided})

    if surrogate is not None and made_of.boxes is not None:
        stay = made_of.boxes.levels(risk)
        if decided:
            again = boxes_given(
                analysis, surrogate, epsilon, max(risk, made_of.most), made_of.eligible, decided
            )
            stay = stay if again is None else [a | b for a, b in zip(stay, again.levels(risk), strict=True)]
        each = enumerate(zip(goals, stay, strict=True))
        changes = tuple(_change(goal, j, analysis, levels) for j, (goal, levels) in each)
        if not decided and math.isnan(surrogate.probability(made(changes), epsilon)):
            changes = kept  # a risk that can't be stated is not taken
    if not analysis.others:
        changes = reopened(analysis, changes, epsilon, made_of.outer)
    new = made(changes)
    if new.constraints and feasible(new).high == 0:
        # The box lies where a constraint forbids everything; saying so by keeping all is the honest way.
        changes, new = kept, made(kept)
    changes = without_unread(analysis, changes, new)
    return changes, made(changes)


def _at(made_of: _MadeOf, risk: float) -> Proposal:
    """The proposal of one risk."""
    analysis, surrogate, epsilon = made_of.analysis, made_of.surrogate, made_of.claim.epsilon
    space = analysis.space
    changes, new = _changes(made_of, risk)
    probability = 1.0
    if surrogate is not None:
        probability = surrogate.probability(new, epsilon)
        alone = (surrogate.probability(space.replace({c.name: c.new}), epsilon) for c in changes)
        changes = tuple(
            replace(c, risk=0.0 if c.kind == "keep" else 1.0 - p) for c, p in zip(changes, alone, strict=True)
        )
    made = Proposal(
        old=space,
        space=new,
        changes=changes,
        volume_kept=math.nan,
        claim=replace(made_of.claim, probability=probability),
        risk=risk,
        n=len(analysis.y),
        tested=analysis.n_space_filling,
        evidence=analysis.digest,
        metric=analysis.metric,
        offers=offers(analysis, surrogate, epsilon, risk) if surrogate and not analysis.others else (),
        advice=advice(analysis, new, left_to_run(analysis, new)),
        subject_to=analysis.subject_to,
        _made_of=made_of,
    )
    return replace(made, volume_kept=made.volume_of(new))


def _change(made_of: _MadeOf, j: int, first: Analysis, keep: Bools | None = None) -> Change:
    """The change of a parameter of which some levels stay; it stays as it is where nothing says which."""
    analysis, e = made_of.analysis, made_of.analysis.parameters[j]
    old, ends = e.parameter, tuple[Reason, ...]()
    new: Parameter = old
    if keep is not None and not keep.all():
        levels = np.flatnonzero(keep).tolist()
        new = narrowed(old, levels, between=not on_levels(old, analysis.X[:, j]))
    if keep is not None and isinstance(old, Range) and isinstance(new, Range) and e.read != 0:
        optima = None if made_of.surrogate is None else made_of.surrogate.optima[:, j]
        new, ends = beyond(analysis, e, new, optima, first)
    kind = "keep" if new == old else "narrow" if isinstance(old, Range) else "drop"
    if isinstance(old, Range) and isinstance(new, Range) and (new.low < old.low or new.high > old.high):
        kind = "widen"
    untried = None if made_of.boxes is None else made_of.boxes.untried[j]
    reasons = reasons_of(analysis, e, kind, new, ends, e.name in made_of.eligible, untried)
    return Change(e.name, kind, old, new, old.volume_kept(new) if kind != "keep" else 1.0, e.q, reasons)


def _data_of(found: Offer | Advice, **shown: Any) -> dict[str, Any]:
    """Plain data of an offer or advice, but for what is ``shown`` otherwise."""
    fields = {**vars(found), "reason": found.reason.to_json(), **shown}
    return {name: plain(value) for name, value in fields.items()}


def _decisive(content: Mapping[str, Any]) -> dict[str, Any]:
    """What of a proposal's JSON makes it what it is: bounds and numbers, without words, and without what follows."""
    names = ("old", "space", "volume_kept", "risk", "n", "evidence", "metric", "subject_to")
    follows = ("draws", "rows", "even", "scope")
    claim = {name: value for name, value in content["claim"].items() if name not in follows}
    changes = [[c[name] for name in ("name", "kind", "volume_kept", "q")] for c in content["changes"]]
    return {**{n: content[n] for n in names if n in content}, "claim": claim, "changes": changes}
