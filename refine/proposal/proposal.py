"""From evidence to a proposal: one change per parameter with reasons, volume kept and risk. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.conditions import inside_of
from refine.analysis.finished_runs import analysis_of, read_search
from refine.analysis.finished_study import read_study
from refine.analysis.reason import Reason, plain
from refine.design.space_filling import feasible
from refine.errors import AnalysisError, did_you_mean
from refine.proposal.alternatives import Advice, Offer, advice, left_to_run, offers
from refine.proposal.change import (
    Change,
    beyond,
    reaches_beyond,
    reasons_of,
    reopened,
    short_of_failures,
    without_unread,
)
from refine.proposal.path import RISKS, BoxPath, KeptLevels, box_path_given, box_path_of
from refine.proposal.posterior import Surrogate, learned_rows, surrogate_of, with_candidates_of
from refine.space.edits import narrowed, on_levels
from refine.space.encoding import decode, digest, encode
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.trials.goal import check_epsilon
from refine.utils.action import Action, Symbol
from refine.utils.display import Shown
from refine.utils.keywords import helped
from refine.utils.numbers import is_real, is_whole
from refine.utils.provided import provides
from refine.utils.threads import one_thread
from refine.utils.types import JsonObject

# Smallest risk that can be asked for: the draws of the posterior resolve no smaller probability.
LEAST_RISK = 0.01

# Stated chance below which a level is probably worse than the best, by more than the tolerance. The first cut
# of a study cuts off such a level. After 60 even trials, 1 of 36 boxes on pure noise did, and 64 of 64 on
# surfaces; in typed studies, 11 of 36 rounds on pure noise did.
_AS_GOOD = 0.35

# Version of a proposal's JSON, and part of its digest.
VERSION = 1

# Numbers of a claim that may be unknown (null in JSON). Proposals of older versions lack some of them.
_UNKNOWN = ("probability", "scope", "failing_now", "failing_inside", "factor")

# Numbers of a claim that version 0.1.0 did not write. Unknown ones are left out, so that proposals of 0.1.0
# stay equal to the byte.
_LATER = ("failing_now", "failing_inside", "factor")


class Tolerance(NamedTuple):
    """The tolerated loss in a further goal."""

    metric: str  # name of the metric of the goal
    epsilon: float  # the loss, in units of the metric
    epsilon_source: str  # as in :class:`Claim`


@dataclass(frozen=True)
class Claim:
    """The claim of a proposal.

    With this probability the best value inside is within epsilon of the best in the old space.
    """

    probability: float  # the stated probability; NaN if unknown
    epsilon: float  # loss that counts as none, in units of the metric
    # source of epsilon: ``"given"``, ``"folds"`` or ``"examples"`` (the paired standard error over folds or
    # validation examples), ``"replicates"``, ``"residuals"``, ``"step"`` (the smallest difference that the
    # metric can show), ``"range"`` (5 % of what the best value is above the median), ``"decades"`` (the same
    # on a log scale), ``"deterministic"`` or ``"none"``
    epsilon_source: str
    # number of draws that the probability was counted in, so it resolves 1 / (draws + 1); 0 if it was not
    # counted, or if every configuration was run and repeats are identical: see :attr:`certain`
    draws: int = 0
    rows: int = 0  # number of validation rows behind a metric that is a share of rows; 0 if unknown
    # With several goals, the tolerance of each further goal. The claim is then: for every point of the front,
    # a configuration inside is at most epsilon worse in each goal.
    others: tuple[Tolerance, ...] = ()
    even: int = 0  # number of evenly drawn configurations behind the claim
    # Smallest region, as a share of the old space, that the even configurations hit with probability 0.95.
    # The claim says nothing about smaller regions without a trial. NaN if unknown.
    scope: float = math.nan
    # shares of even trials that are expected to fail in the old space, and inside; NaN if no trial failed
    failing_now: float = math.nan
    failing_inside: float = math.nan
    # epsilon as a factor of the best loss, if losses are compared on a log scale; else NaN
    factor: float = math.nan
    # data that the claim is about: new ``"rows"`` or ``"folds"`` like those of the validation, the validation
    # ``"split"`` alone, or empty if unknown
    data: str = ""

    @property
    def certain(self) -> bool:
        """True if nothing is left to doubt: every configuration was run, and repeats are identical."""
        return not self.draws and self.probability in (0.0, 1.0)

    def given(self, metric: str) -> dict[str, float]:
        """Tolerances that the user set, by metric; ``metric`` is the metric of the first goal."""
        tolerances = (Tolerance(metric, self.epsilon, self.epsilon_source), *self.others)
        return {t.metric: t.epsilon for t in tolerances if t.epsilon_source == "given"}


@dataclass(frozen=True)
class EvidenceSummary:
    """The trials behind a proposal. A store finds the same trials again by `until` and `branch_trials`."""

    digest: str  # digest of the evidence
    metric: str  # name of the metric
    n: int  # trials that the posterior learned from
    tested: int = 0  # space-filling configurations behind the tests; 0 if the posterior alone proposes
    subject_to: tuple[str, ...] = ()  # metric constraints behind the claim
    # time at which the last trial of another branch in the evidence had finished, in seconds since 1970;
    # ``None`` without one
    until: float | None = None
    # round id -> number of its stored trials at the time of the proposal, for rounds of other branches;
    # ``None`` in proposals of older versions
    branch_trials: Mapping[str, int] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Proposal(Shown):
    """A narrowed or widened space with its reasons and its risk.

    Examples:
        >>> proposal = root.propose().proposal
        >>> proposal.space["lr"].high, proposal.claim.probability > 0.95
        (2.0, True)
    """

    old: Space  # the space analysed
    space: Space  # the space proposed
    changes: tuple[Change, ...]  # one per parameter that is not fixed, in the order of the space
    volume_kept: float  # share of the old space that the new space keeps, over all axes
    claim: Claim  # the probability of losing nothing, and its terms
    risk: float  # the asked probability of losing more than epsilon
    evidence: EvidenceSummary  # the trials behind the proposal
    # flat parameters that could be fixed at their cheapest level; not part of ``space``
    offers: tuple[Offer, ...] = ()
    advice: Advice | None = None  # advised size of the next round
    _analysis: Analysis | None = field(default=None, repr=False)
    _proposer: Proposer | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> Change:
        for change in self.changes:
            if change.name == name:
                return change
        raise KeyError(f"no change for parameter {name!r}; known: {', '.join(c.name for c in self.changes)}")

    @property
    def digest(self) -> str:
        """Hash of bounds, numbers, reason codes and evidence.

        Sentences, offers and advice are no part of it.
        """
        content = proposal_to_json(self)
        codes = [[reason["code"] for reason in change["reasons"]] for change in content["changes"]]
        return digest({"version": content["version"], **_decisive(content), "codes": codes}, 16)

    @property
    def analysis(self) -> Analysis:
        """The analysis of the evidence.

        Raises:
            AnalysisError: This proposal was read back from a store.
        """
        if self._analysis is None:
            raise AnalysisError("a proposal that was read back from a store has no analysis; propose again")
        return self._analysis

    def at(self, risk: float) -> Proposal:
        """The proposal of another risk from the same posterior: 0.01 to 0.3, or the risk first asked for.

        Raises:
            AnalysisError: ``risk`` is out of range, or this proposal was read back from a store.
        """
        check_risk(risk)
        if self._proposer is None:
            raise AnalysisError(
                "a proposal that was read back from a store has no posterior for another risk; propose again",
                Action("round.propose", risk=risk),
            )
        if risk > self._proposer.max_risk:
            raise AnalysisError(
                f"risk must be <= {self._proposer.max_risk:g} here, got {risk:g}; propose it",
                Action("round.propose", risk=risk),
            )
        return self._proposer.at(float(risk))

    def _data(self) -> JsonObject:
        return {"digest": self.digest, **proposal_to_json(self)}


def proposal_to_json(proposal: Proposal) -> JsonObject:
    """Plain data of a proposal, without the posterior."""
    claim = {
        name: plain(value)
        for name, value in vars(proposal.claim).items()
        if (value or name not in ("others", "data")) and not (name in _LATER and math.isnan(value))
    }
    names = ("name", "kind", "volume_kept", "q", "risk")
    changes = [
        {**{n: plain(getattr(c, n)) for n in names}, "reasons": [r.to_json() for r in c.reasons]}
        for c in proposal.changes
    ]
    evidence = proposal.evidence
    return {
        "version": VERSION,
        "old": proposal.old.to_json(),
        "space": proposal.space.to_json(),
        "changes": changes,
        "volume_kept": plain(proposal.volume_kept),
        "claim": claim,
        "risk": proposal.risk,
        "n": evidence.n,
        "tested": evidence.tested,
        "evidence": evidence.digest,
        "metric": evidence.metric,
        **({} if evidence.until is None else {"until": evidence.until}),
        **({"branch_trials": dict(evidence.branch_trials)} if evidence.branch_trials else {}),
        "offers": [_data_of(offer, value=encode(offer.value)) for offer in proposal.offers],
        "advice": None if proposal.advice is None else _data_of(proposal.advice),
        **({"subject_to": list(evidence.subject_to)} if evidence.subject_to else {}),
    }


def proposal_from_json(data: Mapping[str, Any]) -> Proposal:
    """The proposal of :func:`proposal_to_json`'s output."""
    old = Space.from_json(data["old"])
    space = Space.from_json(data["space"])

    def numbers(row: Mapping[str, object], *names: str) -> dict[str, Any]:
        return {**row, **{name: math.nan if row.get(name) is None else row[name] for name in names}}

    def reasoned(row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, "reason": Reason.from_json(row["reason"])}

    changes = [
        {**numbers(c, "q", "risk"), "reasons": tuple(map(Reason.from_json, c["reasons"]))}
        for c in data["changes"]
    ]
    claim = {name: value for name, value in data["claim"].items() if name != "basis"}  # of older stores
    tolerances = tuple(Tolerance(*t) for t in claim.get("others", ()))
    branch_trials = data.get("branch_trials")
    if branch_trials is not None:
        branch_trials = {node_id: int(count) for node_id, count in branch_trials.items()}
    return Proposal(
        old=old,
        space=space,
        changes=tuple(Change(old=old[c["name"]], new=space[c["name"]], **c) for c in changes),
        volume_kept=data["volume_kept"],
        claim=Claim(**{**numbers(claim, *_UNKNOWN), "others": tolerances}),
        risk=data["risk"],
        evidence=EvidenceSummary(
            data["evidence"],
            metric=data["metric"],
            n=data["n"],
            tested=data["tested"],
            subject_to=tuple(data.get("subject_to", ())),
            until=data.get("until"),
            branch_trials=branch_trials,
        ),
        offers=tuple(Offer(**{**reasoned(o), "value": decode(o["value"])}) for o in data["offers"]),
        advice=_advice_of(data["advice"]),
    )


