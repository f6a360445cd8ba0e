"""From evidence to a proposal: one change per parameter, with reasons, volume kept and risk. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ALPHA, Bools, ParameterEvidence, level_positions
from refine.analysis.reason import Reason
from refine.design.space_filling import Uniform, draw, feasible
from refine.errors import AnalysisError
from refine.proposal import version1
from refine.proposal.alternatives import Advice, Offer, advice, left_to_run, offers
from refine.proposal.change import Change, reopened
from refine.proposal.reasons import reasons_of
from refine.proposal.widening import beyond
from refine.space.edits import narrowed, on_levels
from refine.space.encoding import digest, dumps
from refine.space.parameters import Parameter, Range
from refine.space.space import Space
from refine.utils.display import Shown
from refine.utils.threads import one_thread

LEAST_RISK = 0.01
"""Below it nothing could be narrowed: the surrogate's draws resolve no smaller probability."""

VERSION = 2
"""Of the JSON of a proposal. Version 1 has sentences in place of reasons; see :mod:`refine.proposal.version1`."""

_CANDIDATES = 4000
_LEAST_INSIDE = 20
_BEST_STAY = 3


@dataclass(frozen=True)
class Claim:
    """What is claimed: with this probability the best value inside is within epsilon of the best in the old space.

    Attributes:
        probability: The stated probability; NaN where none can be stated.
        epsilon: Loss that counts as none, in units of the metric.
        epsilon_source: Where it comes from: ``"replicates"``, ``"residuals"``, ``"none"`` or ``"given"``.
        draws: Draws of the surrogate that the probability is counted in; 0 where it is not.
    """

    probability: float
    epsilon: float
    epsilon_source: str
    draws: int = 0


