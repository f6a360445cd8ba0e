"""Decisions on proposals, the claims of a branch that they come to together, and what others suggest. Pure."""

from __future__ import annotations

import getpass
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from refine.errors import ReviewError, did_you_mean, shown, unstorable
from refine.proposal.proposal import Proposal
from refine.space.edits import edit_space
from refine.space.encoding import digest, dumps
from refine.space.parameters import Parameter
from refine.space.parsing import parameter_from_json
from refine.space.space import Space
from refine.stats import Forecast


@dataclass(frozen=True)
class Decision:
    """A decision, as it is stored.

    Attributes:
        kind: ``"accepted"`` as proposed, ``"edited"`` (changed or rejected in parts), ``"declined"``
            altogether, ``"branched"`` without regard to a proposal, ``"chosen"``: a point of the front of several goals, or
            ``"suggested"``: bounds that somebody suggests to whoever decides.
        proposal: Digest of the proposal decided upon; empty for a branch.
        space: The space decided upon; ``None`` for a decline.
        edits: Name -> (proposed, decided) for every parameter that the person set.
        rejected: Parameters whose proposed change was turned down.
        child: Id of the round that came of it, or ``None``.
        note: Why, in the person's words.
        author: Who.
        n: Configurations asked for.
        probability: What is claimed of the decided space, see :class:`Claim`; ``None`` where nothing can be.
        volume_kept: Volume kept by the decided space.
        chosen: Encoded configuration of the chosen point; ``None`` of every other decision.
        signed: Whether its author is part of what it is: of suggestions, since two authors may suggest the same.
        epsilon: Loss that counts as none in that claim, in units of the metric; ``None`` where nothing is claimed, and of several
            goals.
        followed: Parameters whose proposed change went back, wholly or in part, with what was edited or rejected.
        forecast: What the child's space-filling trials were expected to show, from the evidence at that moment; ``None``
            where nothing was forecast.

    Examples:
        >>> root.propose().decline("more trials first", author="mia")
        >>> decision = root.decisions[-1]
        >>> decision.kind, decision.note, decision.author, decision.child
        ('declined', 'more trials first', 'mia', None)
    """

    kind: str
    proposal: str
    space: Space | None
    edits: Mapping[str, tuple[Parameter, Parameter]]
    rejected: tuple[str, ...]
    child: str | None
    note: str
    author: str
    n: int | None = None
    probability: float | None = None
    volume_kept: float | None = None
    forecast: Forecast | None = None
    chosen: Mapping[str, Any] | None = None
    signed: bool = False
    epsilon: float | None = None
    followed: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hash of what was decided; note, author and forecast are no part of it, but for the author where it is signed."""
        content = self.to_json()
        author = content["author"]
        for name in ("note", "author", "n", "probability", "forecast", "epsilon", "followed"):
            content.pop(name, None)
        if self.signed:
            content["author"] = author
        return digest(content, 16)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "kind": self.kind,
            "proposal": self.proposal,
            "space": None if self.space is None else self.space.to_json(),
            "edits": {n: [a.to_json(), b.to_json()] for n, (a, b) in self.edits.items()},
            "rejected": list(self.rejected),
            "child": self.child,
            "note": self.note,
            "author": self.author,
            "n": self.n,
            "probability": self.probability,
            "volume_kept": self.volume_kept,
            "forecast": None if self.forecast is None else self.forecast.to_json(),
            **({} if self.chosen is None else {"chosen": dict(self.chosen)}),
            **({"signed": True} if self.signed else {}),
            **({} if self.epsilon is None else {"epsilon": self.epsilon}),
            **({"followed": list(self.followed)} if self.followed else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """The decision of :meth:`to_json`'s output."""
        same = ("kind", "proposal", "child", "note", "author", "n", "probability", "volume_kept")
        forecast, edits = data["forecast"], data["edits"].items()
        return cls(
            space=None if data["space"] is None else Space.from_json(data["space"]),
            edits={n: (parameter_from_json(a), parameter_from_json(b)) for n, (a, b) in edits},
            rejected=tuple(data["rejected"]),
            forecast=None if forecast is None else Forecast.from_json(forecast),
            chosen=data.get("chosen"),
            signed=bool(data.get("signed")),
            epsilon=data.get("epsilon"),
            followed=tuple(data.get("followed", ())),
            **{name: data[name] for name in same},
        )

    def dumps(self) -> str:
        """Canonical JSON, as it is stored."""
        return dumps(self.to_json())


