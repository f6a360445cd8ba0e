"""A Keras model function as an objective."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

import keras
import numpy as np

from refine.errors import ObjectiveError
from refine.keras._backend import BACKEND
from refine.keras._returned import curves_of, kept_values, noting_kept
from refine.keras._rows import (
    Fold,
    SplitKeywords,
    SplitOptions,
    arrays_of,
    as_arrays,
    classes_of,
    digest,
    has_nan,
    labels_of,
    partition,
    same_rows,
    take,
)
from refine.keras._session import own_session, prepare
from refine.keras._types import Arrays
from refine.keras.fit import KERAS_FIT, accelerated
from refine.run.fingerprint import fingerprint
from refine.run.identity import check_name
from refine.run.running_trial import RunningTrial
from refine.space.parameters import is_finite
from refine.utils.arrays import spaced_rows
from refine.utils.keywords import helped

_CODE_OF_WAY: dict[bool | str, str] = {False: "", True: "-accelerated", "compiled": "-compiled"}
_SHARES = {"holdout": "0.2 seals 20 % of the rows", "val_split": "0.3 validates on 30 %"}
_DEF = "write `def model(x_train, y_train, x_val, y_val, params): ...`"
_PREDICTED_ROWS = 2000  # validation rows whose predictions a trial receives
_TOO_LARGE = 6e4  # larger predictions are not passed on: they overflow float16

_Predicted = tuple[np.ndarray, np.ndarray]
ModelFunction = Callable[[Arrays, Arrays, Arrays, Arrays, Mapping[str, Any]], Any]


@helped
class KerasObjective:
    """Runs a model function, ``f(x_train, y_train, x_val, y_val, params)``.

    The function builds, compiles and trains a model and returns ``(history, model)``. A call with a
    configuration and the running trial returns

    - the value of every metric at the epoch whose weights the model keeps: the last epoch, or the one
      restored by ``EarlyStopping(restore_best_weights=True)``,
    - ``degenerate``: 1.0 if the model predicts one value for all validation rows (one class, if targets are
      classes), else 0.0.

    Every call starts from a cleared Keras session seeded with ``trial.seed``, so that earlier code in the
    process has no effect on the result.

    Args:
        model: The function. A function of a script or notebook works.
        x: Inputs, one row per example: an array, a pandas frame, or a tuple, list or dict of arrays. Or a
            finite ``tf.data.Dataset`` or ``keras.utils.PyDataset`` of inputs and targets, which is read into
            memory.
        y: Targets, never NaN: shape (n,), (n, 1) or (n, outputs), or a structure of arrays. Omitted if ``x``
            is a dataset.
        val_split: Share of rows for validation, in (0, 1); default 0.3, unless ``x_val`` is given. Rows are
            drawn by ``split_seed``, classes (binary, integer, one-hot) in proportion.
        x_val: Validation inputs, instead of a split; or a dataset, like ``x``.
        y_val: Validation targets, with ``x_val``.
        preprocess: A scikit-learn transformer. A clone is fitted on the training inputs and applied to all
            inputs. Needs a single two-dimensional ``x``, which may hold NaN for the transformer to impute.
        split_seed: Seed of the split.
        holdout: Share of rows, in (0, 1), that no round sees, taken off first, classes in proportion.
            `Tree.open_holdout` measures on these rows.
        holdout_seed: Seed of the hold-out alone: another ``split_seed`` leaves the hold-out unchanged.
        splits: Number of random splits, with seeds derived from ``split_seed``; or a scikit-learn splitter
            (``KFold(5)``, ``GroupKFold(5)``, ``TimeSeriesSplit(5)``, ...), or a list of (training,
            validation) row numbers of ``x``. Every configuration is trained on each split. Metrics are means
            over splits; validation metrics are also given per split: ``val_acc@1``, ... The hold-out belongs
            to no split; the first split's model is measured on the hold-out.
        groups: Group of each row, shape (n,), numbers or text. All rows of a group are on one side, in every
            split and in the hold-out. Whole groups are drawn, with rows and classes as near to the share as
            possible.
        time: Moment of each row, shape (n,), numbers or datetimes; or True, if rows are in order. Validation
            rows then follow all training rows, and hold-out rows follow both; rows of one moment stay
            together.
        allow_nan: Whether inputs of the model function may hold NaN.
        accelerate: Whether calls of ``model.fit`` in the function run `refine.keras.fit`, with its fallbacks
            and notices. ``"compiled"`` sets its ``compiled=True``, also for direct calls of
            `refine.keras.fit`. Every trial then has the metric ``accelerated``: 1.0, or 0.0 if a training was
            handed to ``model.fit``.
        name: Name of the objective in node ids; default the function's qualified name.

    Attributes:
        fingerprint: Hex digest of the data, the rows of each side and ``preprocess``; equal on all machines.
        backend: Keras' backend: ``"tensorflow"``, ``"jax"`` or ``"torch"``.
        code: Fingerprint of the function's source and of your own modules that it calls; ends with the
            backend unless the backend is TensorFlow.
        transformer: ``preprocess``, fitted on the training inputs of the first split; for new inputs of
            `Round.best_model`.

    Raises:
        ObjectiveError: Impossible arguments: different lengths, NaN, a share out of range, splits that divide
            a group or train on later rows, a function with other arguments.
    """

    def __init__(
        self,
        model: ModelFunction,
        x: object,
        y: object = None,
        *,
        preprocess: object = None,
        allow_nan: bool = False,
        accelerate: bool | Literal["compiled"] = False,
        name: str | None = None,
        **options: Unpack[SplitKeywords],
    ) -> None:
        _check_model(model)
        self.model = model
        self.name = check_name(name) or _name_of(model)
        x, y = arrays_of("x", x, "y", y)
        split = SplitOptions(**options)
        x_val = split.x_val
        y_val = split.y_val
        if x_val is not None:
            x_val, y_val = arrays_of("x_val", x_val, "y_val", y_val)
            split = split._replace(x_val=x_val, y_val=y_val)
        _check_options(preprocess, split, allow_nan, accelerate)
        _check_combination(split)
        self.backend = BACKEND
        # Acceleration changes the order of rows and a backend its random numbers: trials of different code.
        self.code = fingerprint(model) + _CODE_OF_WAY[accelerate]
        self.code += "" if self.backend == "tensorflow" else f"-{self.backend}"
        self.accelerate = accelerate
        self._allow_nan = allow_nan
        nan = allow_nan or preprocess is not None
        x = as_arrays("x", x, nan=nan)
        y = as_arrays("y", y)
        row_partition = partition(y, same_rows("x", x, "y", y), split)
        folds = row_partition.folds
        if x_val is None:
            data = _sides(x, y, folds[0])
        else:
            x_val = as_arrays("x_val", x_val, nan=nan)
            y_val = as_arrays("y_val", y_val)
            same_rows("x_val", x_val, "y_val", y_val)
            data = (
                take(x, row_partition.unsealed),
                take(y, row_partition.unsealed),
                take(x_val),
                take(y_val),
            )
        # Only the resulting rows count, not the options that led to them.
        rows = (x, y, x_val, y_val, row_partition.sealed, *folds)
        self.fingerprint = digest(*rows, _describe(preprocess))
        if row_partition.sealed is None:
            self._sealed = None
        else:
            self._sealed = (take(x, row_partition.sealed), take(y, row_partition.sealed))
        # Rows of several splits are stored once, and selected for each training.
        self._pool: Arrays = None
        self._folds: list[Fold] = []
        if len(folds) > 1:
            used_rows = np.unique(np.concatenate([side for fold in folds for side in fold]))
            self._pool = take(x, used_rows), take(y, used_rows)
            self._folds = [
                (np.searchsorted(used_rows, a), np.searchsorted(used_rows, b)) for a, b in folds[1:]
            ]
        self._transformers: list[Any] = []
        if preprocess is not None:
            inputs = [data[0], *(take(self._pool[0], train) for train, _ in self._folds)]
            self._transformers = [_fitted(preprocess, train) for train in inputs]
            data = self._transformed(data)
            if self._sealed is not None:
                self._sealed = self._transformed(self._sealed)
        self._data = data
        _freeze((data, self._sealed or (), self._pool or ()))

    def __repr__(self) -> str:
        x_train, y_train, x_val, y_val = self._data
        train = same_rows("x", x_train, "y", y_train)
        validation = same_rows("x", x_val, "y", y_val)
        rows = f"{train:,} training and {validation:,} validation rows"
        splits = f", {1 + len(self._folds)} splits" * bool(self._folds)
        return f"KerasObjective({self.name!r}, {rows}{splits}, {self.backend})"

    @property
    def transformer(self) -> Any:
        """``preprocess``, fitted on the training inputs of the first split; ``None`` if not given."""
        if self._transformers:
            return self._transformers[0]
        return None

    def _transformed(self, data: Arrays, split: int = 0) -> Arrays:
        """The data with transformed inputs, which are parts one and three."""
        fitted = self._transformers[split]
        parts = list(data)
        for i in range(0, len(parts), 2):
            transformed = fitted.transform(parts[i])
            if hasattr(transformed, "tocsr"):
                raise ObjectiveError(
                    f"preprocess: must give dense arrays, got sparse from {type(fitted).__name__}; set "
                    "sparse_output=False"
                )
            parts[i] = as_arrays("x after preprocess", transformed, nan=self._allow_nan)
        return tuple(parts)

    def _of_split(self, split: int) -> Arrays:
        """The four arrays, or structures of arrays, of a split."""
        if split == 0:
            return self._data
        x, y = self._pool
        data = _sides(x, y, self._folds[split - 1])
        if self._transformers:
            data = self._transformed(data, split)
        _freeze(data)
        return data

    @property
    def stops(self) -> bool:
        """True if a round may stop a training early: not if a configuration is trained several times."""
        return not self._folds

    @property
    def holdout(self) -> Callable[[Mapping[str, Any], RunningTrial], dict[str, float]] | None:
        """Trains a configuration and measures on the hold-out; ``None`` without a hold-out.

        Returns the metrics of a call, with validation metrics (``val_...``) measured on the hold-out by
        ``model.evaluate``. Reports no epochs.
        """
        if self._sealed is None:
            return None
        return self._on_holdout

    def _on_holdout(self, params: Mapping[str, object], trial: RunningTrial) -> dict[str, float]:
        assert self._sealed is not None
        with own_session(int(trial.seed)):
            _, metrics, model = self._fit(params, self._data)
            if not isinstance(model, keras.Model):
                raise ObjectiveError(
                    f"the hold-out needs the trained keras model, got {type(model).__name__}: return "
                    "(history, model)"
                )
            measured = model.evaluate(*self._sealed, verbose=0, return_dict=True)
            if has_nan(self._sealed[0]) and not all(map(np.isfinite, measured.values())):
                raise ObjectiveError(
                    "the hold-out's inputs hold NaN, which the model does not accept: impute by preprocess= "
                    "or in a layer of the model, not before the model"
                )
            metrics = {k: v for k, v in metrics.items() if not k.startswith("val_")}
            metrics |= {f"val_{name}": float(value) for name, value in measured.items()}
            return metrics | _degenerate(_predictions(model, self._sealed[0]), *self._sealed)

    def __call__(self, params: Mapping[str, object], trial: RunningTrial) -> dict[str, float]:
        """Trains a configuration: the metrics of the epoch whose weights are kept, and ``degenerate``.

        Args:
            params: The configuration.
            trial: Has the ``seed``, and receives the metrics of every epoch by ``report(epoch, metrics)``,
                epochs from 0, after training.

        Raises:
            ObjectiveError: The function returned something other than ``(history, model)``.
        """
        if not self._folds:
            return self._once(params, trial)
        # Means of the metrics and epochs that all splits have; validation metrics per split as well.
        hearers = [RunningTrial((int(trial.seed) + j) % 2**31) for j in range(1 + len(self._folds))]
        by_split = [self._once(params, hearer, j) for j, hearer in enumerate(hearers)]
        curves = [hearer.curve for hearer in hearers]
        for epoch in range(min(len(series) for curve in curves for series in curve.values())):
            trial.report(
                epoch, _means([{k: series[epoch] for k, series in curve.items()} for curve in curves])
            )
        validated = {
            f"{name}@{j}": metrics[name]
            for name in by_split[0]
            if name.startswith("val_")
            for j, metrics in enumerate(by_split, 1)
            if name in metrics
        }
        return {**_means(by_split), **validated}

    def _once(self, params: Mapping[str, object], trial: RunningTrial, split: int = 0) -> dict[str, float]:
        with own_session(int(trial.seed)):
            return self._train(params, trial, self._of_split(split))[0]

    def _fit(
        self, params: Mapping[str, Any], data: Arrays
    ) -> tuple[dict[str, list[float]], dict[str, float], keras.Model]:
        """Curves of a training, the values of the epoch whose weights are kept, and the model."""
        if self.accelerate == "compiled":
            compiled = True
        else:
            compiled = None
        with (
            noting_kept(),
            accelerated(compiled) if self.accelerate else contextlib.nullcontext() as ways,
        ):
            x_train, y_train, x_val, y_val = data
            returned = self.model(x_train, y_train, x_val, y_val, params)
        curves, model = curves_of(returned)
        metrics = kept_values(returned[0], model, curves)
        if ways is not None:
            metrics.setdefault("accelerated", float(KERAS_FIT not in ways))
        return curves, metrics, model

    def _train(
        self, params: Mapping[str, object], trial: RunningTrial, data: Arrays
    ) -> tuple[dict[str, float], keras.Model]:
        curves, metrics, model = self._fit(params, data)
        for epoch in range(max(map(len, curves.values()))):
            trial.report(epoch, {k: values[epoch] for k, values in curves.items() if epoch < len(values)})
        predicted = _predictions(model, data[2])
        _tell(predicted, trial, data[3])
        return metrics | _degenerate(
            predicted, *data[2:]
        ) | metrics, model  # a `degenerate` of the function wins

    def trained(
        self, params: Mapping[str, object], trial: RunningTrial
    ) -> tuple[keras.Model, dict[str, float]]:
        """Trains a configuration like a call and also returns the model, for `Round.best_model`.

        With several ``splits`` the model is that of the first split; its validation metrics keep the names of
        a call: ``val_acc@1``.

        Raises:
            ObjectiveError: The function returned no Keras model.
        """
        # The curve of one split is not the trial's curve.
        if self._folds:
            hearer = RunningTrial(int(trial.seed))
        else:
            hearer = trial
        with own_session(int(trial.seed)):
            metrics, model = self._train(params, hearer, self._data)
        if not isinstance(model, keras.Model):
            raise ObjectiveError(
                f"the function must return a keras model, got {type(model).__name__}: return (history, model)"
            )
        if self._folds:
            metrics = {f"{k}@1": v for k, v in metrics.items() if k.startswith("val_")}
        return model, metrics

    def save_model(self, model: keras.Model, path: Path) -> None:
        """Writes a model in Keras' own format to ``path``, with ``.keras`` added."""
        model.save(f"{path}.keras")

    def load_model(self, path: Path) -> keras.Model | None:
        """Reads a model written by `save_model`; ``None`` if there is no file. Runs no code from the file.

        Raises:
            ObjectiveError: Keras can't read the file, or only by running code from the file.
        """
        file = Path(f"{path}.keras")
        try:
            if not file.exists():
                return None
            if not file.is_file():  # reading a pipe might never end
                raise OSError("it is not a file")
            return keras.models.load_model(file, safe_mode=True)
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "")[:200]
            raise ObjectiveError(
                f"{file}: must be a model that Keras reads without running code from the file, got "
                f"{type(error).__name__}: {reason}; remove the file to train the model again, or leave "
                "folder out if the model has such layers"
            ) from error

    def prepare(self, threads: int) -> None:
        """Sets up this process for trials; called once, before the first trial.

        ``threads`` is the number of threads of the backend, within and between operations. If TensorFlow has
        already started with other numbers, these stay, and a `RefineWarning` says so.

        Raises:
            ObjectiveError: Keras runs on another backend here than where the objective was made.
        """
        if isinstance(threads, bool) or int(threads) < 1:
            raise ObjectiveError(f"threads: must be at least 1, got {threads!r}; 1 is the default")
        if self.backend != BACKEND:
            raise ObjectiveError(
                f"the objective was made with Keras on {self.backend}, and this process runs it on "
                f"{BACKEND}; set the environment variable KERAS_BACKEND={self.backend} where workers start"
            )
        prepare(int(threads))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _freeze((self._data, self._sealed or (), self._pool or ()))


