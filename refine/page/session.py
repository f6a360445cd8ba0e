"""Answers what the front end asks. The same messages arrive from a notebook and from a browser.

A message is an object with a ``type``; the answer is an object as well, or bytes for trials. What a person does wrong is
an answer with ``error``, in words; nothing is written then. Decisions are made by :class:`refine.Review` alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from refine.analysis import Analysis
from refine.choices import Choice
from refine.design import IMPORTED
from refine.errors import AnalysisError, NotFound, RefineError, ReviewError, did_you_mean
from refine.page.code import decision_code
from refine.page.content import pair_content, preview_content, review_content, trials_content
from refine.round_page import best_of
from refine.words import score

if TYPE_CHECKING:
    from refine.review import Review
    from refine.round import Round

Answer = dict[str, Any]

_LONGEST_NOTE = 10_000


class Session:
    """One open page.

    Args:
        shown: The round that is shown first; all of its tree can be.
        risk: Accepted risk of the first proposal.
        started: A review of it that is shown first, with its edits.
    """

    def __init__(self, shown: Round, risk: float = 0.05, started: Review | None = None) -> None:
        self.shown, self.risk = shown, risk
        self.child: Round | None = None
        self._lock = threading.Lock()
        self._started = started
        self._reviews: dict[tuple[str, float, int], Review] = {}
        self._contents: dict[str, Answer] = {}  # by the proposal's digest: what a page is drawn from
        if started is not None:
            self.risk = started.proposal.risk
            plain = type(started)(started.round, started.proposal, started.analysis)
            self._reviews[shown.id, self.risk, self._count(shown)] = plain

    def handle(self, message: Any) -> Answer | bytes:
        """The answer to a message.

        Args:
            message: Parsed JSON.
        """
        answers: dict[str, Callable[[Mapping[str, Any]], Answer | bytes]] = {
            "start": self._start,
            "pulse": self._pulse,
            "tree": self._tree,
            "round": self._round,
            "trials": self._trials,
            "pair": self._pair,
            "preview": self._preview,
            "decide": self._decide,
        }
        try:
            if not isinstance(message, Mapping):
                raise ReviewError(f"a message must be an object, got {type(message).__name__}")
            answer = answers.get(str(message.get("type")))
            if answer is None:
                raise ReviewError(
                    f"no message {message.get('type')!r}; {did_you_mean(str(message.get('type')), answers)}"
                )
            with self._lock:
                return answer(message)
        except NotFound as error:
            return {"error": str(error), "gone": True}
        except (RefineError, KeyError) as error:
            text = error.args[0] if isinstance(error, KeyError) and error.args else error
            return {"error": str(text)}

    # What there is.

    def _start(self, _: Mapping[str, Any]) -> Answer:
        edits = {} if self._started is None else _edits_back(self._started)
        rejected = [] if self._started is None else list(self._started.rejected)
        return {
            "tree": self.shown.home.name,
            "shown": self.shown.id,
            "risk": self.risk,
            "edits": edits,
            "rejected": rejected,
        }

    def _pulse(self, _: Mapping[str, Any]) -> Answer:
        """How many trials every round has: cheap enough to ask for all the time."""
        home = self.shown.home
        counts = home.store.counts(home.tree)
        return {"states": {i: counts.get(s.pk, {}) for i, s in home.store.nodes(home.tree).items()}}

    def _tree(self, _: Mapping[str, Any]) -> Answer:
        home = self.shown.home
        tags: dict[str, list[str]] = {}
        for tag, node_id in home.store.tags(home.tree).items():
            tags.setdefault(node_id, []).append(tag)
        counts = home.store.counts(home.tree)
        rounds = [self.shown._other(node_id) for node_id in home.store.nodes(home.tree)]
        decided = {d.child: d.kind for found in rounds for d in found.decisions if d.child}
        tops = {found.id: found.best for found in rounds}
        best = best_of(rounds, tops)
        return {
            "name": home.name,
            "rounds": [
                {
                    "id": found.id,
                    "parent": found.node.parent,
                    "n": found.n,
                    "states": counts.get(found._stored.pk, {}),
                    "best": None if (top := tops[found.id]) is None else score(float(top["value"])),
                    "metric": found.metric,
                    "tags": tags.get(found.id, []),
                    "note": found.node.note,
                    "author": found.node.author,
                    "kind": decided.get(found.id, ""),
                }
                for found in rounds
            ],
            "winner": None if best is None else best[0].id,
        }

    def _round(self, message: Mapping[str, Any]) -> Answer:
        found = self._found(message)
        counts = found.home.store.counts(found.home.tree).get(found._stored.pk, {})
        head = {
            "id": found.id,
            "n": found.n,
            "states": counts,
            "version": self._count(found),
            "imported": found.node.method == IMPORTED,
            "metric": found.metric,
            "direction": found.direction,
            "note": found.node.note,
            "decisions": [
                {"kind": d.kind, "author": d.author, "note": d.note, "child": d.child}
                for d in found.decisions
            ],
        }
        try:
            review = self._review(found, message)
            digest = f"{found.id} {review.proposal.digest} {found.roles}"
            if digest not in self._contents:
                self._contents[digest] = review_content(review, review.gate())
            return {**head, "review": self._contents[digest]}
        except AnalysisError as error:  # too few trials yet
            return {**head, "review": None, "why": str(error)}

    def _trials(self, message: Mapping[str, Any]) -> bytes:
        return trials_content(self._analysis(message))

    def _pair(self, message: Mapping[str, Any]) -> Answer:
        return pair_content(self._analysis(message), str(message.get("a")), str(message.get("b")))

    # What a decision would mean, and the decision.

    def _preview(self, message: Mapping[str, Any]) -> Answer:
        # A preview decides nothing, so that it may speak of what the page was drawn from, whatever has come since.
        drawn = [r for (i, *_), r in self._reviews.items() if i == message.get("round")]
        known = next((r for r in drawn if r.proposal.digest == message.get("proposal")), None)
        review = self._edited(known or self._same(message), message)
        n, workers = _whole(message, "n"), _whole(message, "workers") or 1
        found = review.preview(n=n, workers=workers)
        code = decision_code(review, str(message.get("note") or ""), n)
        return {**preview_content(found, review.proposal), "code": code}

    def _decide(self, message: Mapping[str, Any]) -> Answer:
        kind, note = message.get("kind"), message.get("note") or ""
        if not isinstance(note, str) or len(note) > _LONGEST_NOTE:
            raise ReviewError(f"a note must be a text of at most {_LONGEST_NOTE:,} letters")
        review = self._same(message)
        if kind == "decline":
            review.decline(note)
            return {"child": None}
        if kind != "accept":
            raise ReviewError(f"a decision is to 'accept' or to 'decline', got {kind!r}")
        self.child = self._edited(review, message).accept(note, n=_whole(message, "n"))
        return {"child": self.child.id, "n": self.child.n}

    # Rounds and reviews.

    def _found(self, message: Mapping[str, Any]) -> Round:
        key, home = message.get("round"), self.shown.home
        if not isinstance(key, str) or key not in home.store.nodes(home.tree):
            raise NotFound(
                f"no round {key!r} in tree {home.name!r}; it may have been removed since the page was opened"
            )
        return self.shown._other(key)

    def _count(self, found: Round) -> int:
        """Trials of the round and of those it came from: with more of them the evidence is another."""
        home = found.home
        counts, nodes = home.store.counts(home.tree), home.store.nodes(home.tree)
        return sum(sum(counts.get(nodes[node.id].pk, {}).values()) for node in found.path)

    def _review(self, found: Round, message: Mapping[str, Any]) -> Review:
        """The proposal for a risk; made again when trials have come."""
        risk = message.get("risk", self.risk)
        if isinstance(risk, bool) or not isinstance(risk, int | float):
            raise ReviewError(f"risk must be a number, got {risk!r}")
        key = found.id, float(risk), self._count(found)
        if key not in self._reviews:
            self._reviews[key] = found.propose(risk=float(risk))
        return self._reviews[key]

    def _analysis(self, message: Mapping[str, Any]) -> Analysis:
        return self._review(self._found(message), message).analysis

    def _same(self, message: Mapping[str, Any]) -> Review:
        """The review that the page shows, if its evidence is still what there is."""
        review = self._review(self._found(message), message)
        if message.get("proposal") != review.proposal.digest:
            raise ReviewError(
                f"round {review.round.id}: its evidence has changed since this page was drawn; look again before you decide"
            )
        return review

    def _edited(self, review: Review, message: Mapping[str, Any]) -> Review:
        edits, rejected = message.get("edits") or {}, message.get("rejected") or []
        if not isinstance(edits, Mapping) or not isinstance(rejected, list):
            raise ReviewError("edits must be an object and rejected a list")
        review = review.reject(*rejected) if rejected else review
        meant = {str(name): _meant(review, str(name), edit) for name, edit in edits.items()}
        return review.edit(meant) if meant else review


def _whole(message: Mapping[str, Any], name: str) -> int | None:
    value = message.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ReviewError(f"{name} must be a whole number >= 1, got {value!r}")
    return value


def _meant(review: Review, name: str, edit: Any) -> Any:
    """An edit of the front end in the notation of :meth:`Review.edit`.

    ``{"bounds": [low, high]}``, with ``"levels": k`` if need be, ``{"keep": [numbers of levels]}``, or ``{"value": x}``.
    """
    if name not in review.proposal.old:
        raise ReviewError(f"edit: unknown parameter {name!r}; {did_you_mean(name, review.proposal.old)}")
    parameter = review.proposal.old[name]
    if (
        isinstance(edit, Mapping)
        and set(edit) <= {"bounds", "levels"}
        and isinstance(edit.get("bounds"), list)
    ):
        bounds = tuple(_plain(v) for v in edit["bounds"])
        return (*bounds, edit["levels"]) if "levels" in edit else bounds
    if isinstance(edit, Mapping) and set(edit) == {"keep"} and isinstance(edit["keep"], list):
        kept = edit["keep"]
        if not kept or not all(isinstance(i, int) and 0 <= i < parameter.size for i in kept):
            raise ReviewError(
                f"edit: {name}: keep must be numbers of its {parameter.size} levels, and not empty, got {kept!r}"
            )
        return Choice([parameter.grid[i] for i in sorted(set(kept))])
    if isinstance(edit, Mapping) and set(edit) == {"value"}:
        return _plain(edit["value"])
    raise ReviewError(f"edit: {name}: must be bounds, keep or value, got {edit!r}")


def _plain(value: Any) -> Any:
    """JSON has one kind of number: a whole one is an int, so that ranges of integers stay such."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _edits_back(review: Review) -> dict[str, Any]:
    """A review's edits as the front end has them."""
    from refine.parameters import Range

    found: dict[str, Any] = {}
    for name in review.edits:
        new, old = review.space[name], review.proposal.old[name]
        if isinstance(new, Range):
            found[name] = {"bounds": [float(new.low), float(new.high)]}
        elif isinstance(old, Choice) and set(new.grid) <= set(old.grid):
            found[name] = {"keep": [i for i, v in enumerate(old.grid) if v in new.grid]}
        elif new.fixed:
            found[name] = {"value": new.grid[0]}
    return found