def on_evidence(proposal: Proposal, analysis: Analysis, drafted: Proposal | None = None) -> Proposal:
    """A proposal read back from a store, with an analysis, and with the posterior of a draft on it."""
    if drafted is None:
        return replace(proposal, _analysis=analysis)
    if drafted.digest == proposal.digest:
        return drafted
    return replace(proposal, _analysis=analysis, _proposer=drafted._proposer)


def surrogate_behind(proposal: Proposal) -> Surrogate | None:
    """The posterior of a proposal; ``None`` if it was read back from a store, or could not be fitted."""
    if proposal._proposer is None:
        return None
    return proposal._proposer.goals[0].surrogate


def spared(proposal: Proposal) -> bool:
    """True if nothing is cut only because a smaller space would not hold the budget's configurations."""
    proposer = proposal._proposer
    return proposer is not None and proposal.space == proposal.old and proposer.spared(proposal.risk)


def volume_of(proposal: Proposal, space: Space) -> float:
    """Volume kept by a space, as :attr:`Proposal.volume_kept`.

    Parameters that are no longer read are not counted.
    """
    unread = (c for c in proposal.changes if c.kind in ("fix", "leave") and space.get(c.name) == c.new)
    return proposal.old.volume_kept(space.replace({c.name: c.old for c in unread}))


