"""Pages of rehearsed studies and plans of rounds."""

from __future__ import annotations

import math

from refine.report.pages.proposal import CLAIMED_DATA, NEW_DATA
from refine.review.rehearsal import POWER, StudyRehearsal
from refine.review.worth import Plan, Rehearsal
from refine.trials.goal import sign_of
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Facts, Grid, Page, Row, Text
from refine.utils.format import coarse, difference, duration, percent, plural
from refine.utils.provided import page_for


@page_for(StudyRehearsal)
def study_page(rehearsal: StudyRehearsal) -> Page:
    """A row per size of the study, then the effects and regions that its trials can find."""
    noise = "Repeats are identical."
    if rehearsal.noise:
        noise = f"Repeats differ by {percent(rehearsal.noise)} (standard deviation)."
    about = (
        f"Simulated on {plural(rehearsal.functions, 'random function')} of your "
        f"{plural(rehearsal.parameters, 'parameter')}: 0 % is the median configuration, 100 % the best one. "
        f"{noise}"
    )
    head = ("trials", "all evenly drawn", "as advised", "in 8 of 10 functions")
    rows = []
    for size in rehearsal.sizes:
        low, mean, high = size.learning
        name = Cell(str(size.trials), "strong" * (size.trials == rehearsal.budget))
        rows.append((name, percent(size.even[1]), percent(mean), f"{percent(low)} to {percent(high)}"))
    budgeted = next(size for size in rehearsal.sizes if size.trials == rehearsal.budget)
    cells = budgeted.trials - budgeted.repeats
    facts = [("Tests", _detectable(rehearsal))]
    if rehearsal.first < rehearsal.configurations:
        missed = f"a better region smaller than {percent(rehearsal.hit)} of the space may be missed"
        first = f"{rehearsal.first} evenly drawn trials; the model chooses most of the rest"
        facts = [("First round", first), *facts]
        facts.append(("Blind spot", missed))
    if budgeted.repeats:
        differ = f"that differ by {percent(rehearsal.separable)} or more"
        facts.append(("Confirm", f"{budgeted.repeats} repeats distinguish finalists {differ}"))
    reached = percent(budgeted.learning[1])
    title = f"Expect {budgeted.trials} trials to go {reached} of the way from median to best"
    if cells == rehearsal.configurations:
        title = f"{plural(cells, 'trial')} run every configuration"
        if budgeted.repeats:
            title += f"; the other {budgeted.repeats} can repeat the finalists"
    blocks = (Text(about), Grid(head, rows, right=(0, 1, 2)), Facts(facts))
    call = Action("tree.add_round", Symbol("space"), Symbol("objective"), budget=rehearsal.budget)
    if rehearsal.round:
        call = Action("round.run")
    return Page(title, blocks, [call])


def _detectable(rehearsal: StudyRehearsal) -> str:
    """The effects that the first round detects."""
    easiest, hardest = rehearsal.detectable
    if math.isinf(easiest):
        return f"{rehearsal.first} trials detect the effect of no parameter; the model alone decides"
    effect = percent(easiest)
    if hardest > easiest and not math.isinf(hardest):
        effect += f" to {percent(hardest)}"
    studies = f"{round(10 * POWER)} of 10 studies"
    text = f"a parameter that causes {effect} of the differences is detected in {studies}"
    if math.isinf(hardest):
        text += "; not every parameter can be detected"
    return text


@page_for(Rehearsal)
def rehearsal_page(rehearsal: Rehearsal) -> Page:
    """The expected gain of the advised plan, a row per plan, and a row per round of the first plan."""
    first, *_ = rehearsal.plans
    advised = _advised(rehearsal)
    trials = plural(advised.rounds * advised.n, "further trial")
    present = _text(rehearsal, rehearsal.now)
    after = _text(rehearsal, advised.mean[-1])
    title = f"Expect {trials} to bring {rehearsal.metric} from {present} to {after}"
    if _gain(rehearsal, advised) <= rehearsal.epsilon:
        title = f"Expect {trials} to gain little: {rehearsal.metric} {present} now, {after} after"
    about = (
        f"Values are expected values of the winner when retrained, simulated on "
        f"{plural(rehearsal.simulated, 'function')} drawn from the model"
    )
    if rehearsal.epsilon > 0:
        about += f"; differences up to {difference(rehearsal.epsilon)} count as ties"
    if rehearsal.data in NEW_DATA:
        about += CLAIMED_DATA[rehearsal.data]
    head = ("plan", "winner after", "50 % interval", "90 % interval", "time")
    rows = [_plan_row(rehearsal, plan, plan is first) for plan in rehearsal.plans]
    blocks: list[Block] = [Text(f"{about}."), Grid(head, rows, right=(1, 4))]
    if first.rounds > 1:
        steps = [
            (str(k + 1), str((k + 1) * first.n), *_after(rehearsal, first, k)) for k in range(first.rounds)
        ]
        blocks += [
            Text(f"{_plan_name(first).capitalize()}, round by round:"),
            Grid(
                ("round", "trials", "winner after", "50 % interval", "90 % interval"), steps, right=(0, 1, 2)
            ),
        ]
    if rehearsal.budget.left is not None:
        text = str(rehearsal.budget) + rehearsal.budget.reserve_text(noisy=rehearsal.reserve > 0)
        blocks.append(Facts([("Budget", text)]))
    options: dict[str, float] = {"n": advised.n}
    if advised.exploit > 0:
        options["exploit"] = advised.exploit
    options.update(rehearsal.options)
    if advised is not first:
        options["n"] = advised.n
    call = Action("review.accept", **options)
    if rehearsal.created:
        call = Action("round.run")
    return Page(title, blocks, [call])


def _gain(rehearsal: Rehearsal, plan: Plan) -> float:
    """Expected gain of a plan, positive if the winner improves."""
    return sign_of(rehearsal.direction) * (plan.mean[-1] - rehearsal.now)


def _advised(rehearsal: Rehearsal) -> Plan:
    """The plan asked for, unless another one is better by more than the tolerance."""
    first, *_ = rehearsal.plans
    best = max(rehearsal.plans, key=lambda plan: _gain(rehearsal, plan))
    if _gain(rehearsal, best) - _gain(rehearsal, first) <= rehearsal.epsilon:
        return first
    return best


def _plan_name(plan: Plan) -> str:
    """``4 rounds of 30 trials``."""
    return f"{plural(plan.rounds, 'round')} of {plural(plan.n, 'trial')}"


def _plan_row(rehearsal: Rehearsal, plan: Plan, first: bool) -> Row:
    time = "-"
    if math.isfinite(plan.seconds):
        time = duration(plan.seconds)
    name = Cell(_plan_name(plan), "strong" * first)
    return name, *_after(rehearsal, plan, -1), time


def _after(rehearsal: Rehearsal, plan: Plan, k: int) -> tuple[str, str, str]:
    """The winner's expected value after round ``k`` of a plan, with its 50 % and 90 % intervals."""
    low, lower, _, higher, high = (_text(rehearsal, value) for value in sorted(plan.quantiles[k]))
    return _text(rehearsal, plan.mean[k]), f"{lower} to {higher}", f"{low} to {high}"


def _text(rehearsal: Rehearsal, value: float) -> str:
    """A value with two digits of the widest 50 % interval: finer digits mean nothing."""
    widest = max(abs(row[3] - row[1]) for plan in rehearsal.plans for row in plan.quantiles)
    return coarse([value], gap=widest)[0]