@dataclass(frozen=True, eq=False)
class Proposal(Shown):
    """A narrowed (or widened) space with its reasons and its risk.

    Attributes:
        old: The space analysed.
        space: The space proposed.
        changes: One per parameter that is not fixed, in the space's order.
        volume_kept: measure(new within old) / measure(old), over all axes.
        claim: What it may cost.
        risk: The probability of losing more that was asked for.
        n: Trials that the surrogate learned from.
        evidence: Digest of the evidence.
        metric: Name of the metric.
        offers: Flat parameters that could be fixed where they cost least; no part of ``space``.
        advice: How large the next round should be.
    """

    old: Space
    space: Space
    changes: tuple[Change, ...]
    volume_kept: float
    claim: Claim
    risk: float
    n: int
    evidence: str
    metric: str
    offers: tuple[Offer, ...] = ()
    advice: Advice | None = None
    _plausible: _Surrogate | None = field(default=None, repr=False)
    _stored: Mapping[str, Any] | None = field(
        default=None, repr=False
    )  # its JSON, where a store has it already

    def __getitem__(self, name: str) -> Change:
        for change in self.changes:
            if change.name == name:
                return change
        raise KeyError(f"no change for parameter {name!r}; known: {', '.join(c.name for c in self.changes)}")

    @property
    def digest(self) -> str:
        """Hash of bounds, numbers, codes of reasons, and the evidence: no sentence is part of it.

        A proposal that was stored keeps its digest, whichever version made it. Offers and advice hang on measured times.
        """
        content = self.to_json() if self._stored is None else self._stored
        if "version" not in content:
            return version1.digest_of(content)
        codes = [[reason["code"] for reason in change["reasons"]] for change in content["changes"]]
        return digest({"version": content["version"], **_decisive(content), "codes": codes}, 16)

    def same_as(self, other: Proposal) -> bool:
        """Whether both propose the same bounds on the same evidence with the same numbers, whatever words they have."""
        return _decisive(self.to_json()) == _decisive(other.to_json())

    def known_as(self, stored: Proposal) -> Proposal:
        """This proposal under the digest of an equal one that is stored."""
        return replace(self, _stored=stored.to_json() if stored._stored is None else stored._stored)

    def judged_by(self, drafted: Proposal) -> Proposal:
        """This proposal, read back from a store, with the surrogate of one that was drafted on the same evidence."""
        return drafted if drafted.digest == self.digest else replace(self, _plausible=drafted._plausible)

    def probability_of(self, space: Space) -> float:
        """The same statement for another space, such as an edited one.

        Returns:
            The probability that the best value inside ``space`` is at least the best one anywhere in the old
            space minus epsilon. NaN where it can't be stated: this proposal was read back and its surrogate is
            gone, or too few of the candidate cells lie inside.
        """
        if self._plausible is None:
            return math.nan
        return self._plausible.retention(self.old, space, self.claim.epsilon)

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the surrogate."""
        return {
            "version": VERSION,
            "old": self.old.to_json(),
            "space": self.space.to_json(),
            "changes": [
                {
                    "name": c.name,
                    "kind": c.kind,
                    "volume_kept": _round(c.volume_kept),
                    "q": _round(c.q),
                    "reasons": [reason.to_json() for reason in c.reasons],
                    "risk": _round(c.risk),
                }
                for c in self.changes
            ],
            "volume_kept": _round(self.volume_kept),
            "claim": {
                "probability": _round(self.claim.probability),
                "epsilon": _round(self.claim.epsilon),
                "epsilon_source": self.claim.epsilon_source,
                "draws": self.claim.draws,
            },
            "risk": self.risk,
            "n": self.n,
            "evidence": self.evidence,
            "metric": self.metric,
            "offers": [offer.to_json() for offer in self.offers],
            "advice": None if self.advice is None else self.advice.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Proposal:
        """The proposal of :meth:`to_json`'s output, or of what an earlier version stored."""
        stored = data if "version" not in data else None
        data = version1.upgraded(data) if stored is not None else data
        old, space = Space.from_json(data["old"]), Space.from_json(data["space"])
        changes = tuple(
            Change(
                name=c["name"],
                kind=c["kind"],
                old=old[c["name"]],
                new=space[c["name"]],
                volume_kept=c["volume_kept"],
                q=_number(c["q"]),
                reasons=tuple(Reason.from_json(reason) for reason in c["reasons"]),
                risk=_number(c["risk"]),
            )
            for c in data["changes"]
        )
        claim = Claim(**{**data["claim"], "probability": _number(data["claim"]["probability"])})
        return cls(
            old=old,
            space=space,
            changes=changes,
            volume_kept=data["volume_kept"],
            claim=claim,
            risk=data["risk"],
            n=data["n"],
            evidence=data["evidence"],
            metric=data["metric"],
            offers=tuple(Offer.from_json(offer) for offer in data["offers"]),
            advice=None if data["advice"] is None else Advice.from_json(data["advice"]),
            _stored=stored,
        )

    def dumps(self) -> str:
        """Canonical JSON, as it is stored: what its digest is of."""
        return dumps(self.to_json() if self._stored is None else self._stored)

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, eq=False)
class _Surrogate:
    """Draws of what the objective may look like over candidate cells of the old space."""

    plausible: stats.Plausible
    names: tuple[str, ...]
    candidates: npt.NDArray[np.float64]
    columns: dict[str, npt.NDArray[Any]]
    exhaustive: bool  # whether the candidates are all the cells there are

    def retention(self, old: Space, new: Space, epsilon: float) -> float:
        import pandas as pd

        frame = pd.DataFrame(self.columns)
        inside = np.ones(len(frame), dtype=np.bool_)
        for name in old:
            if name in new:
                inside &= new[name].contains(frame[name].to_numpy())
        if inside.all():
            return 1.0
        if int(inside.sum()) < _LEAST_INSIDE and not self.exhaustive:
            return math.nan
        return stats.retention(self.plausible.draws, inside, epsilon).probability


def check_risk(risk: float, epsilon: float | None = None) -> None:
    """Raises AnalysisError unless both can be asked for."""
    if isinstance(risk, bool) or not isinstance(risk, int | float) or not LEAST_RISK <= risk < 1:
        raise AnalysisError(
            f"risk must be >= {LEAST_RISK} and < 1, got {risk!r}; it is the accepted probability of losing the best "
            "value, 0.05 for 5 %, and smaller ones can't be told from none"
        )
    if epsilon is not None and (
        isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon < math.inf
    ):
        raise AnalysisError(
            f"epsilon must be a number >= 0 in units of the metric, got {epsilon!r}; left out it is the noise of "
            "retraining"
        )


