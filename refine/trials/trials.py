"""Trials: what running one configuration gave, and the table of many of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refine.errors import AnalysisError, did_you_mean
from refine.space.categorical import Categorical
from refine.space.encoding import decode, label, value_key
from refine.space.parameters import Parameter
from refine.space.space import RESERVED, Space

if TYPE_CHECKING:
    import pandas as pd

STATES = ("running", "complete", "failed", "diverged", "crashed", "timeout", "pruned")
BARE = "value"
"""What the metric of an objective that returns a number alone is called."""

FAILED = ("failed", "diverged", "crashed", "timeout")
"""States of trials that ended without a value."""

DEGENERATE = "degenerate"
"""Metric that says whether a model predicts the same for everything: 1 if so, else 0."""

ORIGINS = ("space_filling", "exploit", "audit", "adaptive", "imported")
REDUCTIONS = ("last", "max", "min")
FUNCTION = "function"

Curve = Mapping[str, Sequence[float]]
"""Metric name -> one value per epoch."""


class Examples(NamedTuple):
    """What a trial predicted for validation examples.

    Attributes:
        predictions: (n, outputs) half-precision numbers.
        targets: (n,) what is right: numbers of classes, or quantities.
        total: How many examples there are; ``n`` may be fewer.
    """

    predictions: npt.NDArray[np.float16]
    targets: npt.NDArray[np.float32]
    total: int


class Trial(NamedTuple):
    """One run of one configuration.

    Attributes:
        key: Hash of the configuration.
        configuration: Name -> canonical value (plain JSON data).
        cell: Number of the cell as decimal text, ``None`` off the grid.
        replicate: 0 for the planned run; 1, 2, ... for repetitions under other seeds.
        attempt: 0 for the first try at this replicate; more where it was run again.
        origin: One of :data:`ORIGINS`.
        seed: What the random generators were seeded with.
        state: One of :data:`STATES`.
        metrics: Metric name -> last value.
        curve: Values per epoch, empty where the objective reported none.
        seconds: Wall time.
        error: Traceback of a failed trial, else ``None``.
        code: Fingerprint of the objective's code.
        read: Names of the parameters that the objective read; ``None`` when all were.
        finished: Seconds since the epoch.
        examples: What it predicted, where the objective said so.
        shown: What it was shown of other trials, in an adaptive or pruned round; plain data.
    """

    key: str
    configuration: Mapping[str, Any]
    cell: str | None
    replicate: int
    attempt: int
    origin: str
    seed: int
    state: str
    metrics: Mapping[str, float]
    curve: Curve
    seconds: float
    error: str | None
    code: str
    read: tuple[str, ...] | None
    finished: float
    examples: Examples | None = None
    shown: Mapping[str, Any] | None = None


def is_bare_nan(metrics: Mapping[str, float]) -> bool:
    """Whether an objective returned NaN alone: that nothing came of it, whatever its metrics are called."""
    return len(metrics) == 1 and math.isnan(metrics.get(BARE, 0.0))


Score = Callable[[Mapping[str, float]], float]
"""A function of a trial's metrics whose result is the trial's value."""


class Metric(NamedTuple):
    """Which number of a trial is its value.

    Attributes:
        name: A metric the objective returns or reports, or the qualified name of a function.
        reduction: ``"last"`` epoch's value, the ``"max"`` or ``"min"`` over the curve, or ``"function"``: what a
            function made of the trial's metrics.
        function: That function, where it is at hand. Without it the value is the one that was stored when the
            trial ended.
    """

    name: str
    reduction: str = "last"
    function: Score | None = None

    @classmethod
    def parse(cls, text: str | Score, functions: Mapping[str, Score] | None = None) -> Metric:
        """``"val_acc"``, ``"last:val_acc"``, ``"max:val_acc"``, ``"min:val_loss"``, or a function.

        Args:
            text: One of these; ``"function:module.name"`` is how a function is recorded.
            functions: Functions at hand, by name.

        Raises:
            AnalysisError: Not such a text, or a function without a name of its own.
        """
        if callable(text):
            return cls(_name_of(text), FUNCTION, text)
        if not isinstance(text, str) or not text:
            raise AnalysisError(
                f"metric must be the name of a metric, such as 'val_acc' or 'max:val_acc', or a function of the "
                f"trial's metrics, got {text!r}"
            )
        head, colon, tail = text.partition(":")
        if not colon:
            return cls(text)
        if head == FUNCTION and tail:
            return cls(tail, FUNCTION, (functions or {}).get(tail))
        if head in REDUCTIONS and not tail:
            raise AnalysisError(
                f"metric {text!r}: after the colon stands a metric's name, got none; write '{head}:val_acc'"
            )
        if head not in REDUCTIONS or not tail:
            raise AnalysisError(
                f"metric {text!r}: before the colon stands last, max or min, got {head!r}; "
                f"{did_you_mean(head, REDUCTIONS)}"
            )
        return cls(tail, head)

    def __str__(self) -> str:
        return self.name if self.reduction == "last" else f"{self.reduction}:{self.name}"

    @property
    def curves(self) -> bool:
        """Whether the value depends on values per epoch."""
        return self.reduction in ("max", "min")

    def of(self, metrics: Mapping[str, float], curve: Curve) -> float | None:
        """The value, or ``None`` where the trial has no such metric; a bare NaN is NaN of every metric.

        Raises:
            AnalysisError: The function raises, or returns no number.
        """
        if self.function is not None:
            own = {name: value for name, value in metrics.items() if name != self.name}
            return _called(self.function, self.name, own) if own else None
        series = curve.get(self.name)
        if self.curves and series:
            finite = [v for v in series if math.isfinite(v)]
            pick = max if self.reduction == "max" else min
            return float(pick(finite)) if finite else math.nan
        value = metrics.get(self.name)
        if value is None and is_bare_nan(metrics):
            return math.nan  # how an objective that returns several metrics says that nothing came of it
        return None if value is None else float(value)


def _name_of(function: Score) -> str:
    named = getattr(function, "name", None)
    name = named if isinstance(named, str) and named else getattr(function, "__qualname__", "")
    if not name or "<lambda>" in name or ":" in name:
        raise AnalysisError(
            f"a metric that is a function is recorded by its name, got {name or type(function).__name__!r}; write "
            "def score(metrics): ... and pass score"
        )
    module = getattr(function, "__module__", "__main__")
    return name if named or module == "__main__" else f"{module}.{name}"


def _called(function: Score, name: str, metrics: dict[str, float]) -> float:
    try:
        return float(function(metrics))
    except Exception as error:
        raise AnalysisError(
            f"metric {name}: the function must give a number for a trial's metrics, but {type(error).__name__}: "
            f"{error}; this trial has {', '.join(metrics)}"
        ) from error


def check_direction(direction: str) -> str:
    """``direction`` if it is one.

    Raises:
        AnalysisError: It is neither ``"maximize"`` nor ``"minimize"``.
    """
    if direction not in ("maximize", "minimize"):
        hint = did_you_mean(direction, ("maximize", "minimize"))
        tail = f"; {hint}" if hint.startswith("did") else ""
        raise AnalysisError(f"direction must be 'maximize' or 'minimize', got {direction!r}{tail}")
    return direction


def check_frame(frame: Any) -> None:
    """Raises AnalysisError unless it is a table."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise AnalysisError(
            f"a frame must be a pandas DataFrame, one row per run, got {type(frame).__name__}; "
            "pd.DataFrame(rows) or pd.read_csv(path) makes one"
        )