def _means(by_split: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = [name for name in by_split[0] if all(name in metrics for metrics in by_split)]
    return {name: float(np.mean([metrics[name] for metrics in by_split])) for name in names}


def _freeze(data: object) -> None:
    """Makes data read-only: a function that changed the data would affect later trials."""
    for leaf in keras.tree.flatten(data):
        leaf.flags.writeable = False


def _sides(x: object, y: object, fold: Fold) -> tuple[Arrays, Arrays, Arrays, Arrays]:
    """The four arrays, or structures of arrays, of a split."""
    train, validation = fold
    return take(x, train), take(y, train), take(x, validation), take(y, validation)


def _predictions(model: object, x: object) -> _Predicted | None:
    """Predictions, (n,) or (n, columns), and their evenly spaced row numbers; `None` if unknown."""
    if not isinstance(model, keras.Model):
        return None
    count = len(keras.tree.flatten(x)[0])
    rows = spaced_rows(count, min(count, _PREDICTED_ROWS))
    try:
        part = keras.tree.map_structure(lambda leaf: leaf[rows], x)
        predicted = keras.ops.convert_to_numpy(model(part, training=False))
    except Exception:  # noqa: BLE001  # the model may take other inputs than x_val
        return None
    if predicted.ndim <= 2 and len(predicted) == len(rows):
        return (predicted, rows)
    return None


def _tell(predicted: _Predicted | None, trial: RunningTrial, y_val: object) -> None:
    """Passes the predictions for validation rows to a trial that takes them."""
    tell = getattr(trial, "predicted", None)
    labels = labels_of(y_val)
    if tell is None or labels is None or predicted is None:
        return
    values, rows = predicted
    if np.isfinite(values).all() and np.abs(values).max() < _TOO_LARGE:
        tell(values, labels[rows], len(labels))


def _degenerate(predicted: _Predicted | None, x_val: object, y_val: object) -> dict[str, float]:
    """The metric ``degenerate``: 1 for constant predictions, else 0; empty if unknown."""
    if predicted is None or len(predicted[1]) < 2 or not isinstance(y_val, np.ndarray):
        return {}
    values = predicted[0].reshape(len(predicted[1]), -1)
    if not np.isfinite(values).all() and has_nan(x_val):  # the function may impute outside its model
        return {}
    if classes_of(y_val) is not None:
        if values.shape[1] > 1:
            values = values.argmax(axis=1)[:, None]
        else:
            probabilities = bool((values >= 0).all() and (values <= 1).all())
            values = values > (0.5 if probabilities else 0.0)
    return {"degenerate": float((values == values[0]).all())}


def _check_model(model: object) -> None:
    """Raises `ObjectiveError` unless ``model`` takes the five arguments of a model function."""
    kind = type(model).__name__
    if callable(model) and hasattr(model, "fit"):
        raise ObjectiveError(f"model: must be the function that builds and trains, got a {kind}; {_DEF}")
    if not callable(model):
        raise ObjectiveError(f"model: must be a function of five arguments, got {kind}; {_DEF}")
    try:
        signature = inspect.signature(model)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*range(5))
    except TypeError as error:
        raise ObjectiveError(
            f"model: must take five positional arguments, got {_name_of(model)}{signature}; {_DEF}"
        ) from error