@one_thread
def propose(
    analysis: Analysis, risk: float = 0.05, epsilon: float | None = None, outer: Space | None = None
) -> Proposal:
    """Proposes bounds from what was measured.

    A parameter is narrowed only if it, or a pair it belongs to, was seen to matter (q <= 0.1). Which
    levels go is decided jointly: the smallest box around the plausible optima of a bootstrapped forest that
    keeps, with probability ``1 - risk``, a value within ``epsilon`` of the best. The three best trials stay
    inside. Where the best trials pile up at an end that is no natural limit, the range is widened past it.

    Args:
        analysis: Of :func:`refine.analyze`.
        risk: Accepted probability that the box loses more than ``epsilon``, in [0.01, 1).
        epsilon: Loss that counts as none, in units of the metric; default the retraining noise.
        outer: The space of the round before, inside which audit trials were drawn. One that beats the best
            value inside by more than ``epsilon`` refutes the narrowing: its values are let in again.

    Raises:
        AnalysisError: ``risk`` or ``epsilon`` out of range.
    """
    check_risk(risk, epsilon)
    if not isinstance(analysis, Analysis):
        raise AnalysisError(
            f"propose needs an analysis, got {type(analysis).__name__}; refine.propose(refine.analyze(space, frame)), or "
            "round.propose()"
        )
    source = "given"
    if epsilon is None:
        source = analysis.noise.source
        epsilon = analysis.noise.sd if math.isfinite(analysis.noise.sd) else 0.0
    space = analysis.space
    names = tuple(e.name for e in analysis.parameters)
    surrogate = _surrogate(analysis, names) if names else None
    keep = _levels_that_stay(analysis, surrogate, float(epsilon), risk) if surrogate else []
    changes = tuple(
        _change(analysis, e, levels, analysis.X[:, j])
        for j, (e, levels) in enumerate(zip(analysis.parameters, keep, strict=True))
    )
    if surrogate:
        narrowed_space = space.replace({c.name: c.new for c in changes if c.kind != "keep"})
        if math.isnan(surrogate.retention(space, narrowed_space, float(epsilon))):
            # A risk that can't be stated is not taken.
            changes = tuple(_keep(analysis, e) for e in analysis.parameters)
    changes = reopened(analysis, changes, float(epsilon), outer)
    new = space.replace({c.name: c.new for c in changes if c.kind != "keep"})
    if new.constraints and feasible(new).high == 0:
        # The box lies where a constraint forbids everything; saying so by keeping all is the honest way.
        changes = tuple(_keep(analysis, e) for e in analysis.parameters)
        new = space
    claimed = surrogate.retention(space, new, float(epsilon)) if surrogate else 1.0
    if surrogate:
        changes = tuple(replace(c, risk=_risk_alone(surrogate, space, c, float(epsilon))) for c in changes)
    return Proposal(
        old=space,
        space=new,
        changes=changes,
        volume_kept=space.volume_kept(new),
        claim=Claim(claimed, float(epsilon), source, len(surrogate.plausible.draws) if surrogate else 0),
        risk=float(risk),
        n=len(analysis.y),
        evidence=analysis.digest,
        metric=analysis.metric,
        offers=_offers(analysis, surrogate, float(epsilon), risk) if surrogate else (),
        advice=advice(analysis, new, left_to_run(analysis, new)),
        _plausible=surrogate,
    )


def _risk_alone(surrogate: _Surrogate, space: Space, change: Change, epsilon: float) -> float:
    if change.kind == "keep":
        return 0.0
    return 1.0 - surrogate.retention(space, space.replace({change.name: change.new}), epsilon)


def _surrogate(analysis: Analysis, names: Sequence[str]) -> _Surrogate:
    space = analysis.space
    # With constraints a part of a small grid may be all there is.
    exist = feasible(space)
    rows = draw(Uniform(), space, max(1, min(_CANDIDATES, exist.low)), analysis.seed)
    columns = space.columns(rows)
    positions = np.column_stack([space[n].unit(columns[n]) for n in names])
    cardinalities = [0 if space[n].ordered else space[n].size for n in names]
    plausible = stats.Forest(seed=analysis.seed)(analysis.X, analysis.y, positions, cardinalities)
    return _Surrogate(plausible, tuple(names), positions, columns, exist.exact and len(rows) == exist.count)