def claim_for(proposal: Proposal, space: Space) -> Claim:
    """The claim for some space, as :attr:`Proposal.claim` for the proposed one.

    Its probability is NaN if the proposal was read back from a store, or if too few candidate cells lie
    inside.
    """
    if space == proposal.space:
        return proposal.claim
    if proposal._proposer is None:
        return replace(proposal.claim, probability=math.nan, failing_inside=math.nan)
    return proposal._proposer.claim_for(space)


def changes_given(proposal: Proposal, decided: Mapping[str, Parameter]) -> tuple[Change, ...]:
    """The changes of the other parameters, given the parameters already decided.

    Recomputes the levels that may be dropped. A change can shrink to the extent that it depended on a
    parameter decided otherwise; changes never grow. Returned unchanged if the proposal was read back from a
    store, or if too few candidates lie inside.
    """
    changes = proposal.changes
    if proposal._proposer is not None and any(proposal.space[n] != p for n, p in decided.items()):
        changes, _ = proposal._proposer.changes(proposal.risk, decided)
    return tuple(c for c in changes if c.name not in decided)


def calls_of(proposal: Proposal) -> tuple[Action, ...]:
    """The next calls for a proposal on a fitted search, which has no tree; empty otherwise."""
    if proposal._proposer is None:
        return ()
    return proposal._proposer.calls


