"""Pages of answers to questions, and of the questions of a tree."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence

from refine.proposal.settling import ENOUGH, NOISE
from refine.proposal.suggested import CUT, INTERACTION, SuggestedQuestion
from refine.report.pages.proposal import ALL_KNOWN, CLAIMED_DATA
from refine.report.pages.reasons import judged_text, source_text, upper, whom
from refine.tree.asking import EITHER, NO, OPEN, PROBABLY, PROBABLY_NOT, UNKNOWN, YES, Answer, Side, thin
from refine.tree.questions import AskedQuestion, Questions
from refine.trials.stored_answer import StoredAnswer
from refine.utils.action import Action, Symbol
from refine.utils.display import Block, Cell, Fact, Facts, Fold, Grid, Items, Page, Row, Text
from refine.utils.format import (
    by_over,
    chance_cell,
    chance_words,
    coarse,
    difference,
    join,
    number,
    percent,
    plural,
    score,
)
from refine.utils.provided import page_for

_EVEN = 0.65  # largest model probability of an answer that could as well be the opposite

_LEADS = {
    YES: "Yes",
    PROBABLY: "Probably yes",
    EITHER: "It makes no difference",
    OPEN: "Open",
    PROBABLY_NOT: "Probably not",
    NO: "No",
    UNKNOWN: "Unknown",
}
_OF_TWO = {
    YES: "the first",
    PROBABLY: "probably the first",
    PROBABLY_NOT: "probably the second",
    NO: "the second",
}
_TONES = {
    YES: "good",
    EITHER: "good",
    PROBABLY: "good",
    OPEN: "warn",
    PROBABLY_NOT: "warn",
    NO: "warn",
    UNKNOWN: "warn",
}


@page_for(Answer)
def answer_page(answer: Answer) -> Page:
    """The answer with chance and cost, the best trials of the two sides, and the call to settle."""
    labels = _labels(answer)
    facts: list[Fact] = [
        (labels[0], _side_cell(answer, answer.inside)),
        (labels[1], _side_cell(answer, answer.outside)),
        ("Tolerance", _tolerance_text(answer)),
        ("Evidence", _evidence_text(answer)),
    ]
    if math.isfinite(answer.cost):
        facts.insert(0, ("Cost", cost_text(answer)))
    facts += [("Condition", _condition_text(answer, name)) for name in answer.conditional]
    if len(answer.goals) > 1:
        facts.append(
            ("Goals", f"the front of {join(answer.goals)}; cost and bests are those of {answer.metric}")
        )
    if answer.advised:
        facts.append(("To settle", _settling_text(answer)))
    calls = []
    if answer.needed:
        calls = [Action(f"tree[{answer.round[:8]!r}].add", settle=Symbol("answer"))]
    lead = Cell(lead_text(answer), _TONES[answer.verdict])
    title = f"Question{', read as' * answer._reread}: {question_text(answer)}"
    return Page(title, [Facts(facts)], calls, [_fold(answer)], lead)


def _labels(answer: Answer) -> tuple[str, str]:
    """Labels of the two sides."""
    if answer.better is None:
        return "Inside", "Outside"
    return "First", "Second"


def _settling_text(answer: Answer) -> str:
    """The trials to settle a question, how often they do, and the obstacle if no number is enough."""
    if not answer.needed:
        return "the budget leaves no trial for rounds"
    half = answer.needed // 2
    sides = [label.lower() for label in _labels(answer)]
    if answer.better is not None:
        sides = ["in the first region", "in the second"]
    sizes = f"{answer.needed - half} {sides[0]}, {half} {sides[1]}"
    text = f"{plural(answer.needed, 'trial')} near the bests ({sizes})"
    if not answer.outlook:
        return text
    largest = max(answer.outlook)
    share = _share_text(answer.outlook[answer.needed])
    share_of_largest = _share_text(answer.outlook[largest])
    if answer.needed < answer.advised:
        reason = f"; the budget leaves {largest} for rounds"
        return f"{text} settle {share} such questions{reason}"
    if not answer.obstacle:
        return f"{text} settle {share} such questions"
    obstacle = "the bests may lie in many places; compare within a condition (given)"
    if answer.obstacle == NOISE:
        obstacle = f"the noise of repeats hides the difference; {_tolerance_advice(answer)}"
    gain = answer.outlook[largest] - answer.outlook[answer.needed]
    if largest == answer.needed or gain < 0:  # simulated shares: a fall is chance, or new doubt
        return f"{text} settle {share} such questions: {obstacle}"
    if share == share_of_largest:
        return f"{text}, and even {largest}, settle {share} such questions: {obstacle}"
    return f"{text} settle {share} such questions, and {largest} settle {share_of_largest}: {obstacle}"


def _tolerance_advice(answer: Answer) -> str:
    """A tolerance, in two digits, with which the trials so far settle the question."""
    largest = answer.cost_high
    if answer.better is not None:
        largest = max(abs(answer.cost_low), abs(answer.cost_high))
    if not (math.isfinite(largest) and largest > 0):
        return "ask with a larger tolerance (epsilon)"
    step = 10.0 ** (math.floor(math.log10(largest)) - 1)
    return (
        f"ask with a larger tolerance: epsilon {difference(step * math.ceil(largest / step))} can be answered"
    )


def _share_text(share: float) -> str:
    """A share of simulated rounds in three steps, by counts of real rounds of 12 trials.

    From the lowest step, 9 of 34, 5 of 12 and 13 of 17 rounds settled the question.
    """
    if share >= ENOUGH:
        return "about 3 in 4"
    if share >= 0.15:
        return "about 2 in 5"
    return "at most about 1 in 5"


def _empty_side(answer: Answer) -> str:
    if not answer.inside.ran:
        return f"with {condition_text(answer.question)}"
    if answer.better is not None:
        return f"with {condition_text(answer.better)}"
    return f"outside {condition_text(answer.question)}"


def _condition_text(answer: Answer, name: str) -> str:
    """The part of the space with a conditional parameter, and the consequence for the answer."""
    condition = answer.conditional[name]
    text = f"{name} exists only with {condition}"
    if answer.given is not None and _conjuncts(condition) <= _conjuncts(answer.given):
        return f"{text}, so only such configurations are compared"
    if answer.better is not None or condition in (answer.given or ""):
        return text  # another region, or another part of the condition, holds configurations without it
    return f"{text}; other configurations count as outside"


def _conjuncts(condition: str) -> set[str]:
    """The parts of a condition that must all hold."""
    nodes = [ast.parse(condition, mode="eval").body]
    parts: set[str] = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
            nodes += node.values
        else:
            parts.add(ast.unparse(node))
    return parts


def lead_text(answer: Answer) -> str:
    """The answer as a sentence, with the chance in four steps."""
    if math.isnan(answer.probability):
        return (
            "Unknown: a side holds too small a part of the space to be judged; ask about larger regions, or "
            "within a condition (given=)."
        )
    if answer.verdict == UNKNOWN:
        return f"Unknown: no trial ran {_empty_side(answer)} yet; settle the question with some."
    if answer.better is not None:
        return _rivals_text(answer)
    if not answer.draws:
        return f"{_LEADS[answer.verdict]}: {ALL_KNOWN}."
    if answer.verdict == EITHER:
        doubt = chance_words(1 - answer.tie)
        return (
            f"It makes no difference, as far as {plural(answer.trials, 'trial')} tell: {doubt} that the "
            f"bests inside and outside differ{by_over(answer.epsilon)} {space_text(answer)}."
        )
    event, opposite = _events(answer)
    likelier = min(answer.probability, 1 - answer.probability)
    if answer.verdict == OPEN and likelier > 1 - _EVEN:
        return f"Open: {chance_words(likelier)} that {event}, and about as likely that it is not."
    if answer.probability < 0.5:
        leaning = "no"
        doubt = f"{chance_words(answer.probability)} that {opposite}"
    else:
        leaning = "yes"
        doubt = f"{chance_words(1 - answer.probability)} that {event}"
    if answer.verdict == OPEN:
        return f"Open, leaning {leaning}: {doubt}."
    return f"{_LEADS[answer.verdict]}: {doubt}."


def _events(answer: Answer) -> tuple[str, str]:
    """The loss of a restriction to the inside, and its opposite, as clauses."""
    if len(answer.goals) > 1:
        loss = "a point of the front is lost inside"
        return loss, "every point of the front is kept inside"
    event = judged_text(answer.metric, answer.subject_to)
    elsewhere = space_text(answer)
    if answer.given is not None:
        elsewhere = f"with {condition_text(answer.given)} {elsewhere}"
    near = "as good as"
    if answer.epsilon:
        near = f"within {difference(answer.epsilon)} of"
    return (
        f"the best {event} inside is worse{by_over(answer.epsilon)} than the best {elsewhere}",
        f"the best {event} inside is {near} the best {elsewhere}",
    )


def space_text(answer: Answer) -> str:
    """The space that an answer is about, as a place: ``in the space of the first round``."""
    if answer.of_first:
        return "in the space of the first round"
    return f"in the space of round {answer.round[:8]}"


def _rivals_text(answer: Answer) -> str:
    """The region with the better best, with the chance of the opposite."""
    if answer.verdict == EITHER:
        if not answer.draws:
            return f"Either region will do: {ALL_KNOWN}."
        doubt = chance_words(1 - answer.tie)
        return f"Either region will do: {doubt} that their bests differ{by_over(answer.epsilon)}."
    regions = [_region_text(answer.question), _region_text(str(answer.better))]
    likelier = max(answer.probability, 1 - answer.probability)
    if answer.probability < 0.5:
        regions.reverse()
    ahead, behind = regions
    if not answer.draws:
        return f"{ahead} holds the better best: {ALL_KNOWN}."
    doubt = chance_words(1 - likelier)
    if answer.verdict == OPEN and likelier <= _EVEN:
        return f"Open: {ahead} or {behind} may hold the better best, {doubt} for each."
    if answer.verdict == OPEN and answer.tie > 1 - likelier:
        return (
            f"Open: {ahead} may hold the better best, but the chance is {chance_words(answer.tie)} that the "
            f"bests differ by at most {difference(answer.epsilon)}; then either region will do."
        )
    if answer.verdict == OPEN:
        return f"Open: {ahead} may hold the better best, but the chance is {doubt} that {behind} does."
    surely = "probably " * (answer.verdict not in (YES, NO))
    return f"{ahead} {surely}holds the better best: {doubt} that {behind} does."


def cost_text(answer: Answer) -> str:
    """The expected difference of the two bests with an interval, in words."""
    sides = ["the best inside", "the best outside"]
    if answer.better is not None:
        sides = ["the best of the first region", "the best of the second"]
    expected, low, high = (
        compared_text(cost, answer.epsilon) for cost in (answer.cost, answer.cost_low, answer.cost_high)
    )
    relation = f"{expected} than"
    if expected == "equal":
        relation = "equal to"
    if not answer.draws:
        return f"{sides[0]} is {relation} {sides[1]}"
    if high == "equal" and low != "equal":
        high = "no difference"
    interval = f"{low} to {high}".replace("equal", "0")
    # The chance counts failures, and a difference of values cannot.
    condition = ""
    failed = [
        f"{label.lower()}, {_all_trials(side.failed)} failed"
        for label, side in zip(_labels(answer), (answer.inside, answer.outside), strict=True)
        if side.failed and not side.trials
    ]
    if failed:
        condition = f"{' and '.join(failed)}; if trials of both sides finish, "
    return f"{condition}{sides[0]} is expected to be {relation} {sides[1]} (90 % interval: {interval})"


def _all_trials(count: int) -> str:
    if count == 1:
        return "the only trial"
    return f"all {count:,} trials"


def compared_text(cost: float, epsilon: float) -> str:
    """A cost in words, in decimals that show two digits of the tolerance."""
    if not math.isfinite(cost):
        return "-"
    if epsilon:
        cost = round(cost, 1 - math.floor(math.log10(epsilon)))
    if difference(abs(cost)) == "0":
        return "equal"
    if cost > 0:
        return f"{difference(cost)} worse"
    return f"{difference(-cost)} better"


def _side_cell(answer: Answer, side: Side) -> Cell:
    """The best trial of a side with the number of runs, and the number of trials on the side."""
    count = f"{side.trials:,} of {plural(answer.trials, 'trial')}"
    hardly = thin(side, answer.trials)
    if hardly:
        count += ": few"
    if side.failed:
        count += f"; {side.failed:,} more failed"
    if side.best is None:
        return Cell(f"no {'feasible trial' if answer.subject_to else 'trial with a value'}; {count}", "warn")
    ran = "ran once"
    if side.runs != 1:
        ran = f"mean of {side.runs} runs"
    best = ", ".join(f"{name} {_value_text(text)}" for name, text in side.best.items())
    (mean,) = coarse([side.mean], gap=answer.epsilon)
    return Cell(f"best {mean} ({ran}): {best}; {count}", "warn" * hardly)


def _value_text(text: str) -> str:
    try:
        return number(float(text))
    except ValueError:
        return text


def _tolerance_text(answer: Answer) -> str:
    """The tolerance with its source; with several goals, the tolerance of each goal."""
    if len(answer.goals) > 1:
        return join(
            [
                f"{difference(epsilon)} {metric}{source_text(answer.tolerance_sources[metric], epsilon)}"
                for metric, epsilon in answer.tolerances.items()
            ]
        )
    if not answer.epsilon:
        return "none: every loss counts"
    metric = f" {answer.metric}".removesuffix(" value")
    return f"{difference(answer.epsilon)}{metric}{source_text(answer.epsilon_source, answer.epsilon)}"


def _evidence_text(answer: Answer) -> str:
    text = f"{plural(answer.trials, 'finished trial')} in the space of round {answer.round[:8]}"
    if answer.of_first:
        text += ", the first"
    if answer.earlier:
        text += f", {answer.earlier:,} of them from other rounds"
    if answer.given is not None:
        text += f", with {condition_text(answer.given)}"
    return text


def _fold(answer: Answer) -> Fold:
    """The numbers behind the answer."""
    rows = []
    for label, side in zip(_labels(answer), (answer.inside, answer.outside), strict=True):
        numbers = percent(side.share), score(side.mean), score(side.expected)
        rows.append((label.lower(), f"{side.trials:,}", f"{side.failed:,}", *numbers))
    head = ("side", "trials", "failed", "space", "best trial", "best expected")
    source = (
        f"The model probability is {number(answer.probability, 2)}, from {answer.draws:,} functions drawn "
        "given the trials and calibrated on benchmarks. Screens round chances to four steps, because finer "
        "steps are not calibrated."
    )
    if not answer.draws:
        source = f"{upper(ALL_KNOWN)}, and repeats are identical."
    lines = [
        source,
        "Best expected: mean over the drawn functions of their best value on this side, tried or not.",
    ]
    if answer.data:
        lines.insert(0, f"The answer is about values{CLAIMED_DATA[answer.data].removeprefix(',')}.")
    grid = Grid(head, rows, right=(1, 2, 3, 4, 5))
    return Fold("Both sides", [grid, Items(lines)])


# The questions of a tree.

_SHOWN = 8  # asked questions in the summary


@page_for(Questions)
def questions_page(questions: Questions) -> Page:
    """The asked questions with the latest answers, and questions worth asking with reasons."""
    blocks: list[Block] = [Text("No question has been asked yet.")]
    folds = []
    if questions.asked:
        blocks = [asked_grid(questions.asked[:_SHOWN])]
        folds = [Fold("Every answer", [Text(HOW_TO_READ, "faint"), answers_grid(questions.asked)])]
    if len(questions.asked) > _SHOWN:
        older = plural(len(questions.asked) - _SHOWN, "older question")
        blocks.append(Text(f"and {older}, listed in the details", "faint"))
    if questions.suggested:
        blocks.append(Text("Worth asking, because the answer would change a decision:", "strong"))
        blocks.append(Items(list(map(suggestion_text, questions.suggested))))
    elif questions.refusal:
        blocks.append(Text(f"Nothing is suggested: {questions.refusal}.", "faint"))
    return Page(f"Questions to {questions.tree}", blocks, questions.calls, folds)


def asked_grid(questions: Sequence[AskedQuestion]) -> Grid:
    """A row per question, with the latest answer."""
    head = ("question", "tolerance", "answer", "doubt", "trials", "before", "asked by")
    authors = {answer.author for question in questions for answer in question.answers}
    rows: list[Row] = []
    for question in questions:
        *earlier, latest = question.answers
        answer = Cell(_answer_text(latest), _TONES[latest.verdict])
        before = " > ".join(map(_answer_text, earlier[-3:])) or "-"
        numbers = _stored_tolerance(latest), answer, _doubt_text(latest), f"{latest.trials:,}"
        rows.append((question_text(question), *numbers, before, whom(latest.author, authors)))
    return Grid(head, rows, right=(1, 4))


def _answer_text(answer: StoredAnswer) -> str:
    """The verdict; of two regions, the region with the better best."""
    if answer.better is not None:
        return _OF_TWO.get(answer.verdict, answer.verdict)
    if answer.verdict == PROBABLY:
        return "probably yes"
    return answer.verdict


HOW_TO_READ = (
    "Each question asks if the best value inside a part of the space is as good as the best outside, within "
    "the tolerance. Doubt: the chance that the answer is wrong. Trials: all that count, and those inside. "
    "Best inside: expected difference from the best outside."
)


def answers_grid(questions: Sequence[AskedQuestion]) -> Grid:
    """A row per answer, the oldest first within a question."""
    head = (
        "question",
        "tolerance",
        "answer",
        "doubt",
        "trials",
        "inside",
        "best inside",
        "round",
        "asked by",
    )
    rows = [
        (
            question_text(question),
            _stored_tolerance(answer),
            _answer_text(answer),
            _doubt_text(answer),
            f"{answer.trials:,}",
            f"{answer.inside:,}",
            compared_text(answer.cost, answer.epsilon),
            answer.round[:8],
            answer.author,
        )
        for question in questions
        for answer in question.answers
    ]
    return Grid(head, rows, right=(1, 4, 5, 6))


def question_text(question: Answer | AskedQuestion | StoredAnswer | SuggestedQuestion) -> str:
    """A question as a line: ``lr <= 2, given optimizer == 'Adam'``."""
    text = condition_text(question.question)
    if not isinstance(question, SuggestedQuestion) and question.better is not None:
        text = f"{_region_text(question.question)} against {_region_text(question.better)}"
    if question.given is not None:
        text += f", given {condition_text(question.given)}"
    return text


def condition_text(condition: str) -> str:
    """A condition without the parentheses that a canonical spelling adds to the third part and later ones."""
    tree = ast.parse(condition, mode="eval").body
    if not isinstance(tree, ast.BoolOp):
        return condition
    word = " or "
    if isinstance(tree.op, ast.And):
        word = " and "
    return word.join(
        ("({})" if isinstance(part, ast.BoolOp) else "{}").format(ast.unparse(part)) for part in tree.values
    )


def _region_text(condition: str) -> str:
    """A condition as the name of a region in a sentence: in brackets if it joins conditions."""
    text = condition_text(condition)
    if isinstance(ast.parse(condition, mode="eval").body, ast.BoolOp):
        return f"({text})"
    return text


def _stored_tolerance(answer: StoredAnswer) -> str:
    if isinstance(answer.tolerance, Mapping):
        return join([f"{difference(epsilon)} {metric}" for metric, epsilon in answer.tolerance.items()])
    if answer.goals > 1:
        return f"{difference(answer.epsilon)} in the first goal"
    return difference(answer.epsilon)


def _doubt_text(answer: StoredAnswer) -> str:
    if math.isnan(answer.probability):
        return "unknown"
    if answer.verdict == EITHER:
        return "-"
    return chance_cell(min(answer.probability, 1 - answer.probability))


def suggestion_text(suggested: SuggestedQuestion) -> str:
    """A suggested question with the reason to ask."""
    doubt = chance_words(1 - suggested.probability)
    if suggested.kind == CUT:
        name = suggested.parameters[0]
        reason = f"the proposal is unsure of this cut of {name}: {doubt} that a better value is lost"
    elif suggested.kind == INTERACTION:
        name = suggested.parameters[0]
        reason = f"the cut of {name} may cost a better value with {suggested.given}: {doubt} that it does"
    else:
        hold = chance_words(suggested.probability)
        reason = (
            f"only {suggested.trials:,} of {plural(suggested.considered, 'trial')} ran there: {hold} that it "
            "holds a value as good as the best"
        )
    return f"{question_text(suggested)}: {reason}"
