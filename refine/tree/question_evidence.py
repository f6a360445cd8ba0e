"""The evidence behind answers: conditions of a question, an analysable round, and the posterior."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from refine.analysis.analysis import Analysis
from refine.errors import AnalysisError, RefineError, SpaceError
from refine.proposal.posterior import known_enough, surrogate_of
from refine.proposal.proposal import Tolerance, tolerances_of
from refine.proposal.question import (
    Evidence,
    Masks,
    check_divides,
    condition_in,
    named_value,
    rows_inside,
    with_conditions,
)
from refine.space.constraints import Constraint
from refine.space.space import Indices, Space
from refine.space.typed_condition import in_language, typed_sides
from refine.tree.lineage import analyze
from refine.tree.overview import comparable
from refine.tree.round import Round
from refine.tree.tree_record import TreeRecord
from refine.utils.action import Action
from refine.utils.threads import one_thread


class Question(NamedTuple):
    """A question as asked: see :func:`refine.tree.asking.ask`."""

    expression: str | None
    given: str | None
    better: str | None
    epsilon: float | Mapping[str, float] | None
    bounds: Mapping[str, Any]
    at: str | None = None  # id of the round whose space is asked about; ``None`` for the first round's

    def conditions_in(self, space: Space) -> Conditions:
        """The conditions of the question, checked against a space.

        Raises:
            SpaceError: An expression is wrong, or is true for every configuration, or for none.
        """
        expression = self.expression
        better = self.better
        if better is not None and not isinstance(better, str):
            raise SpaceError(f"better must be text, got {better!r:.80}; write better={str(better)[:80]!r}")
        if better is not None and expression in space and not self.bounds:
            named = named_value(space, str(expression), better)
            if named is not None:
                expression, better = named
        if better is None and isinstance(expression, str):
            expression, better = typed_sides(space, expression)
        region = condition_in(space, expression, self.bounds)
        within = None
        if self.given is not None:
            within = condition_in(space, self.given, role="given")
        rival = None
        if better is not None:
            rival = condition_in(space, better, role="better")
        else:
            within = with_conditions(space, region, within)
        check_divides(space, region, within)
        if rival is not None:
            check_divides(space, rival, within, "better")
        return Conditions(region, within, rival)

    def is_reread(self, space: Space) -> bool:
        """True if a text of the question is outside the language of constraints, and was read as people type.

        A parameter's name with a value in ``better`` is no such text.
        """
        if self.expression in space:
            texts = [self.given]
        else:
            texts = [self.expression, self.given, self.better]
        return not all(text is None or in_language(space, text) for text in texts)


class Conditions(NamedTuple):
    """The conditions of a question."""

    region: Constraint  # the asked region
    within: Constraint | None  # condition on the compared configurations; ``None`` to compare all
    rival: Constraint | None  # the other region; ``None`` for all outside

    def parts(self, evidence: Evidence) -> Parts:
        """The parts of the space compared by the question."""
        considered = evidence.masks(self.within)
        inside = evidence.masks(self.region).inside(considered)
        if self.rival is None:
            outside = inside.outside(considered)
        else:
            outside = evidence.masks(self.rival).inside(considered)
        return Parts(inside, outside, considered)


class Parts(NamedTuple):
    """The parts of a space compared by a question."""

    inside: Masks  # the asked region
    outside: Masks  # all outside, or the other region
    considered: Masks  # all that is compared


class Basis(NamedTuple):
    """The inputs of an answer."""

    round: Round
    analysis: Analysis
    conditions: Conditions
    tolerances: tuple[Tolerance, ...]  # of each goal
    evidence: Evidence
    parts: Parts

    @property
    def epsilons(self) -> list[float]:
        """Tolerated losses by goal."""
        return [tolerance.epsilon for tolerance in self.tolerances]


def basis_of(tree: TreeRecord, question: Question) -> Basis:
    """The basis of an answer: a round's space that the question divides, and all trials of the tree inside.

    Raises:
        AnalysisError: No round can be analysed.
        SpaceError: The question is wrong, or divides no space.
    """
    round_, analysis, conditions = _round_for(tree, question)
    # A study has one tolerance, that of its next proposal, for the answers of all rounds.
    newest = next(round_ for round_ in comparable(tree.rounds)[::-1] if _analysable(round_))
    epsilon = question.epsilon
    if epsilon is None:
        epsilon = newest._epsilon
    tolerances = tuple(tolerances_of(analysed(newest), epsilon))
    evidence, parts = _evidence_about(analysis, conditions)
    return Basis(
        round=round_,
        analysis=analysis,
        conditions=conditions,
        tolerances=tolerances,
        evidence=evidence,
        parts=parts,
    )


def _round_for(tree: TreeRecord, question: Question) -> tuple[Round, Analysis, Conditions]:
    """The round whose space is asked about, with its analysis.

    The round of ``at``; else the first round on the path to the newest round whose space the question
    divides: a later round may have added a parameter.
    """
    rounds = comparable(tree.rounds)
    if not rounds:
        raise AnalysisError(
            f"tree {tree._name!r} has no round yet, so that nothing can be asked; add one and run it",
            Action("tree.add_round", ...),
        )
    if question.at is not None:
        asked_about = [tree[question.at]]
    else:
        path = {node.id for node in rounds[-1]._path}
        others = [round_ for round_ in rounds if round_.id not in path]
        asked_about = [round_ for round_ in rounds if round_.id in path] + others
    refusal: RefineError | None = None
    for round_ in asked_about:
        try:
            conditions = question.conditions_in(round_.space)
            return round_, analysed(round_), conditions
        except RefineError as error:
            # An error in the question itself matters more than a round with too few trials. Of such errors,
            # that of the first space names all values, before any narrowing.
            if refusal is None or (
                isinstance(refusal, AnalysisError) and not isinstance(error, AnalysisError)
            ):
                refusal = error
    assert refusal is not None
    raise refusal


def _analysable(round_: Round) -> bool:
    """True if a round has enough trials for answers."""
    try:
        analysed(round_)
    except RefineError:
        return False
    return True


# Analyses and posteriors of the last rounds, kept for the next question.

_CACHED = 4
_analyses: OrderedDict[str, Analysis] = OrderedDict()
_posteriors: OrderedDict[tuple[Any, ...], Evidence] = OrderedDict()
_lock = Lock()


def analysed(round_: Round) -> Analysis:
    """The analysis of a round, from the cache for unchanged trials.

    Raises:
        AnalysisError: The round has too few trials.
    """
    key = _fingerprint(round_)
    with _lock:
        cached = _analyses.get(key)
    if cached is not None:
        return cached
    analysis = analyze(round_)
    if not known_enough(analysis):
        raise AnalysisError(
            f"round {round_.id}: an answer needs 5 different configurations, got fewer; run more trials",
            Action("round.run"),
        )
    _keep(_analyses, key, analysis)
    return analysis


def _fingerprint(round_: Round) -> str:
    """Hash of a round and of the trials of the tree, by states and times of finishing."""
    snapshot = round_._at_once()
    reader = snapshot._context.reader
    curves = snapshot._metric.curves
    settings = (snapshot.id, snapshot._judged_by, snapshot._declared, snapshot._belief)
    hashed = hashlib.sha256(repr(settings).encode())
    hashed.update(str(id(snapshot._metric.function)).encode())
    for stored in snapshot._context.nodes.values():
        columns = reader.records([stored.pk], curves=curves, replicates=True).columns
        hashed.update(stored.node.id.encode())
        hashed.update(np.array(columns["finished"], dtype=float).tobytes())
        hashed.update(" ".join(columns["state"]).encode())
    return hashed.hexdigest()


def _evidence_about(analysis: Analysis, conditions: Conditions) -> tuple[Evidence, Parts]:
    """The posterior over candidates of the two sides; a small region gets more candidates."""
    evidence = posterior_about(analysis)
    parts = conditions.parts(evidence)
    fewest = evidence.surrogate.fewest
    regions = []
    if parts.inside.candidates.sum() < fewest:
        regions.append(conditions.region)
    if conditions.rival is not None and parts.outside.candidates.sum() < fewest:
        regions.append(conditions.rival)
    if not regions:
        return evidence, parts
    rows = np.concatenate([rows_inside(analysis.space, region, conditions.within) for region in regions])
    if len(rows):
        evidence = posterior_about(analysis, rows)
        parts = conditions.parts(evidence)
    return evidence, parts


@one_thread
def posterior_about(analysis: Analysis, extra: Indices | None = None) -> Evidence:
    """The posterior of an analysis, from the cache for equal evidence.

    Args:
        analysis: The analysis.
        extra: (k, parameters) level numbers of further candidates.

    Raises:
        AnalysisError: A goal has a value at fewer than five configurations.
    """
    declared = (analysis.noise, analysis.declared_limits, analysis.declared_belief)
    key: tuple[object, ...] = (analysis.digest, analysis.space.digest, analysis.metric, repr(declared))
    if extra is not None:
        key = (*key, extra.tobytes())
    with _lock:
        cached = _posteriors.get(key)
    if cached is not None:
        return cached
    goals = (analysis, *analysis.others)
    if extra is not None and len(goals) == 1:
        evidence = posterior_about(analysis).with_candidates(extra)
        if evidence is not None:
            _keep(_posteriors, key, evidence)
            return evidence
    surrogates = [surrogate_of(goal, extra, goals) for goal in goals]
    fitted = [surrogate for surrogate in surrogates if surrogate is not None]
    if len(fitted) < len(surrogates):
        raise AnalysisError(
            "an answer needs 5 different configurations with a value in every goal, got fewer; run more "
            "trials",
            Action("round.run"),
        )
    evidence = Evidence(analysis, replace(fitted[0], others=tuple(fitted[1:])))
    _keep(_posteriors, key, evidence)
    return evidence


def _keep(cache: OrderedDict[Any, Any], key: object, value: object) -> None:
    with _lock:
        cache[key] = value
        while len(cache) > _CACHED:
            cache.popitem(last=False)