def with_call(proposal: Proposal, call: Action) -> Proposal:
    """A proposal just made, with another next call."""
    assert proposal._proposer is not None
    return replace(proposal, _proposer=replace(proposal._proposer, calls=(call,)))


class _Goal(NamedTuple):
    """The evidence on a goal, and the posterior fitted to it."""

    analysis: Analysis
    surrogate: Surrogate | None  # ``None`` if no posterior could be fitted


@dataclass(frozen=True, eq=False)
class Proposer:
    """Makes the proposals of an analysis.

    The proposals of all risks share its posterior and its path of boxes.
    """

    goals: tuple[_Goal, ...]  # the claim is about the first goal
    boxes: BoxPath | None  # levels kept, by risk; ``None`` without a posterior
    claim: Claim  # with NaN as probability, which :meth:`at` computes
    outer: Space | None  # the space in which audit trials were drawn
    asked_risk: float  # the risk of the first proposal, which stays listed
    room: int = 0  # fewest configurations left to run that a narrowing keeps, or all that are left if fewer
    calls: tuple[Action, ...] = ()  # the next call to type, for a proposal without a tree

    @property
    def max_risk(self) -> float:
        """The largest risk that :meth:`at` accepts."""
        return max(*RISKS, self.asked_risk)

    def at(self, risk: float) -> Proposal:
        """The proposal of one risk."""
        analysis, surrogate = self.goals[0]
        epsilon = self.claim.epsilon
        space = analysis.space
        changes, new = self.changes(risk)
        claim = replace(self.claim, probability=1.0)
        if surrogate is not None:
            claim = self.claim_for(new)
            changes = tuple(replace(c, risk=self.risk_alone(c)) for c in changes)
        proposal = Proposal(
            old=space,
            space=new,
            changes=changes,
            volume_kept=math.nan,
            claim=claim,
            risk=risk,
            evidence=EvidenceSummary(
                analysis.digest,
                metric=analysis.metric,
                n=len(analysis.y),
                tested=analysis.n_space_filling,
                subject_to=analysis.subject_to,
                until=analysis.until,
                branch_trials=analysis.branch_trials,
            ),
            offers=offers(analysis, surrogate, epsilon, risk) if surrogate and not analysis.others else (),
            advice=advice(analysis, new, left_to_run(analysis, new), claim.failing_inside),
            _analysis=analysis,
            _proposer=self,
        )
        return replace(proposal, volume_kept=volume_of(proposal, new))

    def claim_for(self, space: Space) -> Claim:
        """The claim for a part of the space; its probability is NaN if unknown."""
        surrogate = self.goals[0].surrogate
        if surrogate is None:
            return replace(self.claim, probability=math.nan, failing_inside=math.nan)
        probability = surrogate.probability(space, self.claim.epsilon)
        if math.isnan(probability):
            surrogate = with_candidates_of(self.goals[0].analysis, surrogate, space)
            probability = surrogate.probability(space, self.claim.epsilon)
        failing_inside = surrogate.failing_share(space)
        draws = self.claim.draws
        if surrogate.known is not None:
            draws = 0
        return replace(self.claim, probability=probability, draws=draws, failing_inside=failing_inside)

    def risk_alone(self, change: Change) -> float:
        """Probability that a single change loses more than epsilon; NaN if unknown."""
        if change.kind == "keep":
            return 0.0
        space = self.goals[0].analysis.space.replace({change.name: change.new})
        return 1.0 - self.claim_for(space).probability

    def changes(
        self, risk: float, decided: Mapping[str, Parameter] | None = None
    ) -> tuple[tuple[Change, ...], Space]:
        """The changes at one risk, given the parameters already decided, and the space that they make."""
        analysis, surrogate = self.goals[0]
        epsilon = self.claim.epsilon
        decided = decided or {}
        unchanged = tuple(self._change(j, None) for j in range(len(analysis.parameters)))
        changes = unchanged
        if surrogate is not None and self.boxes is not None:
            changes = self._smallest(risk, decided)
            new = _space_with(analysis.space, changes, decided)
            if not decided and math.isnan(surrogate.probability(new, epsilon)):
                changes = unchanged  # a risk that cannot be stated is not taken
            elif not decided and not self._makes_difference(changes):
                changes = unchanged
        if not analysis.others:
            changes = reopened(analysis, changes, epsilon, self.outer)
        new = _space_with(analysis.space, changes, decided)
        if new.constraints and feasible(new).high == 0:
            changes = unchanged  # a constraint forbids every configuration of the box
            new = _space_with(analysis.space, changes, decided)
        changes = without_unread(analysis, changes, new)
        return changes, _space_with(analysis.space, changes, decided)

    def _makes_difference(self, changes: Sequence[Change]) -> bool:
        """True if a change cuts off a level that is probably worse by more than the tolerance.

        Without such a level, the trials cannot tell the part cut off from the part kept, as on pure noise. A
        study whose space was narrowed before is no pure noise.
        """
        surrogate = self.goals[0].surrogate
        assert surrogate is not None
        if surrogate.known is not None or self.outer is not None:
            return True
        epsilons = [self.claim.epsilon, *(tolerance.epsilon for tolerance in self.claim.others)]
        names = [e.name for e in surrogate.found]
        everywhere = np.ones(len(surrogate.candidates), dtype=np.bool_)
        chances = []
        for change in changes:
            if change.kind == "keep":
                continue
            alone = surrogate.space.replace({change.name: change.new})
            outside = ~inside_of(alone, surrogate.space, surrogate.found, surrogate.columns)
            level = surrogate.levels[:, names.index(change.name)]
            for i in np.unique(level[outside]).tolist():
                part = outside & (level == i)
                if int(part.sum()) >= surrogate.fewest:
                    chances.append(surrogate.chance_of(part, everywhere, epsilons))
                    if chances[-1] < _AS_GOOD:
                        return True
        return not chances

    def _smallest(self, risk: float, decided: Mapping[str, Parameter]) -> tuple[Change, ...]:
        """The changes to the smallest box at a risk that leaves :attr:`room` configurations to run.

        A smaller box would save no trial: the next round runs all of its configurations, and then others.
        """
        analysis, surrogate = self.goals[0]
        assert surrogate is not None
        assert self.boxes is not None
        path_given = None
        if decided:
            largest = max(risk, self.max_risk)
            path_given = box_path_given(analysis, surrogate, self.claim.epsilon, largest, decided)

        def changes_to(number: int) -> tuple[Change, ...]:
            assert self.boxes is not None
            levels = self.boxes.kept(risk, number)
            if path_given is not None:
                levels = [a.joined(b) for a, b in zip(levels, path_given.kept(risk), strict=True)]
            return tuple(self._change(j, kept_levels) for j, kept_levels in enumerate(levels))

        room = min(self.room, left_to_run(analysis, analysis.space))
        for number in range(self.boxes.last(risk), 0, -1):
            smaller = changes_to(number)
            space = _space_with(analysis.space, smaller, decided)
            # A range with few levels left gets finer ones, so a smaller box may leave more configurations.
            if not room or left_to_run(analysis, space) >= room:
                return smaller
        return changes_to(0)

    def spared(self, risk: float) -> bool:
        """True if the space stays only because a smaller one would not hold :attr:`room` configurations."""
        if self.boxes is None or not self.room:
            return False
        return replace(self, room=0).changes(risk)[1] != self.goals[0].analysis.space

    def _change(self, j: int, levels: KeptLevels | None) -> Change:
        """The change of parameter ``j``; its reasons come from the goal on which its effect is clearest."""
        goal = min(self.goals, key=lambda goal: goal.analysis.parameters[j].q)
        evidence = goal.analysis.parameters[j]
        old = evidence.parameter
        new: Parameter = old
        end_reasons: tuple[Reason, ...] = ()
        if levels is not None:
            if not levels.kept.all():
                between = not on_levels(old, goal.analysis.X[:, j])
                new = narrowed(old, np.flatnonzero(levels.kept).tolist(), between=between)
                if isinstance(new, Range):
                    new = short_of_failures(evidence, new, levels.neighbour)
            if isinstance(old, Range) and isinstance(new, Range) and evidence.read != 0:
                if goal.surrogate is None:
                    optima = None
                else:
                    optima = goal.surrogate.optima[:, j]
                new, end_reasons = beyond(goal.analysis, evidence, new, optima, self.goals[0].analysis)
        kind = _kind_of_change(old, new)
        reasons = reasons_of(
            goal.analysis,
            evidence,
            kind,
            new,
            end_reasons,
            untried=None if self.boxes is None else self.boxes.untried[j],
            levels=levels,
        )
        if kind == "keep":
            volume_kept = 1.0
        else:
            volume_kept = old.volume_kept(new)
        return Change(
            evidence.name, kind, old=old, new=new, volume_kept=volume_kept, q=evidence.q, reasons=reasons
        )


