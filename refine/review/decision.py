"""Decisions on proposals, and suggestions. Pure."""

from __future__ import annotations

import getpass
import math
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from refine.errors import ReviewError, did_you_mean, shown, unstorable
from refine.proposal.change import Change
from refine.proposal.proposal import Proposal, changes_given, claim_for, volume_of
from refine.space.edits import edit_space
from refine.space.encoding import digest, dumps
from refine.space.parameters import Parameter
from refine.space.parsing import parameter_from_json
from refine.space.space import Space
from refine.stats import Forecast
from refine.utils.display import Shown
from refine.utils.provided import provides
from refine.utils.types import JsonObject

# Letters of a note, a reason or another text by a person.
LONGEST_NOTE = 10_000


@dataclass(frozen=True, repr=False)
class Decision(Shown):
    """A decision as stored.

    Examples:
        >>> root.propose().decline("more trials first", author="mia")
        >>> decision = root._decisions[-1]
        >>> decision.kind, decision.note, decision.author, decision.child
        ('declined', 'more trials first', 'mia', None)
    """

    # ``"accepted"`` as proposed, ``"edited"`` (changed or rejected in parts), ``"declined"`` as a whole,
    # ``"branched"`` without a proposal, ``"chosen"``: a point of the front of several goals, or
    # ``"suggested"``: bounds suggested to the person who decides
    kind: str
    proposal: str  # digest of the proposal; empty for a branch
    space: Space | None  # the decided space; ``None`` for a decline
    # name -> (proposed, decided) for every edited parameter
    edits: Mapping[str, tuple[Parameter, Parameter]]
    rejected: tuple[str, ...]  # parameters whose proposed change was rejected
    child: str | None  # id of the child, or ``None``
    note: str  # reason in the person's words
    author: str  # the person, or a program
    n: int | None = None  # configurations asked for
    # model probability of the claim for the decided space, see :class:`Claim`; ``None`` if it cannot be
    # stated
    probability: float | None = None
    volume_kept: float | None = None  # volume kept by the decided space
    # forecast of the child's space-filling trials, from the evidence at that time; ``None`` without one
    forecast: Forecast | None = None
    # encoded configuration of the chosen point; ``None`` for every other kind
    chosen: Mapping[str, Any] | None = None
    # whether the author is part of the digest: for suggestions, since two authors may suggest the same
    signed: bool = False
    # tolerance of the claim in units of the metric; ``None`` without a claim, and with several goals
    epsilon: float | None = None
    # parameters whose proposed change was undone, fully or in part, by an edit or a rejection
    followed: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hash of the decision without note, author and forecast; a signed decision includes the author."""
        content = self.to_json()
        author = content["author"]
        for name in ("note", "author", "n", "probability", "forecast", "epsilon", "followed"):
            content.pop(name, None)
        if self.signed:
            content["author"] = author
        return digest(content, 16)

    def to_json(self) -> JsonObject:
        """Plain data."""
        content = {
            **vars(self),
            "space": None if self.space is None else self.space.to_json(),
            "edits": {n: [a.to_json(), b.to_json()] for n, (a, b) in self.edits.items()},
            "rejected": list(self.rejected),
            "forecast": None if self.forecast is None else self.forecast.to_json(),
            "chosen": None if self.chosen is None else dict(self.chosen),
            "signed": self.signed or None,
            "followed": list(self.followed) or None,
        }
        rare = ("chosen", "signed", "epsilon", "followed")  # left out if empty
        return {name: value for name, value in content.items() if value is not None or name not in rare}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """The decision of :meth:`to_json`'s output."""
        plain_names = ("kind", "proposal", "child", "note", "author", "n", "probability", "volume_kept")
        forecast = data["forecast"]
        edits = data["edits"].items()
        return cls(
            space=None if data["space"] is None else Space.from_json(data["space"]),
            edits={n: (parameter_from_json(a), parameter_from_json(b)) for n, (a, b) in edits},
            rejected=tuple(data["rejected"]),
            forecast=None if forecast is None else Forecast.from_json(forecast),
            chosen=data.get("chosen"),
            signed=bool(data.get("signed")),
            epsilon=data.get("epsilon"),
            followed=tuple(data.get("followed", ())),
            **{name: data[name] for name in plain_names},
        )

    def dumps(self) -> str:
        """Canonical JSON, as it is stored."""
        return dumps(self.to_json())


@provides("decision.digest")
def digest_of_stored(content: Mapping[str, object]) -> str:
    """The digest of a stored decision; raises an error of Python or refine if it cannot be read."""
    return Decision.from_json(content).digest