def not_written(again: Decision, first: Decision | None, planned: int | None) -> str:
    """What is lost of a decision that is taken ``again``, with fewer configurations than ``planned`` or another note; else empty."""
    kept = []
    if planned is not None and again.n is not None and again.n < planned:
        kept.append(f"round {again.child} keeps its {planned:,} configurations")
    if first is None:
        return "".join(kept)
    if again.note and again.note != first.note:
        kept.insert(0, f"its note stays {first.note!r}" if first.note else "it stays without a note")
    return f"this was decided before: {' and '.join(kept)}" if kept else ""


def check_note(note: Any) -> str:
    """``note`` if it is text, else a ReviewError."""
    if not isinstance(note, str):
        raise ReviewError(f"a note must be text, got {note!r:.40}; write note='...'")
    if bad := unstorable(note):
        raise ReviewError(f"a note {bad}")
    return note


def check_author(author: Any) -> str:
    """``author`` if it is text, by default the user's name, else a ReviewError."""
    if author is not None and not isinstance(author, str):
        raise ReviewError(f"an author must be text, got {author!r}; leave it out for the user's name")
    if author and (bad := unstorable(author)):
        raise ReviewError(f"an author {bad}")
    return author or user()


def user() -> str:
    """Who sits here, for decisions that name no author."""
    try:
        return shown(getpass.getuser())  # a name in bytes of another encoding comes as halves of letters
    except (OSError, KeyError, ImportError):
        return "unknown"


def decided_space(
    proposal: Proposal, edits: Mapping[str, Any], rejected: tuple[str, ...]
) -> tuple[Space, dict[str, tuple[Parameter, Parameter]]]:
    """The space that a proposal, rejections and edits come to, and for every edited parameter what was proposed and decided.

    Raises:
        ReviewError: An unknown name, or an edit that breaks the notation.
    """
    for name in rejected:
        if name not in proposal.old:
            raise ReviewError(f"reject: unknown parameter {name!r}; {did_you_mean(name, proposal.old)}")
    back = {name: proposal.old[name] for name in rejected}
    space = edit_space(proposal.space.replace(back), proposal.old, edits)
    return space, {n: (proposal.space[n], space[n]) for n in edits if space[n] != proposal.space[n]}


class BranchClaim(NamedTuple):
    """What is claimed of a round's space against the first one of its branch.

    Attributes:
        claims: How many claims it rests on, one per decision.
        probability: At least with this probability the best value inside is within ``epsilon`` of the best in the first space:
            by Bonferroni's inequality 1 minus the sum of the risks, 0 where that is less.
        epsilon: Sum of the losses that count as none, in units of the metric; NaN where one is not known.
    """

    claims: int
    probability: float
    epsilon: float


def branch_claim(decisions: Iterable[Decision]) -> BranchClaim | None:
    """What the claims of the decisions from the first round of a branch to its last one come to.

    ``None`` where there is none, or one of them left something out without a claim.
    """
    made = [d for d in decisions if d.volume_kept != 1]
    if not made or any(d.probability is None for d in made):
        return None
    risk = math.fsum(1 - d.probability for d in made if d.probability is not None)
    losses = [math.nan if d.epsilon is None else d.epsilon for d in made]
    return BranchClaim(len(made), max(0.0, 1 - risk), sum(losses))


class Suggestion(NamedTuple):
    """Bounds that somebody suggests.

    Attributes:
        decision: As it is stored: who, why, and what was claimed of it then.
        space: The space suggested.
        differs: Name -> (proposed, suggested) where these differ now.
        volume_kept: Share of the present space that it keeps.
        probability: What is claimed of it on the present evidence, as of the proposal: see
            :class:`refine.proposal.proposal.Claim`; NaN where that can't be stated.
    """

    decision: Decision
    space: Space
    differs: Mapping[str, tuple[Parameter, Parameter]]
    volume_kept: float
    probability: float


def suggestions_beside(proposal: Proposal, decisions: Sequence[Decision]) -> tuple[Suggestion, ...]:
    """Suggestions about a proposal that nobody has taken over yet, of all decisions on its round, oldest first."""
    decided, now = [d.space for d in decisions if d.child], proposal.space
    suggestions = []
    for d in decisions:
        if d.kind != "suggested" or d.space is None or d.space in decided:
            continue
        differs = {n: (now[n], p) for n, p in d.space.items() if n in now and now[n] != p}
        claimed = proposal.probability_of(d.space)
        if math.isnan(claimed) and d.proposal == proposal.digest and d.probability is not None:
            claimed = d.probability
        suggestions.append(Suggestion(d, d.space, differs, proposal.volume_of(d.space), claimed))
    return tuple(suggestions)
