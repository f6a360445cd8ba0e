"""Random questions about parts of a space, answered by `tree.ask`, next to a constant answer.

    python benchmarks/questions.py --write
    python benchmarks/questions.py --questions 12 --first 200
    python benchmarks/questions.py --dimensions 10 12 14 --evidence 60

Truths: synthetic grids of 4 kinds in 4 to 8 parameters with noise of 3 or 10 % of (best - median), random
functions of 3 to 7 parameters, and pipelines of four models with conditional parameters, both with noise of 5 %
or without. Their numbers start at `--first`; the method was chosen on other numbers. With `--dimensions`, random
functions of these numbers of parameters alone.

A question is an interval of 2 levels to a third of the levels of an ordered parameter, or up to a third of the
choices of an unordered one. Every fifth question is about two parameters at once, and every fifth is asked within
a region of another parameter. The right answer is yes if the best mean inside is within the printed epsilon of the
best mean.

Rounds have 60 even trials (other numbers with `--evidence 30 100`), or 30 even and 30 exploit trials. After 60
even trials, the first two open questions of each study are settled by a round of 12 trials and asked again. The
share of questions that 12 trials settle is compared with the share that answers state. With `--more`, two other
rounds are run as well: of 12 even trials, and of as many trials as the answer names as enough.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from grids import Grid
from surrogates import FUNCTIONS, KEPT, PIPELINE, Searched, climbed, pipeline, random_function
from synthetic import KINDS, Synthetic, synthetic
from tables import DOCS, embed, markdown, parser

import refine
from refine.tree.asking import Answer
from refine.utils.format import CHANCE_STEPS, chance_cell
from refine.utils.provided import provided

QUIET = refine.Machine(progress=False)

SIZES = (30, 60, 100)
SETTLED_AT = 60
EXPLOIT = "30, then 30 exploit"
MORE = 12
ASKED = "asked"
SETTLED = f"{MORE} more, settled in one round"
EVEN = f"{MORE} more, even"
NAMED = "as many as the answer names"
OPEN = (0.1, 0.9)
"""Stated chances between which a question is open."""
DIMENSIONS = (3, 4, 5, 7)
"""Parameters of the random functions."""
SETTLED_QUESTIONS = 2
"""Open questions of each study that are settled."""
RESAMPLED = 2000
"""Resamples of the studies behind an interval."""

STARTS = 3000
"""Configurations from which the best mean of a large region is searched."""

Box = dict[str, set[int]]
"""Parameter -> kept level numbers."""


class Asked(NamedTuple):
    """A question with its stated probability and the truth."""

    study: str
    kind: str  # kind of truth
    noisy: bool
    evidence: str  # trials of the round
    stage: str  # `ASKED`, or after further trials
    before: float  # stated probability before these trials
    stated: float  # model probability of a yes
    true: bool  # whether the best inside is within epsilon of the best
    covered: bool  # whether the 90 % interval of the cost holds the true cost
    named: int  # trials that the first answer names as enough for half of such questions; 0 without one
    promised: float  # share of simulated rounds of `MORE` trials that settle the question; NaN without one
    settled: bool  # whether the answer is settled
    seconds: float  # CPU time of the answer


class Region(NamedTuple):
    """A region of a parameter: an expression, and its levels."""

    name: str
    text: str
    levels: set[int]


def region(table: Grid, rng: np.random.Generator, without: str = "") -> Region:
    """An interval, or some choices, of a parameter that every configuration has."""
    names = [p for p in table.levels if p != without]
    # Parameters of a choice carry its name; a question about one would be about the choice as well.
    name = str(rng.choice([p for p in names if "_" not in p] or names))
    levels = table.levels[name]
    if name in table.unordered:
        count = int(rng.integers(1, max(1, len(levels) // 3) + 1))
        chosen = rng.permutation(len(levels))[:count]
        return Region(name, f"{name} in {[str(levels[i]) for i in chosen]}", set(map(int, chosen)))
    count = int(rng.integers(2, max(2, len(levels) // 3) + 1))
    low = int(rng.integers(0, len(levels) - count + 1))
    return Region(name, f"{low} <= {name} <= {low + count - 1}", set(range(low, low + count)))


def best_of(table: Grid, box: Box) -> float:
    """The best mean in a box."""
    levels = [np.array(sorted(box.get(p, set(range(len(v)))))) for p, v in table.levels.items()]
    if not all(map(len, levels)):
        return -math.inf
    if isinstance(table, Synthetic):
        return float(table.truth.reshape(table.shape)[np.ix_(*levels)].max())
    assert isinstance(table, Searched)
    return climbed(table.expected, levels, STARTS, KEPT)


class Question(NamedTuple):
    """A question: regions of different parameters that hold together, and a condition."""

    regions: tuple[Region, ...]
    given: Region | None

    @property
    def text(self) -> str:
        return " and ".join(r.text for r in self.regions)

    def bests(self, table: Grid) -> tuple[float, float]:
        """The best means inside and outside."""
        box: Box = {}
        if self.given is not None:
            box[self.given.name] = self.given.levels
        outside = -math.inf
        for r in self.regions:
            rest = set(range(len(table.levels[r.name]))) - r.levels
            outside = max(outside, best_of(table, {**box, r.name: rest}))
            box[r.name] = r.levels
        return best_of(table, box), outside


def question_of(table: Grid, number: int, rng: np.random.Generator) -> Question:
    """A random question."""
    first = region(table, rng)
    if number % 5 == 3:
        return Question((first,), region(table, rng, without=first.name))
    if number % 5 == 4:
        return Question((first, region(table, rng, without=first.name)), None)
    return Question((first,), None)


def truths(
    first: int, grids: int, dimensions_alone: Sequence[int] = ()
) -> Iterator[tuple[str, Callable[[], Grid]]]:
    """Names and makers of the truths."""
    for number in range(first, first + grids):
        for dimensions in dimensions_alone:
            name = f"{dimensions}-{number}"
            yield f"functions {name}", lambda name=name: random_function(name)
        if dimensions_alone:
            continue
        for kind in KINDS:
            yield f"{kind} {number}", lambda kind=kind, number=number: synthetic(kind, number)
        for dimensions in DIMENSIONS[number % 2 :: 2]:
            name = f"{dimensions}-{number}"
            yield f"functions {name}", lambda name=name: random_function(name)
        yield f"{PIPELINE} {number}", lambda number=number: pipeline(str(number))


def answers(study: str, table: Grid, evidence: str, questions: int, more: bool) -> Iterator[Asked]:
    """The answers to random questions on one round."""
    kind = study.rsplit(" ", 1)[0]
    seed = int(study.rsplit("-", 1)[-1].rsplit(" ", 1)[-1])
    rng = np.random.default_rng([seed, *study.encode()])
    if kind == FUNCTIONS and seed % 4 >= 2:
        table.noise = 0.0

    def objective(params, trial):
        return table.draw(table.cell(table.index(params)), np.random.default_rng(trial.seed))

    tree = refine.Tree("questions", store="sqlite://")
    even = int(evidence.split(",")[0])
    root = tree.add_round(table.space, objective, n=even, seed=seed, name=study)
    root.run(machine=QUIET)
    if evidence == EXPLOIT:
        root.branch(root.space, n=even, exploit=0.8, seed=seed).run(machine=QUIET)
    start_rounds = len(tree.rounds)
    tree.ask(region(table, np.random.default_rng(0)).text)  # the first answer fits the posterior
    settled = 0
    for number in range(questions):
        question = question_of(table, number, rng)
        bests = question.bests(table)
        given = question.given.text if question.given else None
        start = time.process_time()
        answer = tree.ask(question.text, given=given)
        seconds = time.process_time() - start

        def asked(later: Answer, stage: str) -> Asked:
            cost = bests[1] - bests[0]  # noqa: B023
            return Asked(
                study=study,
                kind=kind,
                noisy=table.noise > 0,
                evidence=evidence,
                stage=stage,
                before=answer.probability,  # noqa: B023
                stated=later.probability,
                true=bool(cost <= later.epsilon + 1e-9),
                covered=bool(later.cost_low - 1e-9 <= cost <= later.cost_high + 1e-9),
                named=0 if answer.obstacle else answer.needed,  # noqa: B023
                promised=answer.outlook.get(MORE, math.nan),  # noqa: B023
                settled=later.settled,
                seconds=seconds,  # noqa: B023
            )

        yield asked(answer, ASKED)
        if evidence != str(SETTLED_AT) or not np.isfinite(answer.probability):
            continue
        if settled == SETTLED_QUESTIONS or not OPEN[0] < answer.probability < OPEN[1]:
            continue
        settled += 1
        stages = [SETTLED]
        if more:
            stages.append(EVEN)
        if more and not answer.obstacle:
            stages.append(NAMED)
        for stage in stages:
            if stage == EVEN:
                root.branch(root.space, n=MORE, seed=1000 + number).run(machine=QUIET)
            else:
                n = answer.needed if stage == NAMED else MORE
                # in a child, which is then deleted
                given = provided("round.settling")(root, answer, n)
                root.branch(root.space, n=len(given), given=given).run(machine=QUIET)
            yield asked(answer.again(), stage)
            for child in tree.rounds[start_rounds:]:
                tree.delete(child, note="the next question starts from the same trials")


def auc(stated: np.ndarray, true: np.ndarray) -> float:
    """Probability that a true yes is stated higher than a true no."""
    yes, no = stated[true], stated[~true]
    if not (len(yes) and len(no)):
        return math.nan
    return float((yes[:, None] > no).mean() + 0.5 * (yes[:, None] == no).mean())


def known_rows(rows: Sequence[Asked]) -> list[Asked]:
    """Answers with a stated probability."""
    return [row for row in rows if np.isfinite(row.stated)]


def brier(rows: Sequence[Asked]) -> float:
    """The Brier score of the stated probabilities."""
    return float(np.mean([(row.stated - row.true) ** 2 for row in rows]))


def interval(rows: Sequence[Asked]) -> str:
    """The 95 % bootstrap interval of the Brier score; studies are resampled, not questions."""
    by_study: dict[str, list[float]] = {}
    for row in rows:
        by_study.setdefault(row.study, []).append((row.stated - row.true) ** 2)
    sums = np.array([(sum(scores), len(scores)) for scores in by_study.values()])
    drawn = np.random.default_rng(0).integers(0, len(sums), (RESAMPLED, len(sums)))
    totals = sums[drawn].sum(axis=1)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])
    return f"{low:.3f} to {high:.3f}"


HEAD = ("questions", "yes", "Brier score", "95 % interval", "constant", "AUC", "cost covered (90 %)")


def summary(rows: Sequence[Asked]) -> list[str]:
    """Questions, share of yes, Brier score with its interval, that of a constant, AUC, coverage."""
    rows = known_rows(rows)
    if not rows:
        return ["0"] + ["-"] * (len(HEAD) - 1)
    stated = np.array([row.stated for row in rows])
    true = np.array([row.true for row in rows])
    return [
        str(len(rows)),
        f"{true.mean():.2f}",
        f"{brier(rows):.3f}",
        interval(rows),
        f"{true.mean() * (1 - true.mean()):.3f}",
        f"{auc(stated, true):.2f}",
        f"{np.mean([row.covered for row in rows]):.2f}",
    ]


def by_step(rows: Sequence[Asked]) -> str:
    """Stated and counted chances of the opposite of the likelier answer, by printed step."""
    body = []
    lows = [0.0, *[step[0] for step in CHANCE_STEPS[:-1]]]
    for trials in ("even", "exploit"):
        of_trials = [r for r in known_rows(rows) if (r.evidence == EXPLOIT) == (trials == "exploit")]
        for low, high in zip(lows, [step[0] for step in CHANCE_STEPS], strict=True):
            wrong = [
                (min(r.stated, 1 - r.stated), r.true != (r.stated >= 0.5))
                for r in of_trials
                if low <= min(r.stated, 1 - r.stated) < high
            ]
            if wrong:
                stated, counted = np.mean(wrong, axis=0)
                body.append([trials, chance_cell(low), str(len(wrong)), f"{stated:.3f}", f"{counted:.3f}"])
    head = ["trials", "printed chance of the opposite", "questions", "stated", "counted"]
    return markdown(head, body, texts=2)


def of_settling(rows: Sequence[Asked]) -> str:
    """Scores of open questions before and after further trials."""
    settled = {(r.study, r.before) for r in rows if r.stage == SETTLED}
    body = []
    for stage in (ASKED, SETTLED, EVEN):
        part = [r for r in rows if r.stage == stage and (r.study, r.before) in settled]
        part = [r for r in part if r.evidence == str(SETTLED_AT)]
        name = f"{SETTLED_AT} trials" if stage == ASKED else stage
        if part:
            body.append([name, *summary(part)])
    return markdown(["open questions", *HEAD], body)


def of_promises(rows: Sequence[Asked]) -> str:
    """Open questions that a round settled, next to the share that the answer states."""
    body = []
    tried = [r for r in rows if r.stage == SETTLED]
    for low, high in pairwise((0.0, 0.15, 0.42, 1.01)):
        part = [r for r in tried if low <= r.promised < high]
        if part:
            counts = f"{np.mean([r.promised for r in part]):.2f}", f"{np.mean([r.settled for r in part]):.2f}"
            right = sum(r.settled and r.true == (r.stated >= 0.5) for r in part)
            body.append([f"{low:g} to {min(high, 1):g}", str(len(part)), *counts, str(right)])
    head = ["stated share settled by 12 trials", "questions", "mean stated", "settled", "settled rightly"]
    of_named = [r for r in rows if r.stage == NAMED]
    text = ""
    if of_named:
        settled = np.mean([r.settled for r in of_named])
        text = (
            f"\n\n- Named numbers of trials settled {settled:.2f} of {len(of_named)} questions (wanted: 0.5)."
        )
    return markdown(head, body) + text


def main() -> None:
    options = parser(__doc__, first=10, grids=5, questions=5)
    options.add_argument("--evidence", nargs="*", default=[str(SETTLED_AT), EXPLOIT])
    options.add_argument("--dimensions", nargs="*", type=int, default=[])
    options.add_argument("--more", action="store_true", help="run even and named numbers of trials too")
    options.add_argument("--write", action="store_true", help="put the tables into the page")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    rows: list[Asked] = []
    for study, make in truths(given.first, given.grids, given.dimensions):
        for evidence in given.evidence:
            rows += answers(study, make(), evidence, given.questions, given.more)
        print(f"{study}: {len(rows)} answers", flush=True)
    print()
    text = report(rows)
    print(text)
    plain = [row.seconds for row in rows if row.stage == ASKED]
    print(f"CPU time of an answer after the first: {np.median(plain):.2f} s, at most {max(plain):.2f} s")
    if given.write:
        page = DOCS / "benchmarks" / "proposals.md"
        embed(page, "questions", text, "python benchmarks/questions.py --write", whole=True)


def report(rows: Sequence[Asked]) -> str:
    """All tables."""
    plain = [row for row in rows if row.stage == ASKED]
    of_size = [row for row in plain if row.evidence == str(SETTLED_AT)]
    parts: list[tuple[str, list[Asked]]] = [
        (f"{name} trials", [r for r in plain if r.evidence == name]) for name in (*map(str, SIZES), EXPLOIT)
    ]
    parts += [
        (f"{SETTLED_AT} trials, {kind}", [r for r in of_size if r.kind == kind])
        for kind in dict.fromkeys(r.kind for r in plain)
    ]
    parts.append((f"{SETTLED_AT} trials, noise", [r for r in of_size if r.noisy]))
    parts.append((f"{SETTLED_AT} trials, no noise", [r for r in of_size if not r.noisy]))
    body = [[name, *summary(part)] for name, part in parts if part]
    tables = [markdown(["evidence", *HEAD], body), by_step(plain)]
    if any(row.stage == SETTLED for row in rows):
        tables += [of_settling(rows), of_promises(rows)]
    return "\n\n".join(tables)


if __name__ == "__main__":
    main()