class Records(NamedTuple):
    """Trials as columns, as a store reads them: fast where there are hundreds of thousands.

    Attributes:
        configurations: Per trial name -> plain JSON data.
        metrics: Per trial metric name -> last value.
        curves: Per trial its curve; empty tuple where they were not read.
        columns: ``key``, ``cell``, ``replicate``, ``attempt``, ``origin``, ``seed``, ``state``,
            ``seconds``, ``code``, ``read``, ``error``, each a list as long as the others.
    """

    configurations: list[dict[str, Any]]
    metrics: list[dict[str, float]]
    curves: Sequence[Curve]
    columns: dict[str, list[Any]]


def degenerate_rows(frame: pd.DataFrame, space: Iterable[str] = ()) -> npt.NDArray[np.bool_]:
    """Which trials gave a model that predicts the same for everything.

    Args:
        frame: One row per trial. The metric ``degenerate`` says so: 1, or with several models per trial the share
            of them, of which half is enough. Without such a column no row is.
        space: Names of parameters: where one of them is called so too, the metric has another title.

    Returns:
        (n,) mask.
    """
    title = f"{DEGENERATE} (metric)" if DEGENERATE in space else DEGENERATE
    if title not in frame.columns:
        return np.zeros(len(frame), dtype=np.bool_)
    return np.asarray(np.asarray(frame[title], dtype=float) >= 0.5, dtype=np.bool_)


