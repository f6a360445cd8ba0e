"""The statistics floor: numbers in, small documented tuples out.

Every statistic is a frozen dataclass with its options in fields and the data in the call:
`Spearman(confidence=0.95)(x, y) -> Correlation`. No function here formats, draws, reads or writes, and
importing the package costs numpy only.

Unless stated otherwise: `y` is (n,) values, higher is better (the caller flips the sign of metrics to be
minimised); `x` is (n,) positions of an ordered parameter, or codes 0..k-1 of an unordered one; `X` is (n, d)
such columns, and `cardinalities` has d numbers, 0 for an ordered column and k for an unordered one.
`confidence` belongs to intervals, `resamples` are bootstrap draws, `seed` seeds all random numbers.
AnalysisError is raised if lengths or shapes differ, a value isn't finite, or a code or an option is out of
range.
"""

from __future__ import annotations

from refine.stats._common import share_of_draws, top_mask
from refine.stats.box_path import Axis, Frontier, RiskBox, RiskPath, untried
from refine.stats.correlation import (
    Association,
    Correlation,
    KruskalWallis,
    Level,
    LevelSummary,
    Power,
    Spearman,
    benjamini_hochberg,
)
from refine.stats.coverage import (
    Boundary,
    Edge,
    Interval,
    LevelRates,
    Rate,
    RateTrend,
    Trend,
    good_trials_to_judge,
    hit_probability,
    hit_share,
    wilson,
)
from refine.stats.curves import CurveCheck, CurveFlags, Flag
from refine.stats.density import BoundedDensity, BoundedDensity2D, DensityRatio, Ratio, scott_bandwidth
from refine.stats.detection import AdditiveTest, cauchy_p, distinct, joined, looks_spent, stage_of
from refine.stats.importance import Detection, Importance, PedAnova, permutations_needed
from refine.stats.interaction import Interactions, Pair
from refine.stats.optimism import (
    Components,
    Corrected,
    ExampleBootstrap,
    Inflation,
    NewSeeds,
    NewSeedsEstimate,
    Optimism,
    VarianceComponents,
    expected_best,
    paired_error,
    scorer,
)
from refine.stats.pareto import Front, draws_represented, front_of, hypervolume, non_dominated
from refine.stats.population import Compare, Comparison, Curve, Edf
from refine.stats.posterior import MixedPosterior, Posterior, PriorEvidence, constrained
from refine.stats.resolution import (
    FLOOR,
    LeaveOneOutNoise,
    NoiseEstimate,
    ReplicateAgreement,
    TopNoise,
    floor_of,
    fold_error,
    left_over,
    repeats,
    smallest_step,
    within_groups,
)
from refine.stats.simulation import (
    Batch,
    ChildForecast,
    Forecast,
    KnowledgeGradient,
    NextRound,
    NextRuns,
    RunsAgain,
    conditioned,
)
from refine.stats.split import LEAST_ROWS, deviations_at, fold_deviations, row_deviations

__all__ = sorted(
    n for n, v in [*globals().items()] if getattr(v, "__module__", "").startswith("refine.stats.")
)