@provides("proposal.digest")
def digest_of_stored(content: Mapping[str, object]) -> str:
    """The digest of a stored proposal; raises an error of Python or refine if it cannot be read."""
    return proposal_from_json(content).digest


def _advice_of(data: Mapping[str, Any] | None) -> Advice | None:
    """The advice of plain data; older proposals hold further numbers."""
    if data is None:
        return None
    seconds = math.nan if data["seconds"] is None else data["seconds"]
    return Advice(data["n"], data["hit"], seconds, Reason.from_json(data["reason"]))


def _kind_of_change(old: Parameter, new: Parameter) -> str:
    if reaches_beyond(old, new):
        return "widen"
    if new == old:
        return "keep"
    if isinstance(old, Range):
        return "narrow"
    return "drop"


def _space_with(space: Space, changes: Sequence[Change], decided: Mapping[str, Parameter]) -> Space:
    """A space with the proposed changes, and with the parameters already decided."""
    return space.replace({**{c.name: c.new for c in changes if c.kind != "keep"}, **decided})


def check_risk(risk: float, epsilon: float | None = None) -> None:
    """Raise AnalysisError unless the risk, and epsilon if given, are in range."""
    if not is_real(risk) or not LEAST_RISK <= risk < 1:
        raise AnalysisError(
            f"risk must be a probability from {LEAST_RISK} to below 1, got {risk!r}; for 5 % write 0.05"
        )
    check_epsilon(epsilon)