def _name_of(model: Callable[..., Any]) -> str:
    """Qualified name, without ``__main__``, so that a script and its import agree."""
    if isinstance(model, functools.partial):
        return _name_of(model.func)
    name = getattr(model, "__qualname__", None) or type(model).__qualname__
    module = getattr(model, "__module__", None)
    if module in (None, "__main__"):
        return name
    return f"{module}.{name}"


def _check_options(preprocess: object, split: SplitOptions, allow_nan: object, accelerate: object) -> None:
    """Raises `ObjectiveError` for an option that is impossible by itself."""
    shown = type(preprocess).__name__
    usable = all(hasattr(type(preprocess), method) for method in ("fit", "transform", "get_params"))
    if isinstance(preprocess, type):
        shown = f"the class {preprocess.__name__}"
        usable = False
    if preprocess is not None and not usable:
        raise ObjectiveError(
            f"preprocess: must be a scikit-learn transformer, got {shown}; for example StandardScaler()"
        )
    for option, share in (("holdout", split.holdout), ("val_split", split.val_split)):
        if share is not None and not (is_finite(share) and 0 < share < 1):
            raise ObjectiveError(f"{option}: must be between 0 and 1, got {share!r}; {_SHARES[option]}")
    for option, seed in (("split_seed", split.split_seed), ("holdout_seed", split.holdout_seed)):
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed < 2**32:
            raise ObjectiveError(
                f"{option}: must be a whole number >= 0 and < 2**32, got {seed!r}; 0 is the default"
            )
    if not isinstance(allow_nan, bool):
        raise ObjectiveError(f"allow_nan: must be True or False, got {allow_nan!r}; False is the default")
    if not isinstance(accelerate, bool) and accelerate != "compiled":
        raise ObjectiveError(
            f'accelerate: must be True, False or "compiled", got {accelerate!r}; False is the default'
        )


