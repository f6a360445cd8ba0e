"""Checks and training curves in words, whether another round is worth it, and what they show of themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from refine.analysis import finding as f
from refine.analysis.learning_curves import TrialCurves
from refine.report.pages.reasons import Say, fill
from refine.review.checks import FAIL, INFEASIBLE, PASS, TIES, WARN, Check, Checks, worth
from refine.review.next_step import AUDIT
from refine.review.worth import RUNS, Plan, Rehearsal, Worth
from refine.trials.goal import sign_of
from refine.trials.metric import Metric
from refine.utils.action import Action
from refine.utils.display import Cell, Facts, Fold, Grid, Page, Text
from refine.utils.format import chance, difference, duration, join, number, percent, plural, score
from refine.utils.provided import page_for

Spell = Callable[[Action], str]
# Verdict -> its tone; the gravest first.
_TONES = {"fail": "bad", "warn": "warn", "unknown": "faint", "pass": "good"}


@page_for(Checks)
def checks_page(checks: Checks, spell: Spell = str) -> Page:
    """What does not pass, what follows, and how many pass; ``spell`` says how actions are spelled."""
    order = sorted(checks.checks, key=lambda c: list(_TONES).index(c.verdict))
    heed = [c for c in order if c.verdict != PASS]
    facts: list[tuple[str, str | Cell]] = []
    for before, c in zip([None, *heed], heed, strict=False):
        first = f"{subject(c)}: {says(c, spell).partition('. ')[0].removesuffix('.')}."
        new = before is None or before.verdict != c.verdict
        facts.append((c.verdict if new else "", Cell(first, _TONES[c.verdict])))
    if count := checks.counts[PASS]:
        more = f"{count}{' more' if heed else ''} of {plural(len(order), 'question')}"
        facts.append(("pass", Cell(more, "good")))
    folds = [
        Fold(f"{question(c)} {c.verdict}", (Text(figure(c)), Text(says(c, spell))), c.key) for c in order
    ]
    calls = [c.call for c in checks.checks if c.call and c.verdict in (WARN, FAIL)]
    title = f"Before you decide on round {checks.round[:8]}:"
    return Page(title, (Facts(tuple(facts)),), tuple(calls[:1]), tuple(folds))


def subject(check: Check) -> str:
    """What a check is about, in a word or two."""
    return fill(_ASKED[check.key].subject, check.values)


def question(check: Check) -> str:
    """The question that a check asks."""
    return fill(_ASKED[check.key].question, check.values)


def figure(check: Check) -> str:
    """The number behind the verdict, in words; ``-`` where there is none."""
    return fill(_ASKED[check.key].number, check.values) if math.isfinite(check.value) else "-"


def says(check: Check, spell: Spell = str) -> str:
    """What follows, in a sentence or two; ``spell`` says how actions are spelled."""
    text = fill(_SAYS[f"{check.key}.{check.code}"], check.values)
    return text if check.action is None else f"{text} {_ASKED[check.key].advice}: {spell(check.action)}."


def passed_text(checks: Checks) -> str:
    """How many checks pass: ``2 to look at, 7 pass``."""
    passed = checks.counts[PASS]
    return f"{len(checks.checks) - passed} to look at, {passed} pass"


class _Asked(NamedTuple):
    subject: str
    question: str
    number: Say
    advice: str = "Next"


def _flagged(v: Any) -> str:
    count = v.counts[v.worst]
    return f"{count} of the best {v.of}{': ' + FLAGS[v.worst].seen if count else ''}"


def _gain(v: Any) -> str:
    over = "the median" if v.over == "median" else "the best before"
    noise = f"{number(v.gain / v.noise, 2)} times the noise" if v.noise > 0 else "and no noise"
    return f"{difference(v.gain)} over {over}, {noise}"


# Check -> what it is about, its question, the number behind its verdict, and the words before what would help.
_ASKED = {
    "goal": _Asked(
        "question",
        "Is it clear what the round asks?",
        lambda v: f"{plural(len(v.scientific), 'scientific parameter')}, {v.nuisance} nuisance",
        "Add a note, or say what it asks about",
    ),
    "edges": _Asked("ends", "Is the best configuration away from the ends of its ranges?", "{ends:open end}"),
    "enough": _Asked(
        "good trials",
        "Are there enough good trials to judge every parameter?",
        "{good:good trial}, {needed} needed",
        "More configurations",
    ),
    "code": _Asked("code", "Did all trials run the same code?", "{count:version}"),
    "infeasible": _Asked(
        "failures",
        "Do most trials give a usable model?",
        "{count} of {ended} without ({share:percent}; {low:percent} to {high:percent})",
    ),
    "curves": _Asked(
        "curves", "Do the training curves of the best trials look sound?", _flagged, "To report them"
    ),
    "epochs": _Asked(
        "epochs",
        "Are all epochs needed?",
        "{epochs} of {of}",
        "To stop there what is not among the best half",
    ),
    "stopping": _Asked(
        "stopped trials",
        "Did stopping trials early keep the good ones?",
        "{saved:percent} of the epochs saved",
        "To run them to their end",
    ),
    "isolation": _Asked(
        "comparison of {parameter}",
        "Is the comparison of {parameter} fair?",
        "at least {least:trial} a level ({level})",
    ),
    "noise": _Asked("gain", "Is the gain larger than the noise?", _gain, "To measure it"),
    "optimism": _Asked(
        "luck",
        "Would the best be as good again?",
        "{over:difference} of {best:score} is expected to be chance",
        "To measure it",
    ),
    "cost": _Asked(
        "cost", "Is there a cheaper trial that is as good?", "{saving:percent} less time for as good a trial"
    ),
    "second": _Asked(
        "second region",
        "Could there be a second region?",
        "{probability:risk} that one outside holds the best",
        "To look there",
    ),
    "worth": _Asked("another round", "Is another round worth it?", "{verdict}: {probability:risk} chance"),
}


def _piled(v: Any) -> str:
    but = ", and the proposal does not widen there" if v.proposal else ""
    at = join([f"{name} ({side})" for name, side in v.piled or v.widened])
    if not v.piled:
        return f"The optimum may be beyond {at}, where the proposal goes."
    return f"The best trials pile up at {at}{but}: the optimum may be beyond."


def _at_end(v: Any) -> str:
    at = join([f"{name} = {number(value, 6)}" for name, _, value in v.at_end])
    return f"The best trial has {at}, an end that is no natural limit: look beyond it."


_COVERED = " One of the best 1 % of configurations was run with probability {covered:percent}."


def _judged(v: Any) -> str:
    can = "can be judged" if v.good >= v.needed else "that is read was seen to matter, with fewer"
    return f"Every parameter {can}." + fill(_COVERED, vars(v))


def _too_few(v: Any) -> str:
    alone = "on its own" if len(v.parameters) == 1 else "on their own"
    told = f"There are too few good trials to judge {join(v.parameters)} {alone}."
    return told + fill(_COVERED, vars(v))


def _lost(v: Any) -> str:
    where = f" They are more frequent at some values of {join(v.parameters)}." if v.parameters else ""
    if v.share <= INFEASIBLE[0] and not v.exploded:
        return f"Few trials are lost.{where}"
    ways = ["fail", "diverge", "predict a constant", *(["break a metric constraint"] if v.infeasible else [])]
    where = where or " No parameter explains them."
    if v.exploded:
        where += f" {plural(v.exploded, 'trial')} exploded: a huge but finite value counts as diverged."
    return f"Trials that {join(ways, 'or')} cost time and hide what is good.{where}"


def _curves(v: Any) -> str:
    seen = join([f"{FLAGS[flag].seen} ({v.counts[flag]})" for flag in v.frequent])
    return f"Seen among the best {v.of}: {seen}."


def _stopped(v: Any) -> str:
    told = "No trial that was behind was let through, so nobody knows what was lost."
    if v.audited:
        told = (
            f"Of the {v.audited} that were behind and let through, {v.won or 'none'} would have won and {v.good} would have been as "
            f"good as the best {v.top} others: about {v.lost:.0f} of those stopped ({v.low:.0f} to {v.high:.0f})."
        )
    return f"Stopping {plural(v.stopped, 'trial')} saved {percent(v.saved)} of the epochs. {told}"


_FOUND = {
    f.MATTERS: "It matters.",
    f.FAILS: "Trials fail more often at some of its levels.",
    f.COUPLED: "It matters together with others.",
    f.NOT_SEEN: "No effect of it is seen.",
    f.CANNOT_BE_JUDGED: "It can't be judged yet.",
    f.NEVER_READ: "It was never read.",
    f.UNTESTED: "It is untested.",
}


def _ties(v: Any) -> str:
    lie = f"{plural(v.ties, 'trial')} {'lies' if v.ties == 1 else 'lie'} within the noise ({difference(v.noise)}) of the best"
    return f"{lie}; the choice among them is chance." if v.ties > TIES else f"{lie}."


def _second(v: Any) -> str:
    sides = [f"{n} {(' to ' if ordered else ', ').join(map(str, at))}" for n, at, ordered in v.place]
    return f"Outside of what is proposed the likeliest is {join(sides)}: {percent(v.share)} of what is cut off. Of even audit trials {v.needed:,} would hit it (95 % sure)."


def short_worth(outlook: Any, gain: str = "") -> str:
    """The chance that another round is worth it, of a :class:`Worth` or an object with its names, and what follows.

    ``gain`` is how much is one, where that was said before; default by its number.
    """
    if not outlook.n:
        return "Every configuration of the proposed space was run."
    cost = f" ({duration(outlook.seconds)})" if outlook.seconds >= 1 else ""
    more = f"more than {difference(outlook.epsilon)}" if outlook.epsilon > 0 else "anything"
    trials = f"{plural(outlook.n, 'trial')}{cost}"
    return f"{chance(outlook.probability).capitalize()} chance to gain {gain or more} in {trials}: {_FOLLOWS[outlook.verdict]}."


_UNKNOWN_NOISE = "How much a value changes when run again is not known."
_LOOKS = "It is the best of {trials:trial} judged on the same validation rows"

_SAYS: dict[str, Say] = {
    "goal.narrows_question": "The proposal narrows {decided:and}, which the round asks about: accepting it answers the question.",
    "goal.question": "It asks about {scientific:and}; everything else is tuned so that the comparison is fair.",
    "goal.explores": 'It explores: "{note}"',
    "goal.no_goal": "It explores, without a note that says why.",
    "edges.piled_up": _piled,
    "edges.widened": _piled,
    "edges.at_end": _at_end,
    "edges.inside": "Neither the best trial nor the best fifth lies at an open end.",
    "enough.nothing_varies": "No parameter varies.",
    "enough.nothing_read": "No parameter that varies was read.",
    "enough.judged": _judged,
    "enough.too_few": _too_few,
    "enough.untested": "Results chose the trials: nothing is tested.",
    "code.several": "Differences between trials may come from the code: exclude those of the old one, or make a new round.",
    "infeasible.few": _lost,
    "infeasible.many": _lost,
    "curves.no_curves": "No loss or metric was reported by epoch.",
    "curves.sound": "Nothing stands out.",
    "curves.flagged": _curves,
    "epochs.fewer": "Epoch {epochs} ranks {trials:trial} like epoch {of} (Kendall's tau {tau:.2f}).",
    **{f"stopping.{code}": _stopped for code in ("unaudited", "kept", "lost")},
    "isolation.fixed": "{parameter} does not vary.",
    "isolation.few_per_level": lambda v: (
        f"{_FOUND[v.finding]} The best of so few is mostly chance; {v.needed} a level make the comparison fair."
    ),
    "isolation.fair": lambda v: f"{_FOUND[v.finding]} Compare the best values at equal numbers of trials.",
    "noise.unknown": _UNKNOWN_NOISE,
    "noise.gain": lambda v: f"More than two noisy bests differ by. {_ties(v)}",
    "noise.no_gain": lambda v: f"No more than chance could bring. {_ties(v)}",
    "noise.worse": lambda v: f"Worse than what was known before. {_ties(v)}",
    "noise.clear": _ties,
    "noise.unclear": _ties,
    "optimism.unknown": _UNKNOWN_NOISE,
    "optimism.small": _LOOKS + ", less than one deviation of the noise above what is expected.",
    "optimism.large": (
        _LOOKS + ": trained again, about {expected:score} is expected. A hold-out shows what it is worth."
    ),
    "cost.unknown": "The trials don't record how long they took.",
    "cost.no_cheaper": "No trial as good, within the noise, takes much less time.",
    "cost.cheaper": "Rank {rank} is as good within the noise and takes {share:percent} of the time.",
    "second.nothing_cut": "Nothing is cut off, or no draw of the posterior has its best there.",
    "second.unlikely": _second,
    "second.plausible": _second,
    "worth.unknown": "The trials say nothing about the space of the next round.",
    **{f"worth.{code}": short_worth for code in ("continue", "confirm", "stop")},
}


class Flag(NamedTuple):
    """What a judgement of curves is called, in short and in a sentence; what it is, its size, and what may help."""

    word: str
    seen: str
    means: str
    size: str
    helps: str


# Judgement of :mod:`refine.analysis.learning_curves` -> its words, from the Deep Learning Tuning Playbook (Godbole et al. 2023).
FLAGS = {
    "overfitting": Flag(
        "overfits",
        "overfitting",
        "validation loss rises while training loss falls on",
        "rise {}",
        "more or better tuned regularisation, or fewer epochs",
    ),
    "unsteady": Flag(
        "unsteady end",
        "an unsteady end",
        "the metric jumps from epoch to epoch to the end, so which one is last is chance",
        "deviation {}",
        "a learning rate that decays, larger batches or more validation rows",
    ),
    "improving": Flag(
        "still improving",
        "still improving at the end",
        "the metric still gets better at the end",
        "{} in the last quarter",
        "more epochs, or another schedule of the learning rate",
    ),
    "saturated": Flag(
        "saturated early",
        "as good within the first quarter",
        "within the first quarter of its epochs as good as it got",
        "at epoch {}",
        "fewer epochs suffice: the time is better spent on more configurations",
    ),
    "rising": Flag(
        "loss rises",
        "a rising training loss at the end",
        "training loss ends above its minimum",
        "rise {}",
        "a lower learning rate; else look for a mistake in the training code",
    ),
}

_ADVISES = (
    "How much of it in the median, and what the Deep Learning Tuning Playbook (Godbole et al. 2023) advises:"
)


def curves_page(trials: Sequence[TrialCurves], metric: Metric, direction: str) -> Page:
    """What the curves of the best trials show, of how many of them, and what may help; ``trials`` isn't empty."""
    reduction = "max" if sign_of(direction) > 0 else "min"
    best = f", or judge by the best epoch ({reduction}:{metric.name})" if metric.reduction == "last" else ""
    facts, rows = [], []
    for name, flag in FLAGS.items():
        sizes = [getattr(trial.flags, name).size for trial in trials if name in trial.seen]
        if sizes:
            many, helps = f"{len(sizes)} of {len(trials)}", flag.helps + (best if name == "unsteady" else "")
            facts.append((flag.word.capitalize(), f"{many}: {helps}."))
            rows.append((flag.word, many, flag.means, flag.size.format(number(median(sizes))), helps))
    short = sum(not trial.judged for trial in trials)
    these = f"the best {len(trials)} trials" if len(trials) > 1 else "the best trial"
    if short:
        facts.append(("", f"{short} of {these} reported too few epochs to tell."))
    if not rows and short < len(trials):
        return Page(f"Nothing stands out in the curves of {these}.", (Facts(tuple(facts)),) if facts else ())
    grid = Grid(("seen", "trials", "what it is", "size", "what may help"), tuple(rows))
    folds = (Fold("What was seen", (Text(_ADVISES), grid)),) if rows else ()
    return Page(f"The curves of {these}", (Facts(tuple(facts)),), folds=folds)