def not_written(repeated: Decision, first: Decision | None, planned: int | None) -> str:
    """The note or size that is lost if a decision is repeated; empty if nothing is lost."""
    unwritten = []
    if planned is not None and repeated.n is not None and repeated.n < planned:
        unwritten.append(f"round {repeated.child} keeps its {planned:,} configurations")
    if first is None:
        return "".join(unwritten)
    if repeated.note and repeated.note != first.note:
        unwritten.insert(0, f"its note stays {first.note!r}" if first.note else "it stays without a note")
    if unwritten:
        return f"this was decided before: {' and '.join(unwritten)}"
    return ""


def check_note(note: object) -> str:
    """``note`` if it is text of at most :data:`LONGEST_NOTE` letters; ReviewError otherwise."""
    if not isinstance(note, str):
        raise ReviewError(f"a note must be text, got {note!r:.40}; write note='...'")
    if len(note) > LONGEST_NOTE:
        raise ReviewError(
            f"a note must be a text of at most {LONGEST_NOTE:,} letters, got {len(note):,}; say less"
        )
    if bad := unstorable(note):
        raise ReviewError(f"a note {bad}")
    return note


def check_author(author: object) -> str:
    """``author`` if it is text, by default the user's name; ReviewError otherwise."""
    if author is not None and not isinstance(author, str):
        raise ReviewError(f"an author must be text, got {author!r}; leave it out for the user's name")
    if author and (bad := unstorable(author)):
        raise ReviewError(f"an author {bad}")
    return author or user()


ACTING: ContextVar[str] = ContextVar("acting", default="")
"""Whom a request of the review page comes from, where a proxy says it; empty for who sits here."""


def user() -> str:
    """The default author: the sender of a request, else the user of this machine."""
    if ACTING.get():
        return ACTING.get()
    try:
        return shown(getpass.getuser())  # a name in another encoding arrives as halves of letters
    except (OSError, KeyError, ImportError):
        return "unknown"


@dataclass(frozen=True)
class Edits:
    """Edits and rejections of a proposal, and their consequences."""

    typed: Mapping[str, Any]  # edits by parameter, as the person gave them
    rejected: tuple[str, ...]  # parameters whose change the person rejected
    changed: Mapping[str, tuple[Parameter, Parameter]]  # name -> (proposed, decided), if they differ
    # changes undone, fully or in part, since they depended on a change that was edited or rejected
    relaxed: tuple[Change, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that the person decided: edited ones, then rejected ones."""
        return (*self.changed, *self.rejected)


def decided_space(
    proposal: Proposal, edits: Mapping[str, object], rejected: tuple[str, ...]
) -> tuple[Space, Edits]:
    """The space after rejections and edits, and the edits with their consequences.

    Raises:
        ReviewError: An unknown name, or an edit that breaks the notation.
    """
    for name in rejected:
        if name not in proposal.old:
            raise ReviewError(f"reject: unknown parameter {name!r}; {did_you_mean(name, proposal.old)}")
    back = {name: proposal.old[name] for name in rejected}
    space = edit_space(proposal.space.replace(back), proposal.old, edits)
    changed = {n: (proposal.space[n], space[n]) for n in edits if space[n] != proposal.space[n]}
    changes = changes_given(proposal, {n: space[n] for n in (*edits, *rejected)})
    relaxed = tuple(c for c in changes if c.new != proposal.space[c.name])
    return space.replace({c.name: c.new for c in relaxed}), Edits(edits, rejected, changed, relaxed)


class Suggestion(NamedTuple):
    """Suggested bounds."""

    decision: Decision  # the stored decision: author, reason, and the claim of that time
    space: Space  # the suggested space
    # name -> (proposed, suggested) for parameters that differ now
    differs: Mapping[str, tuple[Parameter, Parameter]]
    volume_kept: float  # share of the present space kept
    # model probability on the present evidence: see :class:`refine.proposal.proposal.Claim`; NaN if it cannot
    # be stated
    probability: float


def suggestions_beside(proposal: Proposal, decisions: Sequence[Decision]) -> tuple[Suggestion, ...]:
    """Suggestions on a round that no decision has taken over yet, oldest first."""
    decided = [d.space for d in decisions if d.child]
    proposed = proposal.space
    suggestions = []
    for d in decisions:
        if d.kind != "suggested" or d.space is None or d.space in decided:
            continue
        differs = {n: (proposed[n], p) for n, p in d.space.items() if n in proposed and proposed[n] != p}
        claimed = claim_for(proposal, d.space).probability
        if math.isnan(claimed) and d.proposal == proposal.digest and d.probability is not None:
            claimed = d.probability
        suggestions.append(Suggestion(d, d.space, differs, volume_of(proposal, d.space), claimed))
    return tuple(suggestions)