def best_first(
    frame: pd.DataFrame, direction: str, space: Iterable[str] = (), allow_degenerate: bool = False
) -> pd.DataFrame:
    """Trials that may be called best, best first; equal ones in the table's order.

    Args:
        frame: One row per trial with ``value`` and, optionally, ``state``.
        direction: ``"maximize"`` or ``"minimize"``.
        space: Names of parameters, see :func:`degenerate_rows`.
        allow_degenerate: Whether degenerate trials may be.
    """
    keep = np.isfinite(np.asarray(frame["value"], dtype=float))
    if "state" in frame:
        keep &= (frame["state"] == "complete").to_numpy()
    if not allow_degenerate:
        keep &= ~degenerate_rows(frame, space)
    found: pd.DataFrame = frame[keep]
    sign = 1.0 if direction == "minimize" else -1.0
    return found.iloc[np.argsort(sign * np.asarray(found["value"], dtype=float), kind="stable")]


def table(space: Space, records: Records, metric: Metric) -> pd.DataFrame:
    """The table of trials.

    Args:
        space: Whose parameters become columns; a choice is shown by its label.
        records: The trials.
        metric: Which metric becomes ``value``.

    Returns:
        One row per trial, in the order given: the parameters, then ``state``, ``value``, ``seconds``,
        ``seed``, ``cell``, ``origin`` and the metrics. ``value`` is NaN where a trial has none. A metric
        that shares its name with a parameter gets `` (metric)`` behind it.
    """
    import pandas as pd

    data: dict[str, Any] = {}
    for name, parameter in space.items():
        data[name] = _parameter_column(parameter, [p.get(name) for p in records.configurations])
    values = _values(records, metric)
    columns = records.columns
    data["state"] = columns["state"]
    data["value"] = values
    data["seconds"] = np.asarray(columns["seconds"], dtype=float)
    data["seed"] = np.asarray(columns["seed"], dtype=np.int64)
    data["cell"] = columns["cell"]
    data["origin"] = columns["origin"]
    names = dict.fromkeys(name for metrics in records.metrics for name in metrics)
    for name in names:
        title = f"{name} (metric)" if name in space or (name in RESERVED and name != "value") else name
        if title != "value":
            data[title] = np.array([m.get(name, math.nan) for m in records.metrics], dtype=float)
    return pd.DataFrame(data)


def _values(records: Records, metric: Metric) -> npt.NDArray[np.float64]:
    states = records.columns["state"]
    if metric.function is not None:
        # What the function says now counts, whatever it said when the trial ended.
        found: Iterable[float | None] = (
            metric.of(m, {}) if s == "complete" else None
            for m, s in zip(records.metrics, states, strict=True)
        )
    elif not metric.curves:
        found = (m.get(metric.name) for m in records.metrics)
    else:
        curves: Sequence[Curve] = records.curves or [{}] * len(records.metrics)
        found = (metric.of(m, c) for m, c in zip(records.metrics, curves, strict=True))
    values = np.array([math.nan if v is None else v for v in found], dtype=float)
    ended = np.array([s == "complete" for s in states], dtype=np.bool_)
    values[~ended] = np.nan
    return values


def _parameter_column(parameter: Parameter, encoded: list[Any]) -> npt.NDArray[Any]:
    if parameter.ordered:
        column = np.asarray(encoded)
        if column.dtype.kind in "if":
            return column
        if not isinstance(parameter, Categorical):
            return np.asarray([math.nan if v is None else v for v in encoded])
    assert isinstance(parameter, Categorical)
    labels = {value_key(v): text for v, text in zip(parameter.grid, parameter.labels, strict=True)}
    seen: dict[tuple[type, Any], str] = {}
    out = []
    for value in encoded:
        # A reference or tuple arrives as a dictionary, which can't be looked up itself.
        known = (type(value), value) if not isinstance(value, dict) else (dict, str(value))
        if known not in seen:
            frozen = decode(value)
            seen[known] = labels.get(value_key(frozen), label(frozen))
        out.append(seen[known])
    return np.array(out, dtype=object)
