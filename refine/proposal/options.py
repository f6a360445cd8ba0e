"""Proposals of several risks next to each other, from one posterior. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from refine.analysis.evidence import level_values
from refine.analysis.reason import plain
from refine.proposal.path import RISKS
from refine.proposal.preview import kept_of_top
from refine.proposal.proposal import Proposal
from refine.space.encoding import label
from refine.space.parameters import Range
from refine.space.space import Space
from refine.utils.display import Shown
from refine.utils.types import JsonObject


@dataclass(frozen=True)
class Option:
    """The proposal of a risk in short; larger risks up to ``up_to`` lead to the same proposal."""

    risk: float  # smallest listed risk with this proposal: accepted probability of losing more than epsilon
    up_to: float  # largest listed risk with this proposal
    leaves: dict[str, tuple[str, ...]]  # parameter -> labels of the dropped levels
    volume_kept: float  # volume kept of the present space
    # probability that the best value inside is within epsilon of the best in the present space; NaN if
    # unknown
    probability: float
    top: int  # number of top trials of the round
    top_kept: int  # number of top trials inside
    old: Space  # the present space
    space: Space  # the proposed space

    @property
    def opens(self) -> dict[str, tuple[float, ...]]:
        """Range -> new low or high end beyond the present range, outside all trials.

        A range may have both.
        """
        ends = {}
        for name, old in self.old.items():
            new = self.space.get(name)
            if isinstance(old, Range) and isinstance(new, Range):
                beyond = [new.low] * (new.low < old.low) + [new.high] * (new.high > old.high)
                if beyond:
                    ends[name] = tuple(float(end) for end in beyond)
        return ends


@dataclass(frozen=True, repr=False)
class Options(Shown):
    """Proposals by risk, the smallest first; each lies inside the previous one, except for widened ranges."""

    rows: tuple[Option, ...]  # one per proposal: risks that lead to the same bounds share a row
    chosen: float  # the risk of the proposal under review
    epsilon: float  # loss that counts as none
    metric: str  # name of the metric
    subject_to: tuple[str, ...] = ()  # metric constraints that the values meet
    # True with several goals: the probability is then that of keeping their front
    front: bool = False

    def _data(self) -> JsonObject:
        return {"rows": self.to_json()}

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data, a row per proposal."""
        names = ("risk", "up_to", "leaves", "opens", "volume_kept", "probability", "top", "top_kept")
        return [{name: plain(getattr(o, name)) for name in names} for o in self.rows]

    @property
    def now(self) -> Option:
        """The row of the proposal under review."""
        return next(o for o in self.rows if o.risk <= self.chosen <= o.up_to)


def risks_of(proposal: Proposal) -> tuple[float, ...]:
    """Risks listed next to each other: 5, 15 and 30 %, and the risks that were asked for."""
    asked_risk = proposal.risk
    if proposal._proposer is not None:
        asked_risk = proposal._proposer.asked_risk
    return tuple(sorted({*RISKS, proposal.risk, asked_risk}))


def options_of(proposal: Proposal, allow_degenerate: bool = False) -> Options:
    """The proposals of :func:`risks_of`.

    AnalysisError if its posterior is gone.
    """
    rows: list[Option] = []
    for risk in risks_of(proposal):
        if risk == proposal.risk:
            option_proposal = proposal
        else:
            option_proposal = proposal.at(risk)
        if rows and rows[-1].space == option_proposal.space:
            rows[-1] = replace(rows[-1], up_to=risk)
            continue
        changes = option_proposal.changes
        top, top_kept = kept_of_top(proposal.analysis, option_proposal.space, allow_degenerate)
        levels = {c.name: level_values(c.old)[~c.new.contains(level_values(c.old))] for c in changes}
        rows.append(
            Option(
                risk,
                risk,
                leaves={name: tuple(map(label, dropped)) for name, dropped in levels.items() if len(dropped)},
                volume_kept=option_proposal.volume_kept,
                probability=option_proposal.claim.probability,
                top=top,
                top_kept=top_kept,
                old=option_proposal.old,
                space=option_proposal.space,
            )
        )
    claim = proposal.claim
    evidence = proposal.evidence
    return Options(
        tuple(rows), proposal.risk, claim.epsilon, evidence.metric, evidence.subject_to, bool(claim.others)
    )