TONES = {"CONTINUE": "good", "CONFIRM": "warn", "STOP": "warn"}  # verdict -> tone
_FOLLOWS = {"CONTINUE": "worth it", "CONFIRM": "run the best again", "STOP": "you may stop"}


@page_for(Worth)
def worth_page(outlook: Worth) -> Page:
    """The chance that another round is worth it, what follows, what is expected of it, and of runs again instead."""
    gain, low, high = difference(outlook.gain), difference(outlook.low), difference(outlook.high)
    price = f", where {difference(outlook.cost)} is the price" if math.isfinite(outlook.cost) else ""
    again = f"{'as many' if outlook.n else RUNS} runs of the best again bring {difference(outlook.again)}"
    facts = [("Expect", f"{gain} ({low} to {high} with a chance of 90 %){price}"), ("Or", again)]
    action = worth(outlook).action
    return Page(worth_sentence(outlook), (Facts(tuple(facts)),), () if action is None else (action,))


def worth_sentence(worth: Worth) -> str:
    """The verdict, and the chance that it rests on."""
    return f"{worth.verdict}: {short_worth(worth)}"


@page_for(Rehearsal)
def rehearsal_page(rehearsal: Rehearsal) -> Page:
    """A row per plan, and a row per round of the one that was asked for."""
    about = (
        f"What is handed over now is expected to have {rehearsal.metric} {score(rehearsal.now)}. Every plan was simulated on "
        f"{plural(rehearsal.simulated, 'draw')} of the posterior; values are expected ones when trained again."
    )
    better = f"by more than {score(rehearsal.epsilon)}" if rehearsal.epsilon > 0 else "than now"
    head = ("plan", "after it", "50 % interval", "90 % interval", f"better {better}", "time")
    rows = tuple(_plan_row(plan, i == 0) for i, plan in enumerate(rehearsal.plans))
    asked = rehearsal.plans[0]
    steps = tuple(
        (str(k + 1), str((k + 1) * asked.n), score(asked.mean[k]), *_intervals(asked, k))
        for k in range(asked.rounds)
    )
    blocks = (
        Text(about),
        Grid(head, rows, right=(1, 4, 5)),
        Text(f"{_plan_name(asked).capitalize()}, round by round:"),
        Grid(("round", "trials", "after it", "50 % interval", "90 % interval"), steps, right=(0, 1, 2)),
    )
    shares = {"exploit": rehearsal.exploit} | ({} if rehearsal.audit == AUDIT else {"audit": rehearsal.audit})
    call = Action("review.accept", n=asked.n, **shares)
    return Page(f"Plans after round {rehearsal.round}, before anything is run", blocks, (call,))


def _plan_name(plan: Plan) -> str:
    """``4 rounds of 30 trials``."""
    return f"{plural(plan.rounds, 'round')} of {plural(plan.n, 'trial')}"


def _plan_row(plan: Plan, asked: bool) -> tuple[str | Cell, ...]:
    time = duration(plan.seconds) if math.isfinite(plan.seconds) else "-"
    # A probability counted in some tens of draws.
    likely = f"about {plan.likely:.1f}"
    if not 0.05 <= plan.likely <= 0.95:
        likely = "more than 0.95" if plan.likely > 0.5 else "less than 0.05"
    name = Cell(_plan_name(plan), "strong" if asked else "")
    return name, score(plan.mean[-1]), *_intervals(plan, -1), likely, time


def _intervals(plan: Plan, k: int) -> tuple[str, str]:
    low, lower, _, upper, high = plan.quantiles[k]
    return f"{score(lower)} to {score(upper)}", f"{score(low)} to {score(high)}"
