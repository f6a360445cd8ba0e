"""The cards of the gate: one question each, with a verdict, a number and a picture. Pure.

Limits that no source states are this package's own and named here.

Source: Godbole, Dahl, Gilmer, Shallue and Nado (2023), 'Deep Learning Tuning Playbook', for the questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from refine import stats
from refine.analysis.analysis import Analysis
from refine.analysis.evidence import ParameterEvidence, level_positions
from refine.analysis.population import space_filling_rows
from refine.proposal.proposal import Proposal
from refine.space.edits import widened
from refine.space.parameters import Range
from refine.trials.frame import degenerate_rows
from refine.trials.trial import FAILED
from refine.utils.format import join, number, percent, plural, score

if TYPE_CHECKING:
    import pandas as pd

    from refine.analysis.learning_curves import TrialCurves

Floats = npt.NDArray[np.float64]

INFEASIBLE = (0.05, 0.25)
"""Share of trials without a usable model from which to warn, and to fail."""

FLAGGED = (0.25, 0.5)
"""Share of the best trials whose curves show something from which to warn, and to fail."""

PER_LEVEL = (5, 14)
"""Trials that every level of a scientific parameter needs: below the first its best is an accident; 14 hit the best
fifth of what else varies with probability 0.95."""

CHEAPER = 0.3
"""Saving of time, at no loss, from which a cheaper trial is worth a word."""

_SURE = 2 * math.sqrt(2)  # standard deviations by which the best of two noisy runs differ by more than chance
_TIES = 5  # trials within the noise of the best from which the choice among them is luck
_FLAGS = {
    "overfitting": "overfit",
    "unsteady": "are unsteady at the end",
    "improving": "still improve at the end",
    "saturated": "were as good within the first quarter",
    "rising": "end with a rising training loss",
}


class Check(NamedTuple):
    """One question with its answer.

    Attributes:
        key: Short name: ``"goal"``, ``"edges"``, ``"enough"``, ``"infeasible"``, ``"curves"``, ``"isolation"``,
            ``"noise"``, ``"luck"`` or ``"cost"``.
        question: The question.
        verdict: ``"pass"``, ``"warn"``, ``"fail"`` or ``"unknown"``.
        number: The number behind it, in words.
        value: The same as a figure; NaN where it is not known.
        says: What follows, in a sentence or two.
        picture: Name of the figure that shows it, as in ``round.plot.<name>()``; empty where there is none.
        about: The parameter that the figure is of; empty where it is of the round.
    """

    key: str
    question: str
    verdict: str
    number: str
    value: float
    says: str
    picture: str = ""
    about: str = ""

    @property
    def call(self) -> str:
        """The call that draws its picture; empty where there is none."""
        return f"round.plot.{self.picture}({repr(self.about) if self.about else ''})" if self.picture else ""


@dataclass(frozen=True, eq=False)
class Known:
    """What the cards are made from, beside the analysis.

    Attributes:
        proposal: What is proposed; ``None`` where nothing is.
        roles: The role of every parameter.
        goal: Why the round exists, in the person's words.
        curves: Training curves of the best trials, best first.
        before: Best value known before this round, in the metric's own sign; NaN for a root.
        allow_degenerate: Whether a degenerate trial may be called best.
    """

    proposal: Proposal | None
    roles: Mapping[str, str]
    goal: str
    curves: Sequence[TrialCurves]
    before: float
    allow_degenerate: bool


def goal(known: Known, scientific: list[str]) -> Check:
    """Whether it is said what the round asks, and whether the proposal would answer it."""
    question = "Is it clear what the round asks?"
    decided = [
        c.name
        for c in (known.proposal.changes if known.proposal else ())
        if c.kind != "keep" and c.name in scientific
    ]
    text = f"{plural(len(scientific), 'scientific parameter')}, {_nuisance(known)} nuisance"
    value = float(len(scientific))
    if decided:
        says = f"The proposal narrows {join(decided)}, which the round asks about: to accept that is to answer the question."
        return Check("goal", question, "warn", text, value, says, "isolation", decided[0])
    if scientific:
        says = f"It asks about {join(scientific)}; everything else is tuned so that the comparison is fair."
        return Check("goal", question, "pass", text, value, says)
    if known.goal.strip():
        return Check("goal", question, "pass", text, value, f"It explores: {known.goal.strip()}")
    says = "It explores without a note. Say why with note=, or what it asks with round.set_roles(name='scientific')."
    return Check("goal", question, "warn", text, value, says)


def _nuisance(known: Known) -> int:
    return sum(role == "nuisance" for role in known.roles.values())


def _open_ends(e: ParameterEvidence) -> list[str]:
    """Sides on which the range could go on: no natural limit."""
    p = e.parameter
    return [s for s in ("low", "high") if isinstance(p, Range) and widened(p, p, s) is not None]


def edges(analysis: Analysis, proposal: Proposal | None, best: pd.Series) -> Check:
    """Whether the best trials sit at an end that could be moved."""
    question = "Is the best point away from the edges?"
    piled, at_edge = [], []
    ends_seen = set()
    for e in analysis.parameters:
        ends = _open_ends(e)
        wider = proposal is not None and any(c.name == e.name and c.kind == "widen" for c in proposal.changes)
        crowded = [edge.side for edge, _ in e.piled_up if edge.side in ends and not wider]
        piled += [f"{e.name} ({side})" for side in crowded]
        ends_seen |= {(e.name, side) for side in crowded}
        if e.matters and isinstance(e.parameter, Range):
            limits = {"low": e.parameter.low, "high": e.parameter.high}
            there = [s for s in ends if best[e.name] == limits[s]]
            at_edge += [f"{e.name} = {number(limits[s], 6)}" for s in there]
            ends_seen |= {(e.name, side) for side in there}
    count = len(ends_seen)  # the pile and the best trial may be at the same one
    text = f"{count} open {'end' if count == 1 else 'ends'}"
    if piled:
        but = ", and the proposal does not widen there" if proposal is not None else ""
        says = f"The best trials pile up at {join(piled)}{but}: the optimum may be beyond."
        return Check("edges", question, "fail", text, count, says, "edges")
    if at_edge:
        says = f"The best trial has {join(at_edge)}, an end that is no natural limit: look beyond it."
        return Check("edges", question, "warn", text, count, says, "edges")
    return Check(
        "edges",
        question,
        "pass",
        text,
        count,
        "Neither the best trial nor the best fifth sits at an open end.",
        "edges",
    )


def enough(analysis: Analysis) -> Check:
    """Whether there are enough good trials to judge every parameter."""
    question = "Are there enough points in the good region?"
    covered = f"the round hit the best 1 % with probability {percent(analysis.covered)}"
    if not analysis.parameters:
        return Check("enough", question, "unknown", "-", math.nan, "No parameter varies.")
    read = [e for e in analysis.parameters if e.read != 0]
    if not read:
        return Check("enough", question, "unknown", "-", math.nan, "No parameter that varies was read.")
    # What was seen to matter has been judged, however few there were.
    open_ = [e for e in read if not e.matters] or read
    least = min(open_, key=lambda e: e.good / max(1, e.needed))
    text = f"{plural(least.good, 'good trial')}, {least.needed} needed"
    share = least.good / max(1, least.needed)
    young = [e.name for e in open_ if e.good < e.needed and not e.matters]
    if not young:
        # Few good trials leave nobody open only where the effects of all were large enough to be seen.
        judged = "can be judged" if share >= 1 else "that is read was seen to matter, with fewer"
        says = f"Every parameter {judged}; {covered}."
        return Check("enough", question, "pass", text, share, says, "best_so_far")
    says = f"Can't be judged yet: {join(young)}; {covered}. More configurations: round.run(n=...)."
    return Check("enough", question, "warn" if share >= 0.5 else "fail", text, share, says, "best_so_far")


def infeasible(analysis: Analysis, allow_degenerate: bool) -> Check:
    """Which share of the trials gave no usable model."""
    question = "Do most trials give a usable model?"
    table = analysis.table
    state = table.get("state")
    bad = np.zeros(len(table), dtype=bool) if state is None else state.isin(FAILED).to_numpy()
    if not allow_degenerate:
        bad = bad | degenerate_rows(table, analysis.space)
    ended = len(table) if state is None else int((state != "running").sum())
    count = int(bad.sum())
    share = count / ended if ended else math.nan
    interval = stats.wilson(count, ended)
    text = f"{count} of {ended} without ({percent(share)}; {percent(float(interval.low))} to {percent(float(interval.high))})"
    fails = [e.name for e in analysis.parameters if e.fails]
    where = f" They are more frequent at some values of {join(fails)}." if fails else ""
    if share <= INFEASIBLE[0]:
        return Check(
            "infeasible",
            question,
            "pass",
            text,
            share,
            f"Few trials are lost.{where}",
            "failing" if count else "",
        )
    verdict = "warn" if share <= INFEASIBLE[1] else "fail"
    says = f"Trials that fail, diverge or predict a constant cost time and hide what is good.{where or ' No parameter explains them.'}"
    return Check("infeasible", question, verdict, text, share, says, "failing")


def curves(curves: Sequence[TrialCurves]) -> Check:
    """What the training curves of the best trials show."""
    question = "Do the training curves of the best look sound?"
    told = [c for c in curves if c.told]
    if not told:
        says = "No curves of loss or metric were reported: trial.report(epoch, metrics), or a KerasObjective."
        return Check("curves", question, "unknown", "-", math.nan, says)
    counts = {flag: sum(flag in c.seen for c in told) for flag in _FLAGS}
    worst = max(counts, key=lambda flag: counts[flag])
    share = counts[worst] / len(told)
    shown = [f"{count} {_FLAGS[flag]}" for flag, count in counts.items() if count / len(told) >= FLAGGED[0]]
    text = (
        f"{counts[worst]} of the best {len(told)} {_FLAGS[worst]}"
        if counts[worst]
        else f"0 of the best {len(told)}"
    )
    if share < FLAGGED[0]:
        return Check("curves", question, "pass", text, share, "Nothing stands out.", "curves")
    # Saturating early wastes time and harms nothing.
    grave = any(counts[f] / len(told) >= FLAGGED[1] for f in _FLAGS if f != "saturated")
    return Check(
        "curves",
        question,
        "fail" if grave else "warn",
        text,
        share,
        f"Of the best {len(told)}, {join(shown)}.",
        "curves",
    )


def isolation(analysis: Analysis, name: str) -> Check:
    """Whether every level of a scientific parameter had enough trials."""
    question = f"Is the comparison of {name} fair?"
    e = next((p for p in analysis.parameters if p.name == name), None)
    if e is None:
        return Check("isolation", question, "unknown", "-", math.nan, f"{name} does not vary.")
    own = analysis.table[space_filling_rows(analysis.table)]
    axis = stats.Axis(level_positions(e.parameter), unordered=not e.parameter.ordered)
    at = np.bincount(axis.index(e.parameter.unit(own[name].to_numpy())), minlength=len(e.levels))
    counts = {v.label: int(n) for v, n in zip(e.levels, at, strict=True)}
    label = min(counts, key=lambda k: counts[k])
    least = counts[label]
    text = f"at least {plural(least, 'trial')} a level ({label})"
    seen = "It is seen to matter." if e.matters else "It is not seen to matter."
    if least < PER_LEVEL[1]:
        verdict = "fail" if least < PER_LEVEL[0] else "warn"
        says = f"{seen} The best of so few is mostly luck; {PER_LEVEL[1]} a level make it fair."
        return Check("isolation", question, verdict, text, least, says, "isolation", name)
    says = f"{seen} Compare the bests at equal numbers of trials."
    return Check("isolation", question, "pass", text, least, says, "isolation", name)


def noise(analysis: Analysis, known: Known, values: Floats) -> Check:
    """Whether the gain is more than noise, and how many trials are as good."""
    question = "Is the gain larger than the noise of retraining?"
    sd = _noise(analysis)
    if not math.isfinite(sd):
        says = "The noise of retraining is not known: round.replicate(top=5, seeds=3)."
        return Check("noise", question, "unknown", "-", math.nan, says, "gain")
    best = float(values[0])
    ties = int((values >= best - sd).sum())
    among = (
        f"{plural(ties, 'trial')} {'lies' if ties == 1 else 'lie'} within the noise ({score(sd)}) of the best"
        + ("; the choice among them is luck: round.replicate(top=5, seeds=3)." if ties > _TIES else ".")
    )
    if math.isfinite(known.before):
        gain = best - analysis.sign * known.before
        text = f"{score(gain + 0.0)} over the best before, {_times_noise(gain, sd)}"
        if gain > _SURE * sd:
            return Check(
                "noise", question, "pass", text, gain, f"More than two noisy bests differ by. {among}", "gain"
            )
        verdict = "fail" if gain < -_SURE * sd else "warn"
        says = (
            "Worse than what was known before." if verdict == "fail" else "No more than chance could bring."
        )
        return Check("noise", question, verdict, text, gain, f"{says} {among}", "gain")
    spread = best - float(np.median(values))
    text = f"{score(spread)} over the median, {_times_noise(spread, sd)}"
    verdict = "pass" if spread > _SURE * sd and ties <= _TIES else "warn"
    return Check("noise", question, verdict, text, spread, among, "gain")


def _times_noise(gain: float, sd: float) -> str:
    return f"{number(gain / sd, 2)} times the noise" if sd > 0 else "and no noise"


def _noise(analysis: Analysis) -> float:
    """Deviation of retraining; NaN where it is not known. Where the best are level, residuals give 0 and tell nothing."""
    known = analysis.noise.source == "replicates" or analysis.noise.sd > 0
    return analysis.noise.sd if known else math.nan


def optimism(analysis: Analysis, values: Floats) -> Check:
    """How much of the best value is expected not to come again."""
    question = "Would the best be as good again?"
    sd = _noise(analysis)
    if not math.isfinite(sd):
        return Check(
            "luck",
            question,
            "unknown",
            "-",
            math.nan,
            "The noise of retraining is not known: round.replicate().",
        )
    found = stats.Optimism(seed=analysis.seed)(values, sd)
    over = float(found.best - found.honest)
    text = f"{score(over)} of {score(analysis.sign * found.best)} is expected to be luck"
    looks = f"It is the best of {plural(len(values), 'look')} at the same validation rows"
    if over <= sd:
        return Check(
            "luck",
            question,
            "pass",
            text,
            over,
            f"{looks}, less than one deviation of the noise above what is expected.",
        )
    says = f"{looks}: trained again about {score(analysis.sign * found.honest)} is expected. A hold-out says what it is worth."
    return Check("luck", question, "warn", text, over, says)


def cost(analysis: Analysis, ranked: pd.DataFrame) -> Check:
    """Whether a trial that is as good takes much less time."""
    question = "Is the best worth what it costs?"
    seconds = (
        np.asarray(ranked["seconds"], dtype=float) if "seconds" in ranked else np.full(len(ranked), math.nan)
    )
    values = analysis.sign * np.asarray(ranked["value"], dtype=float)
    if not math.isfinite(seconds[0]) or seconds[0] <= 0:
        return Check("cost", question, "unknown", "-", math.nan, "The trials do not say how long they took.")
    near = (
        values >= values[0] - (analysis.noise.sd if math.isfinite(analysis.noise.sd) else 0.0)
    ) & np.isfinite(seconds)
    cheapest = float(seconds[near].min())
    saving = 1 - cheapest / float(seconds[0])
    text = f"{percent(saving)} less time for as good a trial"
    if saving < CHEAPER:
        return Check(
            "cost",
            question,
            "pass",
            text,
            saving,
            "No trial as good, within the noise, takes much less time.",
            "cost",
        )
    rank = int(np.flatnonzero(near & (seconds == cheapest))[0]) + 1
    says = f"Rank {rank} is as good within the noise and takes {percent(cheapest / float(seconds[0]))} of the time."
    return Check("cost", question, "warn", text, saving, says, "cost")
