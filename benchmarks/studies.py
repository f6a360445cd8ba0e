"""Whole studies with a known truth: the claims that a person reads at each stage, and their losses.

A study runs a round of 16 to 60 even trials and proposes. Then the person edits the proposal, accepts it and
runs a second round, runs one to three own configurations near the best or far from it, and runs learning
trials. Every proposal is judged by the truth.
"""

from __future__ import annotations

import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from surrogates import Searched, Surrogate, Wall, climbed, random_function, surrogate

import refine
from refine.errors import RefineError
from refine.space.edits import narrowed

QUIET = refine.Machine(progress=False)

SIZES = (16, 24, 32, 40, 60)
"""Even trials of a first round."""
LEARNING = 12
"""Trials of a round that learns."""
NEXT_TO_A_WALL = (12, 10)
"""Even and exploit trials of a study next to a wall."""
NOISES = (0.04, 0.1)
"""Standard deviations of the noise, as shares of best - median."""
EDITED = 0.4
"""Edits with a larger stated chance of a loss are not counted: a person who reads so does not make them."""

FAMILIES = {
    "developed": ("hpob_ranger", "hpob_svm", "xgboost_salinas", "openml_adaboost"),
    "judged": ("hpob_rpart", "openml_rf", "ppo_brax"),
}
"""Families of tables that the method was developed on, and others that judge it."""
KINDS = {"developed": ("mixed", "trees", "process"), "judged": ("mixed", "trees", "process", "network")}
FUNCTIONS = (3, 4, 5, 7)
"""Parameters of the random functions."""
FIRST = {"developed": 0, "judged": 10}
"""Number of the first random function and of the first conditional truth."""

LEVELS = 10  # levels of an ordered parameter of a conditional truth
OWN = (3, 2, 1)  # parameters of each model of a conditional truth
SHARED = 2  # parameters of all of its models
SAMPLED = 20_000  # cells behind the size of a region
FEATURES = 500  # waves of its functions
STARTS, CLIMBING = 800, 15  # cells that a search for the best begins with, and cells that it goes on with


class Claimed(NamedTuple):
    """A proposal at a stage of a study."""

    truth: str  # kind of truth
    stage: str
    stated: float  # stated chance of a loss of more than epsilon
    lost: bool
    kept: float  # share of the space; 1 if nothing is cut
    epsilon: float  # tolerance over best - median
    noise: float  # estimated over true noise
    blind: bool  # lost, and the better region is smaller than the stated blind spot


class Half(NamedTuple):
    """A claim about a space of which one parameter has half of its levels."""

    detected: bool  # whether the round shows an effect of the parameter
    drawn: float  # share of draws that lose more than epsilon
    stated: float  # stated chance of that loss
    lost: bool


class Truth(ABC):
    """A space with the mean of every configuration."""

    kind: str
    space: refine.Space
    best: float
    median: float

    @abstractmethod
    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(n,) means of (n, parameters) level numbers."""

    @abstractmethod
    def cells(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, parameters) random level numbers."""

    @abstractmethod
    def configuration(self, row: np.ndarray) -> dict[str, Any]:
        """The configuration of (parameters,) level numbers."""

    @abstractmethod
    def mean(self, configuration: dict[str, Any]) -> float:
        """The mean of a configuration."""

    @abstractmethod
    def best_in(self, space: refine.Space) -> float:
        """The best mean in a part of the space."""