def _levels_that_stay(analysis: Analysis, surrogate: _Surrogate, epsilon: float, risk: float) -> list[Bools]:
    found = analysis.parameters
    pairs = [(pair.i, pair.j) for pair in analysis.pairs if pair.q <= ALPHA]
    coupled = {k for pair in pairs for k in pair}
    frozen = {j for j, e in enumerate(found) if not (e.matters or e.fails or j in coupled) or e.read == 0}
    best = analysis.X[np.argsort(-analysis.y, kind="stable")[:_BEST_STAY]]
    while True:
        axes = [
            stats.Axis(level_positions(e.parameter), unordered=not e.parameter.ordered, frozen=j in frozen)
            for j, e in enumerate(found)
        ]
        box, _ = stats.box_for_risk(surrogate.plausible, surrogate.candidates, axes, epsilon, risk, keep=best)
        cut = {j for j, keep in enumerate(box.keep) if not keep.all()}
        # The box is chosen for all parameters together. What only a coupling lets in is narrowed with its partner or
        # not at all. A veto on parameters that matter by themselves kept more of the space on real grids and, at equal
        # volume, fewer of the best cells.
        halves = {
            k
            for pair in pairs
            for k in cut.intersection(pair)
            if len(cut.intersection(pair)) == 1 and not (found[k].matters or found[k].fails)
        }
        if not halves:
            return list(box.keep)
        frozen |= halves


def _offers(analysis: Analysis, surrogate: _Surrogate, epsilon: float, risk: float) -> tuple[Offer, ...]:
    levels = [
        stats.Axis(level_positions(e.parameter), unordered=not e.parameter.ordered).index(
            surrogate.candidates[:, j]
        )
        for j, e in enumerate(analysis.parameters)
    ]
    return offers(analysis, surrogate.plausible.draws, levels, epsilon, risk)


def _change(
    analysis: Analysis, e: ParameterEvidence, keep: npt.NDArray[np.bool_], positions: npt.NDArray[np.float64]
) -> Change:
    old = e.parameter
    new: Parameter = old
    kind = "keep"
    ends: tuple[Reason, ...] = ()
    if not keep.all():
        levels = [int(i) for i in np.flatnonzero(keep)]
        new = narrowed(old, levels, between=not on_levels(old, positions))
        kind = "keep" if new == old else "narrow" if isinstance(old, Range) else "drop"
    if isinstance(old, Range) and isinstance(new, Range) and e.read != 0:
        looked = beyond(analysis, e, new, positions)
        ends, kind = looked.reasons, "keep" if looked.new == old else "widen" if looked.new != new else kind
        new = looked.new
    if kind == "keep":
        return _keep(analysis, e, ends)
    return Change(e.name, kind, old, new, old.volume_kept(new), e.q, reasons_of(analysis, e, kind, new, ends))


def _keep(analysis: Analysis, e: ParameterEvidence, ends: Sequence[Reason] = ()) -> Change:
    reasons = reasons_of(analysis, e, "keep", e.parameter, ends)
    return Change(e.name, "keep", e.parameter, e.parameter, 1.0, e.q, reasons)


def _decisive(content: Mapping[str, Any]) -> dict[str, Any]:
    """What of a proposal's JSON makes it what it is: bounds and numbers, without words, and without what follows."""
    found = {
        name: content[name] for name in ("old", "space", "volume_kept", "risk", "n", "evidence", "metric")
    }
    claim = {name: value for name, value in content["claim"].items() if name != "draws"}
    changes = [[c[name] for name in ("name", "kind", "volume_kept", "q")] for c in content["changes"]]
    return {**found, "claim": claim, "changes": changes}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _round(value: float) -> float | None:
    # Floats of statistics differ in their last digits between machines; digests must not.
    return float(f"{value:.9g}") if math.isfinite(value) else None
