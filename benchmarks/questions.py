"""Random questions about parts of a space, answered by `tree.ask`, next to a constant answer.

    python benchmarks/questions.py
    python benchmarks/questions.py --seeds 3 --questions 12

The truths are the synthetic grids: 4 kinds of surfaces in 4 to 8 parameters, with noise of 3 or 10 % of (best - median). A question
is an interval of 2 levels to a third of the levels of an ordered parameter, or up to a third of the choices of an unordered one; every
fourth question is asked within a choice or an interval of another parameter. The right answer is known: yes if the best cell inside is
within the printed epsilon of the best cell. Rounds have 30, 60 and 100 even trials. With 60 trials some questions are settled by a
round of 12 trials, or within 12 trials in batches of six, and asked again; next to them the same number of further even trials.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from synthetic import COUNT, KINDS, Synthetic, synthetic
from tables import markdown, parser

import refine
from refine.proposal.question import condition_in
from refine.utils.format import CHANCE_STEPS, chance_cell

SIZES = (30, 60, 100)
SETTLED_AT = 60
MORE = 12
ASKED = "asked"
SETTLED = "settled in one round"
WITHIN = "settled in batches"
EVEN = "even"
LATER = (SETTLED, WITHIN, EVEN)


class Asked(NamedTuple):
    """A question with its stated probability and the truth."""

    kind: str  # kind of surface
    n: int  # even trials
    stage: str  # `ASKED`, or after 12 further trials, see `LATER`
    stated: float  # model probability of a yes
    true: bool  # whether the best inside is within epsilon of the best
    covered: bool  # whether the 90 % interval of the cost holds the true cost
    needed: int  # trials that the answer names to settle the question; 0 if nothing is open
    settled: bool  # whether the answer is settled
    seconds: float  # time of the answer


def region(table: Synthetic, rng: np.random.Generator, without: str = "") -> tuple[str, str]:
    """A parameter, and an expression of an interval or of choices."""
    name = str(rng.choice([p for p in table.levels if p != without]))
    levels = table.levels[name]
    if name in table.unordered:
        count = int(rng.integers(1, max(1, len(levels) // 3) + 1))
        return name, f"{name} in {[str(v) for v in rng.permutation(levels)[:count]]}"
    count = int(rng.integers(2, max(2, len(levels) // 3) + 1))
    low = int(rng.integers(0, len(levels) - count + 1))
    return name, f"{low} <= {name} <= {low + count - 1}"


def answers(table: Synthetic, n: int, seed: int, questions: int, settled: int) -> Iterator[Asked]:
    """The answers to random questions on one round."""
    rng = np.random.default_rng([seed, n, list(KINDS).index(table.family), int(table.name)])

    def objective(params, trial):
        return table.draw(table.cell(table.index(params)), np.random.default_rng(trial.seed))

    cells = np.stack(np.unravel_index(np.arange(table.truth.size), table.shape), axis=1)
    frame = {name: values[cells[:, j]] for j, (name, values) in enumerate(table.grids.items())}

    def truth(answer: refine.tree.asking.Answer) -> tuple[bool, bool]:
        inside = condition_in(table.space, answer.question)(frame)
        within = np.ones(len(inside), dtype=bool)
        if answer.given is not None:
            within = condition_in(table.space, answer.given)(frame)
        best_inside = table.truth[inside & within].max()
        cost = table.truth[within & ~inside].max() - best_inside
        covered = answer.cost_low - 1e-9 <= cost <= answer.cost_high + 1e-9
        return bool(cost <= answer.epsilon + 1e-9), bool(covered)

    def asked(answer: refine.tree.asking.Answer, stage: str, seconds: float) -> Asked:
        settled_now = answer.needed, answer.settled
        return Asked(table.family, n, stage, answer.probability, *truth(answer), *settled_now, seconds)

    tree = refine.Tree("questions", store="sqlite://")
    root = tree.add_round(table.space, objective, n=n, seed=seed).run(progress=False)
    tree.ask(region(table, np.random.default_rng(0))[1])  # the first answer fits the posterior
    for number in range(questions):
        name, question = region(table, rng)
        given = region(table, rng, without=name)[1] if number % 4 == 3 else None
        start = time.perf_counter()
        answer = tree.ask(question, given=given)
        yield asked(answer, ASKED, time.perf_counter() - start)
        if number >= settled or not np.isfinite(answer.probability):
            continue
        for stage in LATER:
            if stage == WITHIN:
                later = answer.settle_within(MORE, progress=False)
            elif stage == SETTLED:
                answer.settle(n=MORE).run(progress=False)
                later = answer.again()
            else:
                root.branch(root.space, n=MORE, seed=1000 + number).run(progress=False)
                later = answer.again()
            yield asked(later, stage, np.nan)
            for child in tree.rounds[1:]:
                tree.delete_round(child, note="the next question starts from the same trials")


def auc(stated: np.ndarray, true: np.ndarray) -> float:
    """Probability that a true yes is stated higher than a true no."""
    yes, no = stated[true], stated[~true]
    if not (len(yes) and len(no)):
        return np.nan
    return float((yes[:, None] > no).mean() + 0.5 * (yes[:, None] == no).mean())


def summary(rows: list[Asked]) -> list[str]:
    """Questions, share of yes, Brier score, that of a constant, AUC, coverage."""
    stated = np.array([row.stated for row in rows])
    true = np.array([row.true for row in rows])
    known = np.isfinite(stated)
    stated, true = stated[known], true[known]
    covered = np.mean([row.covered for row in rows])
    brier = np.mean((stated - true) ** 2)
    constant = true.mean() * (1 - true.mean())
    return [
        str(len(rows)),
        str(int((~known).sum())),
        f"{true.mean():.2f}",
        f"{brier:.3f}",
        f"{constant:.3f}",
        f"{auc(stated, true):.2f}",
        f"{covered:.2f}",
    ]


def named(rows: list[Asked]) -> list[list[str]]:
    """Per number of trials that answers name: how many questions `MORE` trials settled, and how many rightly."""
    later: dict[int, list[Asked]] = {}
    for before, after in pairwise(rows):
        if before.stage == ASKED and before.needed and after.stage == SETTLED:
            later.setdefault(before.needed, []).append(after)
    table = []
    for needed, answers in sorted(later.items()):
        settled = [a for a in answers if a.settled]
        right = sum(a.true == (a.stated >= 0.5) for a in settled)
        table.append([str(needed), str(len(answers)), str(len(settled)), str(right)])
    return table


def decomposed(rows: list[Asked]) -> list[str]:
    """Brier score, and the part of it that a recalibration by the printed steps would remove."""
    known = [row for row in rows if np.isfinite(row.stated)]
    stated = np.array([row.stated for row in known])
    true = np.array([row.true for row in known])
    ends = [step[0] for step in CHANCE_STEPS[:-1]]
    step = np.searchsorted([*ends, *(1 - np.array(ends[::-1]))], stated)
    off = [
        np.sum(step == k) * (stated[step == k].mean() - true[step == k].mean()) ** 2 for k in np.unique(step)
    ]
    return [str(len(known)), f"{np.mean((stated - true) ** 2):.3f}", f"{np.sum(off) / len(known):.3f}"]


def main() -> None:
    given = parser(__doc__, seeds=1, grids=COUNT, questions=8, settled=1).parse_args()
    warnings.simplefilter("ignore")
    rows: list[Asked] = []
    for kind in KINDS:
        for number in range(given.grids):
            for n in SIZES:
                for seed in range(given.seeds):
                    settled = given.settled if n == SETTLED_AT else 0
                    rows += answers(synthetic(kind, number), n, seed, given.questions, settled)
        print(f"{kind}: done", flush=True)
    head = ["trials", "questions", "unknown", "yes", "Brier", "constant", "AUC", "cost covered (90 %)"]
    plain = [row for row in rows if row.stage == ASKED]
    print(markdown(head, [[str(n), *summary([r for r in plain if r.n == n])] for n in SIZES]))
    print(markdown(["kind", *head[1:]], [[k, *summary([r for r in plain if r.kind == k])] for k in KINDS]))
    print(
        markdown(["kind", "questions", "Brier", "of it by wrong calibration"], [["all", *decomposed(plain)]])
    )
    body = []
    for low, high in zip(
        [0.0, *[step[0] for step in CHANCE_STEPS[:-1]]], [s[0] for s in CHANCE_STEPS], strict=True
    ):
        # Either answer: the stated chance of being wrong, as it is printed.
        wrong = [
            (min(r.stated, 1 - r.stated), r.true != (r.stated >= 0.5)) for r in plain if np.isfinite(r.stated)
        ]
        step = [(s, w) for s, w in wrong if low <= s < high]
        if step:
            stated, counted = np.mean(step, axis=0)
            body.append([chance_cell(low), str(len(step)), f"{stated:.3f}", f"{counted:.3f}"])
    print(markdown(["printed chance of the opposite", "questions", "stated", "counted"], body))
    few = [r for r in rows if r.n == SETTLED_AT and r.stage != ASKED]
    if few:
        before = [
            r
            for i, r in enumerate(rows)
            if r.stage == ASKED and i + 1 < len(rows) and rows[i + 1].stage == SETTLED
        ]
        groups = [("60 trials", before)]
        groups += [(f"{MORE} more, {stage}", [r for r in few if r.stage == stage]) for stage in LATER]
        print(markdown(["evidence", *head[1:]], [[name, *summary(group)] for name, group in groups]))
        head = ["trials named by the answer", "questions", f"settled after {MORE}", "rightly"]
        print(markdown(head, named(rows), texts=0))
    print(f"median time of an answer after the first: {np.median([r.seconds for r in plain]):.2f} s")


if __name__ == "__main__":
    main()