def _check_combination(split: SplitOptions) -> None:
    """Raises `ObjectiveError` for options that contradict each other."""
    splits = split.splits
    drawn = isinstance(splits, int | np.integer) and not isinstance(splits, bool) and splits >= 1
    several = not drawn or splits > 1
    with_x_val = split.x_val is not None
    grouped = split.groups is not None
    timed = split.time is not None
    if split.x_val is None:
        missing = "x_val"
        present = "y_val"
    else:
        missing = "y_val"
        present = "x_val"
    of_all_rows = (
        "whose rows have none; pass all rows as x and y, with splits=[(training rows, validation rows)]"
    )
    rules = [
        (
            with_x_val != (split.y_val is not None),
            f"{missing}: must be given together with {present}, got None; pass both or neither",
        ),
        (
            (splits is None or isinstance(splits, bool | int | float | np.number | str)) and not drawn,
            f"splits: must be a whole number >= 1, got {splits!r:.60}; 5 trains on 5 splits",
        ),
        (
            with_x_val and split.val_split is not None,
            f"val_split: can't be combined with x_val, got {split.val_split}; leave one of them out",
        ),
        (
            with_x_val and several,
            f"splits: can't be combined with x_val, got {splits!r:.60}; leave x_val and y_val out",
        ),
        (with_x_val and grouped, f"groups: can't be combined with x_val, {of_all_rows}"),
        (with_x_val and timed, f"time: can't be combined with x_val, {of_all_rows}"),
        *(
            (
                not drawn and bool(value),
                f"{option}: can't be combined with splits that name rows, got {value}; leave one of them out",
            )
            for option, value in (("val_split", split.val_split), ("split_seed", split.split_seed))
        ),
        (
            timed and grouped,
            "groups: can't be combined with time, since a group may span all moments; leave one of them out",
        ),
        (
            timed and drawn and several,
            f"splits: splits are not drawn with time, got {splits}; TimeSeriesSplit({splits}) gives as many, "
            "sorted by time",
        ),
        *(
            (timed and bool(seed), f"{option}: no rows are drawn with time, got {seed}; leave {option} out")
            for option, seed in (("split_seed", split.split_seed), ("holdout_seed", split.holdout_seed))
        ),
    ]
    for broken, text in rules:
        if broken:
            raise ObjectiveError(text)


def _describe(preprocess: Any) -> str:
    """A transformer as text, equal on all machines."""
    if preprocess is None:
        return "none"
    kind = type(preprocess)
    return f"{kind.__module__}.{kind.__qualname__}({sorted(preprocess.get_params().items())!r})"


def _fitted(preprocess: object, train: object) -> Any:
    """A clone of the transformer, fitted on the training inputs."""
    from sklearn.base import clone

    if not isinstance(train, np.ndarray):
        raise ObjectiveError(
            f"preprocess: needs x to be one array, got a {type(train).__name__}; "
            "transform several inputs inside the model function"
        )
    return clone(preprocess).fit(train)
