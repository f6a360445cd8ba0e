"""A Keras model function as an objective."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import keras
import numpy as np

from refine.errors import ObjectiveError
from refine.keras._accelerate import accelerated
from refine.keras._backend import BACKEND
from refine.keras._code import check_model, name_of
from refine.keras._history import curves_of
from refine.keras._kept import kept_values, noting_kept
from refine.keras._partition import partition
from refine.keras._repeats import Listener, averaged
from refine.keras._session import collect, own_session, prepare
from refine.keras._sources import is_source, read
from refine.keras._split import (
    as_arrays,
    classes_of,
    digest,
    has_nan,
    labels_of,
    rows_of,
    take,
    validation_rows,
)
from refine.keras.fit import KERAS_FIT
from refine.run.fingerprint import fingerprint
from refine.run.identity import check_name
from refine.utils.keywords import helped

_DEFAULT_SPLIT = 0.3
_WAYS: dict[bool | str, str] = {False: "", True: "-accelerated", "compiled": "-compiled"}
_SAYS = {"holdout": "0.2 seals 20 % of the rows", "val_split": "0.3 validates on 30 %"}
# Enough rows to see whether predictions differ; more would only cost time.
_DEGENERATE_ROWS = 1000
# Rows whose predictions a trial gets; it keeps no more.
_TOLD_ROWS = 2000

ModelFunction = Callable[[Any, Any, Any, Any, Mapping[str, Any]], Any]


class RunningTrial(Protocol):
    """What an objective sees of the trial that it runs in."""

    seed: int

    def report(self, epoch: int, metrics: Mapping[str, float]) -> Any:
        """Records the metrics of an epoch."""


@helped
class KerasObjective:
    """Runs a model function, ``f(x_train, y_train, x_val, y_val, params)``.

    The function builds, compiles and trains a model and returns ``(history, model)``. Inside,
    ``model.fit`` works as ever and `refine.keras.fit` is the faster replacement, which ``accelerate=True`` puts in its
    place. Call the objective with a configuration and the running trial; it returns every metric's value at the epoch
    whose weights the model keeps (the last one, or the one that ``EarlyStopping(restore_best_weights=True)`` went back to), and
    ``degenerate``: 1.0 if the model predicts the same for all validation rows (the same
    class, where the targets are classes), else 0.0.

    Every call starts from a cleared Keras session seeded with ``trial.seed``, so that the result
    depends on nothing that ran before, and frees its model at the end.

    Args:
        model: The function. It may live in a script or notebook.
        x: Inputs, one row per example: an array, a pandas frame, or a tuple, list or dict of arrays. Or a finite
            ``tf.data.Dataset`` or ``keras.utils.PyDataset`` of inputs and targets, which is read into memory.
        y: Targets: shape (n,), (n, 1), or (n, outputs), or a structure of such. Never NaN. Left out where
            ``x`` is a dataset.
        val_split: Share of rows to validate on, in (0, 1); 0.3 unless ``x_val`` is given. Rows are
            drawn by ``split_seed``, classes (binary, integer, one-hot) in proportion.
        x_val: Inputs to validate on, instead of a split; or a dataset, as ``x``.
        y_val: Targets to validate on, with ``x_val``.
        preprocess: A scikit-learn transformer; a clone is fitted on the training inputs and applied
            to both sides. For one two-dimensional ``x``, which may then hold NaN for it to impute.
        split_seed: Seed of the split.
        holdout: Share of rows, in (0, 1), that no round sees: taken off before anything else, classes in
            proportion. `Round.open_holdout` measures on them; see `holdout` below.
        holdout_seed: Seed of the hold-out alone: another ``split_seed`` splits the other rows anew and leaves the sealed
            ones sealed.
        splits: How many times to split anew, under seeds that follow from ``split_seed``; or which rows to train and to
            validate on: one of scikit-learn's splitters (``KFold(5)``, ``StratifiedKFold(5, shuffle=True,
            random_state=0)``, ``GroupKFold(5)``, ``TimeSeriesSplit(5)``), the number of each row's fold (-1: never
            validated on, as in ``PredefinedSplit``), or a list of (training, validation) row numbers of ``x``. Every
            configuration is trained on each, which takes as many times as long; its metrics are the means, and those
            of validation are given by split as well: ``val_acc@1``, ``val_acc@2``, ... The hold-out stays the
            same, its rows belong to no split, and it is measured with the model of the first one.
        groups: Group of each row, shape (n,), numbers or text: all rows of a group are on one side, in every split and
            in the hold-out. What is drawn is whole groups, rows and classes as near to the share as they allow.
        time: Moment of each row, shape (n,), numbers or datetimes; or True, if rows are in order. Validation rows then
            follow all training rows, and the hold-out's follow both; rows of one moment stay together.
        allow_nan: Whether NaN in inputs may reach the model function, because its model takes it. By default NaN is an
            error unless ``preprocess`` removes it.
        accelerate: Whether ``model.fit``, called by the function in a trial, is `refine.keras.fit`, with its fallbacks and
            notices; ``"compiled"`` with its ``compiled=True``, for rounds of many small dense networks, also where
            the function calls `refine.keras.fit` itself. Every trial then has the metric ``accelerated``: 1.0, or 0.0 if a training was left to
            ``model.fit``. No progress is printed unless ``verbose`` is given.
        name: What the objective is called in node ids; by default the function's qualified name.

    Attributes:
        name: See above.
        fingerprint: Hex digest of data, split and ``preprocess``; the same on every machine.
        accelerate: As given.
        backend: What Keras runs on: ``"tensorflow"``, ``"jax"`` or ``"torch"``.
        code: Fingerprint of the function's source and of what it calls in modules of your own; ends with the backend
            where that is not TensorFlow.
        transformer: ``preprocess`` as it was fitted on the training inputs (of the first split); for new inputs of
            `Round.best_model`.

    Raises:
        ObjectiveError: Arguments that can't work: different lengths, NaN, a share out of range, splits that part a
            group or train on what comes later, a function with other arguments, and so on.
    """

    def __init__(
        self,
        model: ModelFunction,
        x: Any,
        y: Any = None,
        *,
        val_split: float | None = None,
        x_val: Any = None,
        y_val: Any = None,
        preprocess: Any = None,
        split_seed: int = 0,
        holdout: float | None = None,
        holdout_seed: int = 0,
        splits: Any = 1,
        groups: Any = None,
        time: Any = None,
        allow_nan: bool = False,
        accelerate: bool | Literal["compiled"] = False,
        name: str | None = None,
    ) -> None:
        check_model(model)
        self.model = model
        self.name = check_name(name) or name_of(model)
        if preprocess is not None:
            _check_transformer(preprocess)
        for option, share in (("holdout", holdout), ("val_split", val_split)):
            if share is not None and (
                isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < share < 1
            ):
                raise ObjectiveError(f"{option}: must be between 0 and 1, got {share!r}; {_SAYS[option]}")
        for option, seed in (("split_seed", split_seed), ("holdout_seed", holdout_seed)):
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
        self.backend = BACKEND
        # Rows are shuffled in another order, and backends draw other numbers, so such trials are not of one code.
        self.code = fingerprint(model) + _WAYS[accelerate]
        self.code += "" if self.backend == "tensorflow" else f"-{self.backend}"
        self.accelerate = accelerate
        self._compiled = True if accelerate == "compiled" else None
        self._allow_nan = allow_nan
        x, y = _arrays_of("x", x, "y", y)
        if x_val is not None:
            x_val, y_val = _arrays_of("x_val", x_val, "y_val", y_val)
        _check_combination(val_split, x_val, y_val, splits, groups, time, (split_seed, holdout_seed))
        nan = allow_nan or preprocess is not None
        x, y = as_arrays("x", x, nan=nan), as_arrays("y", y)
        count = _same_rows("x", x, "y", y)
        share = _DEFAULT_SPLIT if val_split is None else float(val_split)
        sealed = None
        parts: tuple[Any, ...] = (x, y)
        if holdout is not None:
            parts = (*parts, "holdout", float(holdout), int(holdout_seed))
        if x_val is not None:
            x_val, y_val = as_arrays("x_val", x_val, nan=nan), as_arrays("y_val", y_val)
            _same_rows("x_val", x_val, "y_val", y_val)
            parts = (*parts, x_val, y_val)
            repeated: tuple[Any, ...] = ()
            rows: Any = slice(None)
            if holdout is not None:
                seal = int(digest("holdout", int(holdout_seed))[:8], 16)
                mask = validation_rows(y, count, float(holdout), seal, "holdout")
                sealed, rows = mask, ~mask
            folds: list[Any] = []
            first = (take(x, rows), take(y, rows), take(x_val, slice(None)), take(y_val, slice(None)))
        else:
            found = partition(
                y,
                count,
                val_split=share,
                split_seed=int(split_seed),
                holdout=holdout,
                holdout_seed=int(holdout_seed),
                splits=splits,
                groups=groups,
                time=time,
            )
            sealed, folds = found.sealed, list(found.folds)
            first = _sides(x, y, folds[0])
            parts = (*parts, share, int(split_seed))
            repeated = ("splits", len(folds)) if len(folds) > 1 else ()
            if not found.plain:  # which rows it came to counts, whatever led there
                repeated = (*repeated, "rows", *((None,) if sealed is None else (sealed,)), *found.folds)
        self.fingerprint = digest(*parts, _describe(preprocess), *repeated)
        self._sealed = None if sealed is None else (take(x, sealed), take(y, sealed))
        # Of several splits the rows are kept once, and taken anew for each training.
        self._pool: Any = None
        self._folds: list[Any] = folds[1:]
        if self._folds:
            kept = np.unique(np.concatenate([*folds[0], *(side for fold in self._folds for side in fold)]))
            self._pool = take(x, kept), take(y, kept)
            self._folds = [tuple(np.searchsorted(kept, side) for side in fold) for fold in self._folds]
        self.transformer = None
        self._transformers: list[Any] = []
        if preprocess is not None:
            self.transformer = _fitted(preprocess, first[0])
            self._transformers = [_fitted(preprocess, take(self._pool[0], fold[0])) for fold in self._folds]
            first = self._transformed(first, self.transformer)
            if self._sealed is not None:
                self._sealed = (*self._transformed(self._sealed, self.transformer)[:1], self._sealed[1])
        self._data = first
        self._freeze()

    def _transformed(self, data: Any, transformer: Any) -> Any:
        """The same data with inputs, which come first and third, as ``preprocess`` gives them."""
        made = [
            _transform(transformer, part, nan=self._allow_nan) if i % 2 == 0 else part
            for i, part in enumerate(data)
        ]
        return tuple(made)

    def _of_split(self, j: int) -> Any:
        """The four arrays, or structures of such, of the j-th split."""
        if j == 0:
            return self._data
        x, y = self._pool
        data = _sides(x, y, self._folds[j - 1])
        if self._transformers:
            data = self._transformed(data, self._transformers[j - 1])
        _freeze(data)
        return data

    @property
    def stops(self) -> bool:
        """Whether a round may stop a training early: not where one configuration is several trainings."""
        return not self._folds

    @property
    def holdout(self) -> Callable[[Mapping[str, Any], RunningTrial], dict[str, float]] | None:
        """Trains one configuration as ever and measures it on the hold-out; ``None`` where there is none.

        It returns the metrics that a call would, those of validation (``val_...``) on the hold-out's rows, by
        ``model.evaluate``; it reports no epochs.
        """
        return None if self._sealed is None else self._on_holdout

    def _on_holdout(self, params: Mapping[str, Any], trial: RunningTrial) -> dict[str, float]:
        assert self._sealed is not None
        try:
            with own_session(int(trial.seed)):
                _, metrics, model = self._fit(params, self._data)
                if not isinstance(model, keras.Model):
                    raise ObjectiveError(
                        f"the hold-out needs the trained keras model, got {type(model).__name__}: "
                        "return (history, model)"
                    )
                metrics = {k: v for k, v in metrics.items() if not k.startswith("val_")}
                found = model.evaluate(*self._sealed, verbose=0, return_dict=True)
                if has_nan(self._sealed[0]) and not all(map(np.isfinite, found.values())):
                    raise ObjectiveError(
                        "the hold-out's inputs have NaN and the model doesn't take it: impute by preprocess= or in a layer "
                        "of the model, not before it"
                    )
                metrics |= {f"val_{name}": float(value) for name, value in found.items()}
                flag = self._degenerate(model, *self._sealed)
                return metrics if flag is None else {**metrics, "degenerate": float(flag)}
        finally:
            collect()

    def __call__(self, params: Mapping[str, Any], trial: RunningTrial) -> dict[str, float]:
        """Trains one configuration.

        Args:
            params: The configuration.
            trial: Gives ``seed`` and takes every epoch's metrics by ``report(epoch, metrics)``,
                epochs from 0, once training has ended.

        Returns:
            The metrics of the epoch whose weights are kept, and ``degenerate``.

        Raises:
            ObjectiveError: The function returned something else than ``(history, model)``.
        """
        if self._folds:
            calls = [functools.partial(self._once, split=j) for j in range(1 + len(self._folds))]
            return averaged(calls, params, trial)
        return self._once(params, trial)

    def _once(self, params: Mapping[str, Any], trial: RunningTrial, split: int = 0) -> dict[str, float]:
        try:
            with own_session(int(trial.seed)):
                return self._train(params, trial, self._of_split(split))[0]
        finally:
            # Models are cycles of objects: only a collection frees them, once no name holds them.
            collect()

    def _fit(
        self, params: Mapping[str, Any], data: Any
    ) -> tuple[dict[str, list[float]], dict[str, float], Any]:
        """Curves of one training, the values of the epoch whose weights are kept, and the model."""
        x_train, y_train, x_val, y_val = data
        with (
            noting_kept(),
            accelerated(self._compiled) if self.accelerate else contextlib.nullcontext() as ways,
        ):
            returned = self.model(x_train, y_train, x_val, y_val, params)
        curves, model = curves_of(returned)
        metrics = kept_values(returned[0], model, curves)
        if ways is not None:
            metrics.setdefault("accelerated", float(KERAS_FIT not in ways))
        return curves, metrics, model

    def _train(
        self, params: Mapping[str, Any], trial: RunningTrial, data: Any
    ) -> tuple[dict[str, float], Any]:
        curves, metrics, model = self._fit(params, data)
        for epoch in range(max(map(len, curves.values()))):
            here = {name: values[epoch] for name, values in curves.items() if epoch < len(values)}
            trial.report(epoch, here)
        flag = self._degenerate(model, *data[2:])
        self._tell(model, trial, *data[2:])
        if flag is not None:
            metrics.setdefault("degenerate", float(flag))
        return metrics, model

    def trained(self, params: Mapping[str, Any], trial: RunningTrial) -> tuple[keras.Model, dict[str, float]]:
        """Trains one configuration as a call does and returns the model too; `Round.best_model` asks for it.

        Args:
            params: The configuration.
            trial: As for a call.

        Returns:
            The model and what a call returns. With ``splits`` above 1 the model of the first split, and its
            validation metrics under the names that a call gives them: ``val_acc@1``.

        Raises:
            ObjectiveError: The function returned no Keras model.
        """
        try:
            with own_session(int(trial.seed)):
                # The curve of one split is not the trial's.
                hears = Listener(int(trial.seed)) if self._folds else trial
                metrics, model = self._train(params, hears, self._data)
        finally:
            collect()
        if not isinstance(model, keras.Model):
            raise ObjectiveError(
                f"the function gives no keras model, got {type(model).__name__}: return (history, model)"
            )
        if self._folds:
            metrics = {f"{k}@1": v for k, v in metrics.items() if k.startswith("val_")}
        return model, metrics

    def save_model(self, model: keras.Model, path: Path) -> None:
        """Writes a model in Keras' own format to ``path`` with ``.keras`` added."""
        model.save(f"{path}.keras")

    def load_model(self, path: Path) -> keras.Model | None:
        """Reads what `save_model` wrote; ``None`` where there is nothing. No code in the file is run."""
        file = Path(f"{path}.keras")
        return keras.models.load_model(file) if file.exists() else None

    def prepare(self, threads: int) -> None:
        """Sets up this process for trials; called once, before the first.

        Args:
            threads: The backend's threads, within and between operations. If TensorFlow has already
                started with other numbers they stay, and a `RefineWarning` says so.

        Raises:
            ObjectiveError: In this process Keras runs on another backend than where the objective was made.
        """
        if isinstance(threads, bool) or int(threads) < 1:
            raise ObjectiveError(f"threads: must be at least 1, got {threads!r}; 1 is the default")
        if self.backend != BACKEND:
            raise ObjectiveError(
                f"the objective was made with Keras on {self.backend}, and this process runs it on {BACKEND}; "
                f"set the environment variable KERAS_BACKEND={self.backend} where workers start"
            )
        prepare(int(threads))

    def _tell(self, model: Any, trial: RunningTrial, x_val: Any, y_val: Any) -> None:
        """Tells a trial that wants to know what the model predicts for the validation rows."""
        tell = getattr(trial, "predicted", None)
        right = labels_of(y_val)
        if tell is None or right is None or not isinstance(model, keras.Model):
            return
        rows = np.linspace(0, len(right) - 1, min(len(right), _TOLD_ROWS)).round().astype(int)
        head = keras.tree.map_structure(lambda leaf: leaf[rows], x_val)
        try:
            out = keras.ops.convert_to_numpy(model(head, training=False))
        except Exception:  # noqa: BLE001  # the function may feed its model something else than x_val
            return
        fits = out.shape[:1] == right[rows].shape and out.ndim <= 2 and np.isfinite(out).all()
        if fits and np.abs(out).max() < 6e4:  # what a trial takes
            tell(out, right[rows], len(right))

    def _degenerate(self, model: Any, x_val: Any, y_val: Any) -> bool | None:
        """Whether predictions are constant; `None` where that is unknown (several outputs, no model)."""
        if not isinstance(model, keras.Model) or not isinstance(y_val, np.ndarray):
            return None
        head = keras.tree.map_structure(lambda leaf: leaf[:_DEGENERATE_ROWS], x_val)
        try:
            out = keras.ops.convert_to_numpy(model(head, training=False))
        except Exception:  # noqa: BLE001  # the function may feed its model something else than x_val
            return None
        if out.ndim > 2 or len(out) < 2 or len(out) != len(keras.tree.flatten(head)[0]):
            return None
        if not np.isfinite(out).all() and has_nan(head):  # the function may impute before its model
            return None
        out = out.reshape(len(out), -1)
        if classes_of(y_val) is not None:
            if out.shape[1] > 1:
                out = out.argmax(axis=1)[:, None]
            else:
                probabilities = bool((out >= 0).all() and (out <= 1).all())
                out = out > (0.5 if probabilities else 0.0)
        return bool((out == out[0]).all())

    def _freeze(self) -> None:
        """Makes the data read-only: a function that changed them would change later trials."""
        _freeze((self._data, self._sealed or (), self._pool or ()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._freeze()


def _freeze(data: Any) -> None:
    for leaf in keras.tree.flatten(data):
        leaf.flags.writeable = False


def _sides(x: Any, y: Any, fold: Any) -> tuple[Any, Any, Any, Any]:
    """The four arrays, or structures of such, that a split comes to."""
    train, validation = fold
    return take(x, train), take(y, train), take(x, validation), take(y, validation)


def _check_combination(
    val_split: Any, x_val: Any, y_val: Any, splits: Any, groups: Any, time: Any, seeds: tuple[int, int]
) -> None:
    """Raises `ObjectiveError` for options that contradict each other."""
    if (x_val is None) != (y_val is None):
        missing, given = ("x_val", "y_val") if x_val is None else ("y_val", "x_val")
        raise ObjectiveError(
            f"{missing}: must be given together with {given}, got None; pass both or neither"
        )
    if isinstance(splits, bool) or (
        isinstance(splits, int | float | np.number | str) and not _is_count(splits)
    ):
        raise ObjectiveError(f"splits: must be a whole number >= 1, got {splits!r}; 5 trains on 5 splits")
    one = isinstance(splits, int | np.integer) and splits == 1
    if x_val is not None:
        if val_split is not None:
            raise ObjectiveError(
                f"val_split: can't be combined with x_val, got {val_split}; leave one of them out"
            )
        if not one:
            raise ObjectiveError(
                f"splits: can't be combined with x_val, got {splits!r:.60}; leave x_val and y_val out"
            )
        for option, value in (("groups", groups), ("time", time)):
            if value is not None:
                raise ObjectiveError(
                    f"{option}: can't be combined with x_val, whose rows it says nothing of; give all rows as x and y, "
                    "and splits=[(training rows, validation rows)]"
                )
    drawn = isinstance(splits, int | np.integer)
    for option, value in (("val_split", val_split), ("split_seed", seeds[0] or None)):
        if not drawn and value is not None:
            raise ObjectiveError(
                f"{option}: can't be combined with splits that say which rows they take, got {value}; leave one of them out"
            )
    if time is None:
        return
    if groups is not None:
        raise ObjectiveError(
            "groups: can't be combined with time, since a group may last through all of it; leave one of them out"
        )
    if drawn and not one:
        raise ObjectiveError(
            f"splits: with time nothing is drawn, got {splits}; TimeSeriesSplit({splits}) gives as many splits in order"
        )
    for option, seed in zip(("split_seed", "holdout_seed"), seeds, strict=True):
        if seed:
            raise ObjectiveError(f"{option}: with time nothing is drawn, got {seed}; leave it out")


def _is_count(splits: Any) -> bool:
    return isinstance(splits, int | np.integer) and bool(splits >= 1)


def _arrays_of(x_name: str, x: Any, y_name: str, y: Any) -> tuple[Any, Any]:
    """Inputs and targets, those of a dataset too."""
    if is_source(x):
        if y is not None:
            raise ObjectiveError(
                f"{y_name}: can't be combined with a {type(x).__name__}, which gives targets itself; leave it out"
            )
        return read(x_name, x)
    if y is None and x_name == "x":
        raise ObjectiveError("y: must be given with x, got None; only a dataset as x gives targets itself")
    return x, y


def _same_rows(x_name: str, x: Any, y_name: str, y: Any) -> int:
    x_rows, y_rows = rows_of(x_name, x), rows_of(y_name, y)
    if x_rows != y_rows:
        raise ObjectiveError(
            f"{y_name}: must have as many rows as {x_name}, got {y_rows} and {x_rows}; "
            "check how they were selected"
        )
    return x_rows


def _describe(preprocess: Any) -> str:
    """What a transformer is, in words that are the same on every machine."""
    if preprocess is None:
        return "none"
    kind = type(preprocess)
    options = preprocess.get_params(deep=False) if hasattr(preprocess, "get_params") else {}
    shown = {
        key: _describe(value) if hasattr(value, "get_params") else repr(value)
        for key, value in sorted(options.items())
    }
    return f"{kind.__module__}.{kind.__qualname__}({shown})"


def _check_transformer(preprocess: Any) -> None:
    kind = preprocess if isinstance(preprocess, type) else type(preprocess)
    if preprocess is kind or not all(hasattr(kind, method) for method in ("fit", "transform", "get_params")):
        what = f"the class {kind.__name__}" if preprocess is kind else kind.__name__
        raise ObjectiveError(
            f"preprocess: must be a scikit-learn transformer, got {what}; for example StandardScaler()"
        )


def _fitted(preprocess: Any, train: Any) -> Any:
    """A clone of the transformer, fitted on the training inputs."""
    from sklearn.base import clone

    if not isinstance(train, np.ndarray):
        raise ObjectiveError(
            f"preprocess: needs x to be one array, got a {type(train).__name__}; "
            "transform several inputs inside the model function"
        )
    return clone(preprocess).fit(train)


def _transform(fitted: Any, part: np.ndarray, *, nan: bool) -> np.ndarray:
    found = fitted.transform(part)
    if hasattr(found, "tocsr"):
        raise ObjectiveError(
            f"preprocess: must give dense arrays, got sparse from {type(fitted).__name__}; "
            "set sparse_output=False"
        )
    return as_arrays("x after preprocess", found, nan=nan)
