"""Answers to the messages of the review page, from a notebook or a browser.

Messages are listed in :data:`refine.ui.web.messages.MESSAGES`. The answer is an object, or bytes for trials.
After a mistake of the person the answer holds ``error``, a text, and the store is unchanged. Only
:class:`refine.Review` makes decisions.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.design.space_filling import IMPORTED
from refine.errors import AnalysisError, NotFoundError, RefineError, RefineWarning, ReviewError, did_you_mean
from refine.proposal.proposal import check_risk
from refine.report.pages.headline import round_text
from refine.report.pages.reasons import everybody, judged_text, whom
from refine.review.next_step import NextRound, accept_action
from refine.review.review import Review, edits_of, next_round, next_step, outlook_of, suggestions_of
from refine.review.round_spec import with_plan
from refine.run.machine import Machine
from refine.run.options import RunOptions
from refine.space.literals import STARTED, page_form, page_value, python_symbols
from refine.space.user_configurations import given_configuration
from refine.tree import judging
from refine.tree.additions import check_addition
from refine.tree.names import names_of
from refine.tree.overview import overview_of
from refine.tree.tree_record import TreeRecord
from refine.trials.round_record import path_to
from refine.ui.web.asking import (
    answer_content,
    configurations_of,
    growth_content,
    questions_content,
    settling_content,
    start_content,
)
from refine.ui.web.background import in_cells
from refine.ui.web.content import (
    SUGGESTED,
    WITHOUT_ANALYSIS,
    beside_content,
    decision_content,
    front_content,
    outlook_content,
    outlook_key,
    page_terms,
    picture,
    plan_content,
    preview_content,
    review_content,
    suggestions_content,
)
from refine.ui.web.drawing import trials_content
from refine.ui.web.messages import Content, Message, check
from refine.ui.web.outcomes import (
    expected_content,
    points_content,
    space_content,
    track_content,
    winner_content,
)
from refine.ui.web.trials import (
    Sheets,
    exclude,
    list_content,
    one_trial,
    part_content,
    rows_of,
)
from refine.utils.action import Action, Symbol
from refine.utils.format import percent, plural, score

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.analysis import Analysis
    from refine.tree.context import Context
    from refine.tree.round import Round
    from refine.trials.round_record import Node, StoredNode
    from refine.ui.web.background import Background
    from refine.ui.web.trials import Sheet


_MOST_DRAWN = 8  # cached reviews; a review holds its trials

_log = logging.getLogger(__name__)

# Messages that are answered one at a time; the others neither write nor wait for an analysis.
_ALONE = ("round", "trials", "exclude", "epsilon", "preview", "decide", "front", "choose", "settle")


class Session:
    """One open review page.

    Args:
        shown: The round to show first; the page reaches every round of its tree.
        risk: Accepted risk of the first proposal.
        started: A review of ``shown`` to begin with, edits included.
        background: Runs rounds for the page; ``None`` in a notebook, where the page cannot run rounds.
        other: Session of a second study to compare with; see
            :func:`refine.tree.comparison.check_studies`.
    """

    def __init__(
        self,
        shown: Round,
        risk: float = 0.05,
        started: Review | None = None,
        background: Background | None = None,
        other: Session | None = None,
    ) -> None:
        check_risk(risk)
        self.shown = shown
        self.risk = risk
        self.other = other
        self.background = background
        self.child: Round | None = None
        self._stopped = False
        self._lock = threading.RLock()
        self._sheets = Sheets()
        self._started = started
        self._given_epsilon: float | None = None  # tolerance set by the person in ``started``
        # Reviews without edits behind the drawn pages, with the version of their evidence; most recently used
        # last.
        self._drawn: list[tuple[str, Review]] = []
        # best trial by round, with the version of the trials
        self._best: dict[str, tuple[str, pd.Series | None]] = {}
        if started is not None:
            self.risk = started.proposal.risk
            if started.proposal.claim.epsilon_source == "given":
                self._given_epsilon = started.proposal.claim.epsilon
            plain = type(started)(started.round, started.proposal)
            self._keep(self._versions()[shown.id], plain)

    def handle(self, message: object) -> Content | bytes:
        """The answer to a message."""
        try:
            checked = check(message)
            if checked.get("study"):
                if self.other is None:
                    raise ReviewError(
                        "study='other' needs a page of two studies, got a page of one; leave study out"
                    )
                return self.other.handle({n: value for n, value in checked.items() if n != "study"})
            kind = checked["type"]
            # A store in memory has one connection, used by one thread at a time.
            alone = kind in _ALONE or self.shown._context.store.in_memory
            with self._lock if alone else nullcontext():
                answer: Content | bytes = getattr(self, f"_{kind}")(checked)
                return answer
        except NotFoundError as error:
            return {"error": str(error), "gone": True}
        except RefineError as error:
            return {"error": str(error)}
        except Exception as error:  # noqa: BLE001  # a page that gets no answer waits for ever
            if self._stopped:  # the store closed under an analysis whose answer nobody awaits
                return {"error": "the review page has stopped"}
            _log.exception("the review page could not be answered")
            return {"error": f"Unexpected error, please report it: {type(error).__name__}: {error}"}

    def stop(self) -> None:
        """Expects the store to close: from now on, no failing message is logged."""
        self._stopped = True

    # Contents of the page.

    def _start(self, _: Message) -> Content:
        edits = {}
        rejected = []
        if (review := self._started) is not None:
            old = review.proposal.old
            proposed = review.proposal.space
            decided = edits_of(review)
            edits = {name: page_form(old[name], review.space[name], proposed[name]) for name in decided.typed}
            rejected = list(decided.rejected)
        return {
            "tree": self.shown._context.name,
            "studies": 1 if self.other is None else 2,
            "shown": self.shown.id,
            "risk": self.risk,
            "terms": page_terms(),
            "edits": edits,
            "rejected": rejected,
        }

    def _pulse(self, _: Message) -> Content:
        """Progress and evidence version of every round; cheap, because the page polls."""
        home = self.shown._context
        counts = home.counts
        evidence = _evidence(home)
        progress = {
            i: self._progress(self._at(s), counts.get(s.pk, {}), evidence[i]) for i, s in home.nodes.items()
        }
        job = None
        if self.background is not None:
            job = self.background.job()
        return {"progress": progress, "versions": self._versions(), "job": job}

    def _versions(self) -> dict[str, str]:
        """Round -> version of its evidence: changes if trials of the round or of its ancestors change."""
        home = self.shown._context
        of_round = _evidence(home)
        return {
            node_id: " ".join(
                [*(of_round[n.id] for n in path_to(stored.node, home.nodes)), str(stored.node.epsilon)]
            )
            for node_id, stored in home.nodes.items()
        }

    def _tree(self, _: Message) -> Content:
        home = self.shown._context.at_once()
        rounds = self._rounds(home)
        evidence = _evidence(home)
        overview = overview_of(
            rounds, {round_.id: self._top(round_, evidence[round_.id]) for round_ in rounds}
        )
        summaries = overview.rounds
        names = names_of({s.id: s.parent for s in summaries}, {s.id: s.tags for s in summaries})
        return {
            "name": home.name,
            "store": "/".join(Path(home.store.url.database or "").parts[-2:]),
            "rounds": [
                {
                    "id": summary.id,
                    "name": names[summary.id],
                    "parent": summary.parent,
                    "about": _node_text(summary.states, summary.n, summary.best),
                    "tags": [tag for tag in summary.tags if tag != names[summary.id]],
                    "note": ": ".join(t for t in (*summary.kinds[-1:], summary.round.note) if t),
                }
                for summary in summaries
            ],
            "winner": overview.winner,
        }

    def _top(self, round_: Round, evidence: str) -> pd.Series | None:
        """The best trial of a round, cached until its trials change."""
        cached = self._best.get(round_.id)
        if cached is None or cached[0] != evidence:
            cached = self._best[round_.id] = evidence, round_.best
        return cached[1]

    def _progress(self, round_: Round, counts: Mapping[str, int], evidence: str) -> Content:
        """Progress of a round in numbers, and as text with the best value while trials are left."""
        ended = sum(counts.values())
        planned = round_.n
        if self.background is not None:
            planned = max(planned, self.background.planned(round_))
        text = ""
        best_text = ""
        if 0 < ended < planned:
            text = f"{ended:,} of {planned:,} trials"
            best = self._top(round_, evidence)
            if best is not None:
                best_text = score(float(best["value"]))
                text += f" · best so far {best_text}"
        return {"ended": ended, "planned": planned, "text": text, "best": best_text}

    def _round(self, message: Message) -> Content:
        round_ = self._found(message)
        counts = round_._context.counts.get(round_._stored.pk, {})
        evidence = _evidence(round_._context)[round_.id]
        head = {
            "id": round_.id,
            "about": _about(round_),
            "decided": _decided(round_),
            "kept": percent(round_._path[0].space.volume_kept(round_.space)),
            "progress": self._progress(round_, counts, evidence),
            "version": self._versions()[round_.id],
            "imported": round_._node.method == IMPORTED,
            "metric": round_._value,
            "direction": round_._direction,
            "parent": round_._node.parent,
            "run": in_cells(round_) if self.background is None else self.background.runnable(round_),
            "goals": len(round_._goals),
            "expected": self._expected(round_),
            "start": start_content(round_),
            "grow": growth_content(round_),
        }
        check_risk(message.get("risk", self.risk))
        try:
            review = self._current(round_, message)
        except AnalysisError as error:  # too few trials yet
            reason = str(error)
            if not counts:
                reason = f"{plural(round_.n, 'configuration')} to run."
            return {**head, "review": None, "why": reason, "space": space_content(round_)}
        extra = {"suggestions": suggestions_content(review), "pruner": _prunes(round_._node)}
        return {**head, "review": {**review_content(review), **extra}}

    def _expected(self, round_: Round) -> Content:
        """The best values that were forecast for a round and that its parent had."""
        parent = round_.parent
        if parent is None:
            return expected_content(round_, None)
        return expected_content(round_, self._top(parent, _evidence(round_._context)[parent.id]))

    def _points(self, message: Message) -> Content:
        return points_content(self._sheet(message))

    def _track(self, _: Message) -> Content:
        """The claims of the study that held so far."""
        home = self.shown._context.at_once()
        return track_content(home.name, self._rounds(home))

    def _epsilon(self, message: Message) -> Content:
        """Stores the tolerance with the round, and answers with the round."""
        round_ = self._found(message)
        check_risk(message.get("risk", self.risk))  # before the setting changes
        round_._epsilon = message.get("value")
        if round_.id == self.shown.id:
            self._given_epsilon = None  # the latest setting counts
        self._drawn = [drawn for drawn in self._drawn if drawn[1].round.id != round_.id]
        return self._round(message)

    def _trials(self, message: Message) -> bytes:
        review = self._shown(message)
        return trials_content(review.proposal.analysis, review.round._node.allow_degenerate)

    # Single trials, and figures.

    def _sheet(self, message: Message) -> Sheet:
        round_ = self._found(message)
        return self._sheets.of(round_, self._versions()[round_.id])

    def _list(self, message: Message) -> Content:
        return list_content(self._sheet(message))

    def _part(self, message: Message) -> Content:
        return part_content(self._sheet(message), message)

    def _trial(self, message: Message) -> Content:
        return one_trial(self._found(message), self._sheet(message), message["number"])

    def _numbers(self, message: Message) -> bytes:
        return rows_of(self._sheet(message), self._analysis_shown(message)).tobytes()

    def _figure(self, message: Message) -> Content:
        analysis = None
        if message["name"] not in WITHOUT_ANALYSIS:
            analysis = self._analysis_shown(message)
        return picture(self._found(message), analysis, message)

    def _beside(self, message: Message) -> Content:
        study = self
        if message.get("across") and self.other is not None:
            study = self.other
        other = None
        if "other" in message:
            other = study._found({"round": message["other"]})
        return beside_content(self._found(message), other, across=study is not self)

    def _exclude(self, message: Message) -> Content:
        round_ = self._found(message)
        result = exclude(round_, self._sheet(message), message)
        return {**self._trial(message), "said": result}

    def _analysis_shown(self, message: Message) -> Analysis:
        with self._lock:  # these are answered at the same time as other messages
            return self._shown(message).proposal.analysis

    # Consequences of a decision, and the decision.

    def _preview(self, message: Message) -> Content:
        review = self._edited(self._shown(message), message)
        planned = _planned(message, review)
        running = _running(message)
        preview = review.preview(n=planned.n or None, workers=running[0].get("workers", 1))
        if 0 < preview.n < planned.n:
            planned = _planned({**message, "n": preview.n}, review)
        note = message.get("note") or ""
        options = {**({"note": note} if note else {}), **_accepting(message, review, planned)}
        asked_n = None
        if message.get("sized"):
            asked_n = message.get("n")
        return {
            **preview_content(review, preview, asked_n),
            **decision_content(review),
            "plan": plan_content(planned),
            "outlook": outlook_key(review, planned),
            "pending": round_text(review, planned.n),
            "code": _code(review, options, running),
        }

    def _outlook(self, message: Message) -> Content:
        """The recommendation for an edited review: a simulation, slower than a preview."""
        with self._lock:
            review = self._edited(self._shown(message), message)
        planned = _planned(message, review)
        return outlook_content(review, planned, outlook_of(review, planned))

    def _decide(self, message: Message) -> Content:
        kind = message["kind"]
        note = message.get("note") or ""
        review = self._same(message)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            child = None
            text = "Declined: the space is unchanged."
            if kind == "decline":
                review.decline(note)
            else:
                edited = self._edited(review, message)
                _running(message)
                planned = _planned(message, edited)
                self.child = edited.accept(note, **with_plan(_accepting(message, edited, planned)))
                child = self.child.id
                text = "Accepted: this is the next round."
        warned = " ".join(str(w.message) for w in caught if issubclass(w.category, RefineWarning))
        return {"child": child, "text": text, "warning": warned}

    # Running, in the background.

    def _run(self, message: Message) -> Content:
        round_ = self._found(message)
        if self.background is None:
            raise ReviewError(
                f'a page in a notebook cannot run a round; run it in a cell: tree["{round_.id}"].run()'
            )
        machine, options = _running(message)
        options |= _sent(message, "n")
        return {"job": self.background.start(round_, "run", options, machine)}

    def _winner(self, _: Message) -> Content:
        return winner_content(TreeRecord._of(self.shown._context))

    def _confirm(self, message: Message) -> Content:
        """Repeats the plausible winners of the tree; the runner shows the round of the winner."""
        winner = judging.winner(TreeRecord._of(self.shown._context))
        if winner is None:
            raise ReviewError("no finished trial may be best; run trials first")
        round_ = self._found({"round": winner.round})
        return self._launch(round_, Action("tree.confirm", **_sent(message, "budget")), message)

    def _pause(self, _: Message) -> Content:
        if self.background is None:
            raise ReviewError("pause stops a round that this page runs, and none is running; reload the page")
        return {"job": self.background.pause()}

    # Questions, and configurations of the person's own.

    def _questions(self, message: Message) -> Content:
        return questions_content(self.shown._context, suggest=bool(message.get("suggest")))

    def _ask(self, message: Message) -> Content:
        return answer_content(self.shown._context, message)

    def _settle(self, message: Message) -> Content:
        return settling_content(self.shown._context, message)

    def _add(self, message: Message) -> Content:
        """Adds trials to a round and runs them: a number, configurations of the person, or repeats."""
        round_ = self._found(message)
        options = _sent(message, "n", "exploit", "repeat", "seeds")
        if "rows" in message:
            given = configurations_of(round_.space, message["rows"])
            for i, configuration in enumerate(given):
                given_configuration(round_.space, configuration, f"configuration {i + 1}")
            options["given"] = given
        elif "n" in options:
            check_addition(round_, options["n"], options.get("exploit"))
        return self._launch(round_, Action(f'tree["{round_.id}"].add', **options), message)

    def _launch(self, round_: Round, call: Action, message: Message) -> Content:
        """Runs trials in addition to the plan of a round."""
        if self.background is None:
            raise ReviewError(f"a page in a notebook cannot run trials; run them in a cell: {call}")
        machine = {name: value for name, value in _running(message)[0].items() if name == "workers"}
        return {"job": self.background.start(round_, call.name.rpartition(".")[2], call.options, machine)}

    # Several goals.

    def _front(self, message: Message) -> Content:
        return front_content(self._found(message))

    def _choose(self, message: Message) -> Content:
        round_ = self._found(message)
        round_.choose(message["point"], note=message.get("note") or "")
        return {"text": f"Chosen. It is stored as a decision on round {round_.id}."}

    # Rounds and reviews.

    def _found(self, message: Message) -> Round:
        key = message.get("round")
        home = self.shown._context
        if key not in home.nodes:
            raise NotFoundError(
                f"no round {key!r:.80} in tree {home.name!r}; it may have been removed since the page was "
                "opened"
            )
        return self._at(home.nodes[key])

    def _at(self, stored: StoredNode) -> Round:
        """A round of the tree by its stored goal; the round shown first keeps the goal of its opener."""
        node = stored.node
        shown = self.shown
        if node.id == shown.id:
            return shown
        return type(shown)(shown._context, node, node.metric, node.direction)

    def _rounds(self, home: Context) -> list[Round]:
        """All rounds of the tree, read from ``home``."""
        return [replace(self._at(stored), _context=home) for stored in home.nodes.values()]

    def _current(self, round_: Round, message: Message) -> Review:
        """The proposal at a risk on the present evidence, not stored."""
        risk = message.get("risk", self.risk)
        check_risk(risk)
        version = self._versions()[round_.id]
        risk = float(risk)
        alike = [r for v, r in self._drawn if (r.round.id, v) == (round_.id, version)]
        for review in alike:
            if review.proposal.risk == risk:
                return self._keep(version, review)
        for review in alike:
            # loaded without its posterior, or made at a smaller risk
            with contextlib.suppress(AnalysisError):
                return self._keep(version, replace(review, proposal=review.proposal.at(risk)))
        epsilon = None
        if round_.id == self.shown.id:
            epsilon = self._given_epsilon
        return self._keep(version, round_.propose(risk, epsilon, keep=False))

    def _keep(self, version: str, review: Review) -> Review:
        self._drawn = [*(d for d in self._drawn if d[1] is not review), (version, review)][-_MOST_DRAWN:]
        return review

    def _shown(self, message: Message) -> Review:
        """The review behind a drawn page, even if trials arrived later; for messages without a decision."""
        place = self._found(message).id, message.get("proposal")  # the round may have been removed
        for version, review in self._drawn:
            if place == (review.round.id, review.proposal.digest):
                return self._keep(version, review)
        return self._same(message)

    def _same(self, message: Message) -> Review:
        """The review behind a drawn page; an error if the evidence changed."""
        review = self._current(self._found(message), message)
        if message.get("proposal") != review.proposal.digest:
            raise ReviewError(
                f"round {review.round.id}: its trials changed after this page was drawn; refresh before "
                "you decide"
            )
        return review

    def _edited(self, review: Review, message: Message) -> Review:
        edits = message.get("edits") or {}
        rejected = message.get("rejected") or []
        if rejected:
            review = review.reject(*rejected)
        values = {str(name): self._meant(review, str(name), edit) for name, edit in edits.items()}
        if values:
            return review.edit(values)
        return review

    def _meant(self, review: Review, name: str, edit: object) -> Any:
        if isinstance(edit, Mapping) and edit.get("as") == SUGGESTED:
            for suggestion in suggestions_of(review):
                if suggestion.decision.digest == edit.get("of") and name in suggestion.differs:
                    return suggestion.differs[name][1]
            raise ReviewError(f"edit: {name}: this suggestion no longer exists; refresh the page")
        if not isinstance(edit, Mapping) or edit.get("as") != STARTED["as"]:
            old = review.proposal.old
            if name not in old:
                raise ReviewError(f"edit: unknown parameter {name!r}; {did_you_mean(name, old)}")
            return page_value(old[name], name, edit)
        started = self._started
        if started is None or started.round.id != review.round.id or name not in edits_of(started).typed:
            raise ReviewError(f"edit: {name}: the page did not begin with this edit; reload the page")
        return edits_of(started).typed[name]


def _evidence(home: Context) -> dict[str, str]:
    """Round -> version of its own trials and of the exclusions among them.

    The number of trials reveals a removal, the last row an addition or a repeat.
    """
    counts = home.counts
    last = home.reader.last_rows(home.tree)
    left_out = home.reader.last_exclusions(home.tree)
    versions = {}
    for node_id, stored in home.nodes.items():
        pk = stored.pk
        n = sum(counts.get(pk, {}).values())
        versions[node_id] = f"{n}/{last.get(pk, 0)}/{left_out.get(pk, 0)}/{stored.node.allow_degenerate}"
    return versions


def _node_text(counts: Mapping[str, int], n: int, best: pd.Series | None) -> str:
    ended = sum(counts.values())
    text = f"{ended}/{n}{' running' * (0 < ended < n)}"
    if best is None:
        return text
    return f"{text} · best {score(float(best['value']))}"


def _about(round_: Round) -> str:
    """The goal of a round and its note."""
    goals = " and ".join(f"{goal.metric}, {goal.direction}" for goal in round_._goals)
    text = judged_text(goals, round_._node.subject_to)
    if round_.note:
        return f"{text} · “{round_.note}”"
    return text


def _decided(round_: Round) -> list[Content]:
    """The decisions on a round, each with the round that it led to."""
    authors = everybody(round_)
    return [{"text": f"{d.kind} by {whom(d.author, authors)}", "child": d.child} for d in round_._decisions]


# Design and budget of the next round.


def _planned(message: Message, review: Review) -> NextRound:
    """Size and shares of the next round: as in a message, else as advised."""
    return next_round(review, *(message.get(name) for name in ("n", "exploit", "audit")))


def _accepting(message: Message, review: Review, planned: NextRound) -> dict[str, Any]:
    """Options of :meth:`refine.Review.accept` for the planned round: the advised call, with differences."""
    options = dict(accept_action(planned).options)
    size = planned.n or None
    advised = _planned({"n": size}, review)
    if planned.exploit != advised.exploit:
        options["exploit"] = planned.exploit
    if planned.audit != _planned({"n": size, "exploit": planned.exploit}, review).audit:
        options["audit"] = planned.audit
    node = review.round._node
    if node.pruner is not None and not (message.get("pruner") and _prunes(node)):
        options["pruner"] = "none"
    return options


def _prunes(node: Node) -> bool:
    """Whether a child inherits the pruner of a round; a pruner of Optuna is not stored."""
    return node.pruner is not None and "optuna" not in node.pruner


def _sent(message: Message, *names: str) -> dict[str, Any]:
    """The fields of a message that have a value."""
    return {name: message[name] for name in names if message.get(name) is not None}


def _running(message: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the machine, and options of :meth:`refine.Round.run`, in a message beyond the defaults."""
    machine = _sent(message, "workers", "hours")
    options = _sent(message, "trials")
    RunOptions(machine=Machine(**machine), **options)  # refuses a value out of range
    if machine.get("workers") == 1:
        del machine["workers"]
    return machine, options