class Ordinary(Truth):
    """A random function, or a model of a table of trainings."""

    def __init__(self, grid: Searched) -> None:
        self.grid = grid
        self.kind = grid.family
        self.space = grid.space
        self.best = grid.best
        self.median = grid.median

    def expected(self, rows: np.ndarray) -> np.ndarray:
        if not isinstance(self.grid, Surrogate):
            return self.grid.expected(rows)
        X = self.grid.encoded(rows)
        return np.mean([predicted(model, X) for model in self.grid.models], axis=0)

    def cells(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(0, self.grid.shape, (count, len(self.grid.shape)))

    def configuration(self, row: np.ndarray) -> dict[str, Any]:
        return {
            name: values[level].item()
            for (name, values), level in zip(self.grid.grids.items(), row, strict=True)
        }

    def mean(self, configuration: dict[str, Any]) -> float:
        return float(self.expected(np.array([self.grid.index(configuration)]))[0])

    def best_in(self, space: refine.Space) -> float:
        levels = [np.flatnonzero(space[name].contains(values)) for name, values in self.grid.grids.items()]
        return climbed(self.expected, levels, STARTS, CLIMBING)


class Conditional(Truth):
    """A choice of three models that share two parameters and have one to three parameters of their own."""

    kind = "conditional"

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng([7, number])
        self.models = [f"m{model}" for model in range(len(OWN))]
        shared = [f"shared_{k}" for k in range(SHARED)]
        own = [[f"{model}_{k}" for k in range(count)] for model, count in zip(self.models, OWN, strict=True)]
        parameters: dict[str, Any] = {"model": self.models, **{name: list(range(LEVELS)) for name in shared}}
        for model, names in zip(self.models, own, strict=True):
            when = f"model == '{model}'"
            parameters |= {name: refine.Categorical(list(range(LEVELS)), when=when) for name in names}
        self.space = refine.Space(parameters)
        self.names = list(parameters)
        self.read = [[self.names.index(name) for name in (*shared, *names)] for names in own]
        self.functions = [self.wave(len(columns), rng) for columns in self.read]
        values = self.expected(self.cells(20_000, np.random.default_rng(0)))
        self.median = float(np.median(values))
        self.best = self.best_in(self.space)

    def wave(
        self, dimensions: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Waves, phases, weights and level of a smooth random function."""
        lengths = np.exp(rng.normal(np.log(0.35 * np.sqrt(dimensions)), 0.7, dimensions))
        waves = rng.standard_normal((dimensions, FEATURES)) * np.sqrt(5 / rng.chisquare(5, FEATURES))
        phases = rng.uniform(0, 2 * np.pi, FEATURES)
        weights = rng.standard_normal(FEATURES) * np.sqrt(2 / FEATURES)
        return waves / lengths[:, None] / (LEVELS - 1), phases, weights, rng.normal(0, 0.7)

    def expected(self, rows: np.ndarray) -> np.ndarray:
        values = np.zeros(len(rows))
        for model, (waves, phases, weights, level) in enumerate(self.functions):
            chosen = rows[:, 0] == model
            values[chosen] = np.cos(rows[chosen][:, self.read[model]] @ waves + phases) @ weights + level
        return values

    def cells(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(
            0, [len(self.models), *[LEVELS] * (len(self.names) - 1)], (count, len(self.names))
        )

    def configuration(self, row: np.ndarray) -> dict[str, Any]:
        model = int(row[0])
        return {"model": self.models[model], **{self.names[j]: int(row[j]) for j in self.read[model]}}

    def mean(self, configuration: dict[str, Any]) -> float:
        model = self.models.index(configuration["model"])
        row = np.zeros(len(self.names), dtype=np.int64)
        row[0] = model
        row[self.read[model]] = [configuration[self.names[j]] for j in self.read[model]]
        return float(self.expected(row[None, :])[0])

    def best_in(self, space: refine.Space) -> float:
        best = -np.inf
        for model, columns in enumerate(self.read):
            if not space["model"].contains(np.array([self.models[model]]))[0]:
                continue
            levels = [np.array([model]), *[np.array([0])] * (len(self.names) - 1)]
            for j in columns:
                levels[j] = np.flatnonzero(space[self.names[j]].contains(np.arange(LEVELS)))
            if all(map(len, levels)):
                best = max(best, climbed(self.expected, levels, STARTS, CLIMBING))
        return best


def predicted(model: Any, X: np.ndarray) -> np.ndarray:
    """The prediction of a model; tree by tree for a forest, whose own call costs more than a few rows."""
    if not isinstance(model, ExtraTreesRegressor):
        return model.predict(X)
    single = X.astype(np.float32)
    return np.mean([tree.tree_.predict(single)[:, 0] for tree in model.estimators_], axis=0)


def truth_names(part: str, tables: Path | None) -> list[str]:
    """Names of the truths of a part of `FAMILIES`; without tables only those that need none."""
    first = FIRST[part]
    made = [f"conditional:{first + k}" for k in range(len(FUNCTIONS))]
    made += [f"functions:{dimensions}-{first + k}" for k, dimensions in enumerate(FUNCTIONS)]
    if tables is None:
        return made
    for i, family in enumerate(FAMILIES[part]):
        tasks = sorted(path.stem for path in (tables / family).glob("*.parquet"))
        kinds = enumerate(KINDS[part])
        made += [f"{kind}:{family}.{tasks[(5 * i + 2 * j + 1) % len(tasks)]}" for j, kind in kinds]
    return made


@lru_cache(maxsize=4)
def truth_named(name: str, tables: Path | None) -> Truth:
    """A truth by its name, such as ``mixed:openml_rf.task14``, ``functions:7-0``, ``wall:7-0`` or ``conditional:2``."""
    kind, rest = name.split(":", 1)
    if kind == "conditional":
        return Conditional(int(rest))
    if kind == "wall":
        return Ordinary(Wall(rest))
    if kind == "functions":
        return Ordinary(random_function(rest))
    assert tables is not None
    return Ordinary(surrogate(tables, kind, rest))


class Study:
    """A study on one truth: rounds, and their claims judged."""

    def __init__(self, name: str, seed: int, tables: Path | None) -> None:
        self.truth = truth_named(name, tables)
        self.seed = seed
        self.scale = self.truth.best - self.truth.median
        number = seed + zlib.crc32(name.encode())
        self.n = SIZES[number % len(SIZES)]
        self.noise = NOISES[number // len(SIZES) % len(NOISES)]
        self.declared = None if number % 2 == 0 else "retraining"
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode())])

    def objective(self, params: dict[str, Any], trial: refine.Trial) -> float:
        """The mean plus normal noise."""
        chance = np.random.default_rng(trial.seed).normal()
        return self.truth.mean(params) + self.noise * self.scale * chance

    def halves(self) -> Iterator[Half]:
        """Claims after the first round about both halves of every parameter."""
        with warnings.catch_warnings(), refine.Tree("study", store="sqlite://") as tree:
            warnings.simplefilter("ignore")
            root = tree.add_round(
                self.truth.space, self.objective, n=self.n, seed=self.seed, name="truth", noise=self.declared
            )
            proposal = self.run(root).propose().proposal
        yield from self.halved(proposal)

    def falls(self) -> Iterator[Half]:
        """The same claims after even and exploit trials next to a steep fall; none without a steep fall."""
        even, exploit = NEXT_TO_A_WALL
        with warnings.catch_warnings(), refine.Tree("study", store="sqlite://") as tree:
            warnings.simplefilter("ignore")
            root = tree.add_round(
                self.truth.space, self.objective, n=even, seed=self.seed, name="truth", noise=self.declared
            )
            child = self.run(root).branch(root.space, n=exploit, exploit=1.0)
            proposal = self.run(child).propose().proposal
        if proposal._proposer.steep:
            yield from self.halved(proposal)

    def halved(self, proposal: refine.Proposal) -> Iterator[Half]:
        """Claims about both halves of every parameter of a proposal."""
        space, epsilon = proposal.old, proposal.claim.epsilon
        best = self.truth.best_in(space)
        for name in space.varied:
            half = max(1, space[name].size // 2)
            for levels in (range(half), range(space[name].size - half, space[name].size)):
                cut = space.replace({name: narrowed(space[name], levels)})
                lost = best - self.truth.best_in(cut) > epsilon + 1e-9 * self.scale
                drawn = proposal._surrogate.probability(cut, epsilon)
                detected = name not in proposal._proposer.undetected
                yield Half(detected, 1 - drawn, 1 - proposal.probability_of(cut), bool(lost))

    def claims(self) -> Iterator[Claimed]:
        """The claims of the study, in the order of its stages."""
        with warnings.catch_warnings(), refine.Tree("study", store="sqlite://") as tree:
            warnings.simplefilter("ignore")
            root = tree.add_round(
                self.truth.space, self.objective, n=self.n, seed=self.seed, name="truth", noise=self.declared
            )
            review = self.run(root).propose()
            yield self.judged(f"even, {self.n} trials", review)
            edited = self.edited(review)
            if 1 - edited.claim.probability < EDITED:
                yield self.judged("edited", edited)
            second = self.run(review.accept(n=20, exploit=0.3))
            yield from self.proposed("second round", second)
            if review.space != root.space:  # a round on the same space is tested with the even trials
                alone = self.run(root.branch(review.space, n=LEARNING, exploit=1.0))
                yield from self.proposed("second round, learning alone", alone)
            near = self.rng.random() < 0.5
            given = self.given(int(self.rng.integers(1, 4)), near)
            third = self.run(root.branch(root.space, n=len(given), given=given))
            yield from self.proposed("given near the best" if near else "given far from the best", third)
            fourth = self.run(third.branch(root.space, n=LEARNING, exploit=1.0))
            yield from self.proposed("learning", fourth)

    def run(self, round_: refine.Round) -> refine.Round:
        """The round after its trials."""
        return round_.run(machine=QUIET)

    def proposed(self, stage: str, round_: refine.Round) -> Iterator[Claimed]:
        """The claim of a round; none if refine proposes nothing because too little is known."""
        try:
            review = round_.propose()
        except RefineError:
            return
        yield self.judged(stage, review)

    def edited(self, review: refine.Review) -> refine.Review:
        """The review with half of the levels of a random parameter."""
        names = list(review.proposal.old.varied)
        name = names[self.rng.integers(len(names))]
        levels = list(review.proposal.old[name].grid)
        half = max(1, len(levels) // 2)
        if self.rng.random() < 0.5:
            return review.edit({name: levels[:half]})
        return review.edit({name: levels[-half:]})

    def given(self, count: int, near: bool) -> list[dict[str, Any]]:
        """Configurations among the best of 3,000, or anywhere in the worse half."""
        rows = self.truth.cells(3000, self.rng)
        order = np.argsort(-self.truth.expected(rows), kind="stable")
        if not near:
            order = self.rng.permutation(order[len(order) // 2 :])
        return [self.truth.configuration(row) for row in rows[order[:count]]]

    def judged(self, stage: str, review: refine.Review) -> Claimed:
        """The claim of a review, edits included, judged by the truth."""
        old, claim = review.proposal.old, review.claim
        loss = 0.0
        if review.space != old:
            loss = self.truth.best_in(old) - self.truth.best_in(review.space)
        noise = review.analysis.noise.sd / (self.noise * self.scale)
        lost = bool(loss > claim.epsilon + 1e-9 * self.scale)
        blind = False
        if lost:
            better = self.truth.best_in(review.space) + claim.epsilon
            cells = self.truth.cells(SAMPLED, np.random.default_rng(0))
            blind = bool(np.mean(self.truth.expected(cells) > better) < claim.scope)
        return Claimed(
            self.truth.kind,
            stage,
            1 - claim.probability,
            lost,
            old.volume_kept(review.space),
            claim.epsilon / self.scale,
            float(noise),
            blind,
        )
