"""The statistics floor: numbers in, small documented tuples out.

Every statistic is a frozen dataclass with its options in fields and the data in the call:
`Spearman(confidence=0.95)(x, y) -> Correlation`. Higher values are better everywhere; the caller
flips the sign for metrics to be minimised. Nothing here formats, draws, reads or writes, and
importing it costs numpy only.
"""

from __future__ import annotations

from refine.stats._common import top_mask
from refine.stats.additive import AdditiveTest
from refine.stats.ahead import Batch, NextRound, RoundsAhead, RunsAgain, conditioned
from refine.stats.association import Association, KruskalWallis, Level, LevelSummary
from refine.stats.axis import Axis
from refine.stats.bootstrap import Corrected, ExampleBootstrap, paired_error
from refine.stats.box_path import Frontier, RiskBox, RiskPath, untried
from refine.stats.budget import expected_best
from refine.stats.combination import cauchy_p, distinct, joined, looks_spent, stage_of
from refine.stats.components import Components, VarianceComponents
from refine.stats.constrained import constrained
from refine.stats.correlation import Correlation, Spearman, benjamini_hochberg
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
from refine.stats.importance import Detection, Importance, PedAnova, permutations_needed
from refine.stats.interaction import Interactions, Pair
from refine.stats.optimism import FreshBest, FreshSeeds, Inflation, Optimism
from refine.stats.outlook import ChildOutlook, Outlook
from refine.stats.pareto import Front, front_of, hypervolume, non_dominated
from refine.stats.population import Compare, Comparison, Curve, Edf
from refine.stats.posterior import MixedPosterior, Posterior
from refine.stats.power import Power
from refine.stats.prior import PriorEvidence
from refine.stats.race import KnowledgeGradient, NextRuns
from refine.stats.rescore import scorer
from refine.stats.resolution import (
    LeftOver,
    Repeats,
    Resolution,
    TopNoise,
    floor_of,
    fold_error,
    left_over,
    repeats,
    smallest_step,
    within_groups,
)

__all__ = [
    "AdditiveTest",
    "Association",
    "Axis",
    "Batch",
    "Boundary",
    "BoundedDensity",
    "BoundedDensity2D",
    "ChildOutlook",
    "Compare",
    "Comparison",
    "Components",
    "Corrected",
    "Correlation",
    "Curve",
    "CurveCheck",
    "CurveFlags",
    "DensityRatio",
    "Detection",
    "Edf",
    "Edge",
    "ExampleBootstrap",
    "Flag",
    "FreshBest",
    "FreshSeeds",
    "Front",
    "Frontier",
    "Importance",
    "Inflation",
    "Interactions",
    "Interval",
    "KnowledgeGradient",
    "KruskalWallis",
    "LeftOver",
    "Level",
    "LevelRates",
    "LevelSummary",
    "MixedPosterior",
    "NextRound",
    "NextRuns",
    "Optimism",
    "Outlook",
    "Pair",
    "PedAnova",
    "Posterior",
    "Power",
    "PriorEvidence",
    "Rate",
    "RateTrend",
    "Ratio",
    "Repeats",
    "Resolution",
    "RiskBox",
    "RiskPath",
    "RoundsAhead",
    "RunsAgain",
    "Spearman",
    "TopNoise",
    "Trend",
    "VarianceComponents",
    "benjamini_hochberg",
    "cauchy_p",
    "conditioned",
    "constrained",
    "distinct",
    "expected_best",
    "floor_of",
    "fold_error",
    "front_of",
    "good_trials_to_judge",
    "hit_probability",
    "hit_share",
    "hypervolume",
    "joined",
    "left_over",
    "looks_spent",
    "non_dominated",
    "paired_error",
    "permutations_needed",
    "repeats",
    "scorer",
    "scott_bandwidth",
    "smallest_step",
    "stage_of",
    "top_mask",
    "untried",
    "wilson",
    "within_groups",
]