def _run_action(machine: Mapping[str, Any], options: Mapping[str, Any]) -> Action:
    """The call that runs a child, with its machine."""
    if machine.keys() - {"workers"}:
        return Action("child.run", **options, machine=Symbol(f"refine.{Machine(**machine)!r}"))
    return Action("child.run", **options, **machine)


def _code(
    review: Review, accepting: Mapping[str, object], running: tuple[dict[str, Any], dict[str, Any]]
) -> str:
    """Python that accepts a review with its edits, and runs the child if a budget was set."""
    claim = review.proposal.claim
    options = {"risk": review.proposal.risk}
    if claim.epsilon_source == "given":
        options["epsilon"] = claim.epsilon
    propose = f'tree["{review.round.id}"].propose'
    lines = [f"review = {Action(propose, **options)}"]
    edits = edits_of(review)
    if edits.typed:
        lines.append(f"review = {Action('review.edit', python_symbols(edits.typed))}")
    if edits.rejected:
        lines.append(f"review = {Action('review.reject', *edits.rejected)}")
    if not accepting["n"]:  # the budget leaves no round
        return "\n".join([*lines, str(next_step(review).action)])
    lines.append(f"child = {Action('review.accept', **accepting)}")
    if any(running):
        lines.append(str(_run_action(*running)))
    return "\n".join(lines)