@one_thread
@helped
def propose(
    analysis: object,
    risk: float = 0.05,
    epsilon: float | Mapping[str, float] | None = None,
    outer: Space | None = None,
    room: int = 0,
) -> Proposal:
    """Proposes bounds from the evidence of a round.

    Levels are dropped jointly: the smallest box of a nested path that keeps, with probability ``1 - risk``, a
    value within ``epsilon`` of the best, by draws of a forest and Gaussian processes. Tests are reasons to
    read, and decide nothing. The configuration with the best posterior mean is kept, also given repeats, and
    so are levels without trials and equally good choices. If the best trials lie at an end without a natural
    limit, the range is continued past the end: by one step, or by half a decade at most on a logarithmic
    scale.

    Args:
        analysis: Of :func:`refine.analyze`; or a fitted search of scikit-learn or a study of Optuna with one
            objective, read as :meth:`refine.Tree.add_runs` does.
        risk: Accepted probability that the box loses more than ``epsilon``, in [0.01, 1).
        epsilon: Tolerated loss, in units of the metric; by default the smallest loss that the evidence can
            detect. For several goals a mapping by metric, with the default for metrics left out; a number is
            the first goal's.
        outer: The space of the previous round, in which audit trials were drawn. An audit trial that beats
            the best value inside by more than ``epsilon`` refutes the narrowing: its values are let in again.
        room: Fewest configurations left to run that a narrowing keeps, for example the trials that a budget
            leaves.

    Raises:
        AnalysisError: ``risk`` or ``epsilon`` is out of range, or the argument is no analysis, search or
            study with a single objective.

    Examples:
        >>> proposal = refine.propose(root.analyze(), risk=0.1)
        >>> proposal.risk, proposal.volume_kept < 0.2
        (0.1, True)
    """
    check_risk(risk)
    calls: tuple[Action, ...] = ()
    if hasattr(analysis, "cv_results_"):
        analysis = analysis_of(read_search(analysis))
        calls = (Action("refine.Tree('search').add_runs", Symbol("search")),)
    elif hasattr(analysis, "get_trials"):
        study = read_study(analysis)
        if study.goals:
            raise AnalysisError(
                f"a proposal on a study is about one objective, got {len(study.goals) + 1}; for goals",
                Action("refine.optuna.review", Symbol("study")),
            )
        analysis = analysis_of(study)
        calls = (Action("refine.Tree('study').add_runs", Symbol("study")),)
    if not isinstance(analysis, Analysis):
        raise AnalysisError(
            f"propose needs an analysis, a fitted search or a study, got {type(analysis).__name__}; "
            "refine.propose(refine.analyze(space, frame)), or round.propose()"
        )
    if outer is not None and not isinstance(outer, Space):
        raise AnalysisError(f"outer must be a space, got {type(outer).__name__}; for example round.space")
    first, *further = tolerances_of(analysis, epsilon)
    analyses = (analysis, *analysis.others)
    surrogate, *surrogates = [surrogate_of(goal, goals=analyses) for goal in analyses]
    if surrogate is not None and surrogates:
        fitted = [other for other in surrogates if other is not None]
        epsilons = [first.epsilon, *(t.epsilon for t in further)]
        if len(fitted) == len(surrogates):
            surrogate = surrogate.joined(fitted, epsilons)
        else:
            surrogate = None
    boxes = None
    # Values that are all equal leave nothing to look for.
    if surrogate is not None and any(np.ptp(goal.y[learned_rows(goal)]) > 0 for goal in analyses):
        boxes = box_path_of(analysis, surrogate, first.epsilon, risk)
    exist = feasible(analysis.space)
    claim = Claim(
        math.nan,
        first.epsilon,
        first.epsilon_source,
        draws=0 if surrogate is None else surrogate.draws,
        rows=analysis.validation_rows,
        others=tuple(further),
        even=analysis.n_even,
        scope=stats.hit_share(analysis.n_even, exist.count if exist.exact else None),
        failing_now=math.nan if surrogate is None else surrogate.failing_share(analysis.space),
        factor=analysis.factor_of(first.epsilon),
        data=claimed_data(analysis),
    )
    further_surrogates = (
        surrogate.others if surrogate is not None and surrogate.others else [None] * len(surrogates)
    )
    goals = tuple(map(_Goal, analyses, (surrogate, *further_surrogates)))
    if not is_whole(room, 0):
        raise AnalysisError(
            f"room must be a whole number >= 0 of configurations, got {room!r}; for example 40"
        )
    proposer = Proposer(
        goals, boxes, claim=claim, outer=outer, asked_risk=float(risk), room=room, calls=calls
    )
    return proposer.at(float(risk))


def claimed_data(analysis: Analysis) -> str:
    """The data that claims on an analysis are about: see :attr:`Claim.data`."""
    if analysis.new_data is not None:
        return analysis.new_data.deviations.source
    if analysis.one_split:
        return "split"
    return ""


def tolerances_of(analysis: Analysis, epsilon: float | Mapping[str, float] | None) -> list[Tolerance]:
    """The tolerated loss of each goal; AnalysisError for a negative loss, or for a metric that is no goal."""
    by_goal = (analysis, *analysis.others)
    if isinstance(epsilon, Mapping):
        by_metric = epsilon
    elif epsilon is None:
        by_metric = {}
    else:
        by_metric = {analysis.metric: epsilon}
    names = [goal_analysis.metric for goal_analysis in by_goal]
    for name in by_metric:
        if name not in names:
            raise AnalysisError(
                f"epsilon: {name!r} is not a goal of this round; {did_you_mean(str(name), names)}"
            )
    tolerances = []
    for goal_analysis in by_goal:
        user_epsilon = check_epsilon(by_metric.get(goal_analysis.metric))
        loss, source = goal_analysis.noise.tolerance(user_epsilon)
        tolerances.append(
            Tolerance(goal_analysis.metric, float(loss) if math.isfinite(loss) else 0.0, source)
        )
    return tolerances


def _data_of(record: Offer | Advice, **shown: object) -> dict[str, object]:
    """Plain data of an offer or advice; values in ``shown`` replace their fields."""
    fields = {**vars(record), "reason": record.reason.to_json(), **shown}
    return {name: plain(value) for name, value in fields.items()}


def _decisive(content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a proposal's JSON that identifies it.

    Bounds and numbers, without sentences and derived values.
    """
    names = ("old", "space", "volume_kept", "risk", "n", "evidence", "metric", "subject_to")
    follows = ("draws", "rows", "even", "scope", "failing_now", "failing_inside", "factor", "data")
    claim = {name: value for name, value in content["claim"].items() if name not in follows}
    changes = [[c[name] for name in ("name", "kind", "volume_kept", "q")] for c in content["changes"]]
    return {**{n: content[n] for n in names if n in content}, "claim": claim, "changes": changes}
