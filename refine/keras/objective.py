"""A Keras model function as an objective."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from refine.errors import ObjectiveError
from refine.keras._code import check_model, digest_code, name_of
from refine.keras._history import curves_of
from refine.keras._kept import kept_values, noting_kept
from refine.keras._repeats import Listener, averaged
from refine.keras._session import own_session, prepare
from refine.keras._split import as_arrays, classes_of, digest, labels_of, rows_of, take, validation_rows
from refine.run.identity import check_name

_DEFAULT_SPLIT = 0.3
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


class KerasObjective:
    """Runs a model function, ``f(x_train, y_train, x_val, y_val, params)``.

    The function builds, compiles and trains a model and returns ``(history, model)``. Inside,
    ``model.fit`` works as ever and `refine.keras.fit` is the faster replacement. Call the objective
    with a configuration and the running trial; it returns every metric's value at the epoch whose weights the
    model keeps (the last one, or the one that ``EarlyStopping(restore_best_weights=True)`` went back to), and
    ``degenerate``: 1.0 if the model predicts the same for all validation rows (the same
    class, where the targets are classes), else 0.0.

    Every call starts from a cleared Keras session seeded with ``trial.seed``, so that the result
    depends on nothing that ran before, and frees its model at the end.

    Args:
        model: The function. It may live in a script or notebook.
        x: Inputs, one row per example: an array, a pandas frame, or a tuple, list or dict of arrays.
        y: Targets: shape (n,), (n, 1), or (n, outputs), or a structure of such.
        val_split: Share of rows to validate on, in (0, 1); 0.3 unless ``x_val`` is given. Rows are
            drawn by ``split_seed``, classes (binary, integer, one-hot) in proportion.
        x_val: Inputs to validate on, instead of a split.
        y_val: Targets to validate on, with ``x_val``.
        preprocess: A scikit-learn transformer; a clone is fitted on the training inputs and applied
            to both sides. For one two-dimensional ``x``.
        split_seed: Seed of the split.
        holdout: Share of rows, in (0, 1), that no round sees: taken off before anything else, classes in
            proportion. `Round.open_holdout` measures on them; see `holdout` below.
        holdout_seed: Seed of the hold-out alone: another ``split_seed`` splits the other rows anew and leaves the sealed
            ones sealed.
        splits: How many times to split anew, under seeds that follow from ``split_seed``. Every configuration is
            trained on each, which takes as many times as long; its metrics are the means, and those of
            validation are given by split as well: ``val_acc@1``, ``val_acc@2``, ... The hold-out stays the
            same, and is measured with the model of the first split.
        name: What the objective is called in node ids; by default the function's qualified name.

    Attributes:
        name: See above.
        fingerprint: Hex digest of data, split and ``preprocess``; the same on every machine.
        code: Hex digest of the function's source.
        transformer: ``preprocess`` as it was fitted on the training inputs (of the first split); for new inputs of
            `Round.best_model`.

    Raises:
        ObjectiveError: Arguments that can't work: different lengths, NaN, a share out of range, a
            function with other arguments, and so on.
    """

    def __init__(
        self,
        model: ModelFunction,
        x: Any,
        y: Any,
        *,
        val_split: float | None = None,
        x_val: Any = None,
        y_val: Any = None,
        preprocess: Any = None,
        split_seed: int = 0,
        holdout: float | None = None,
        holdout_seed: int = 0,
        splits: int = 1,
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
        self.code = digest_code(model)
        # Rows that are drawn are copies; those that are taken as they come stay the caller's.
        whole_sides = x_val is not None and holdout is None
        x, y = as_arrays("x", x, copy=whole_sides), as_arrays("y", y, copy=whole_sides)
        count = _same_rows("x", x, "y", y)
        sealed = None
        if holdout is not None:
            seal = int(digest("holdout", int(holdout_seed))[:8], 16)
            mask = validation_rows(y, count, float(holdout), seal, "holdout")
            sealed = take(x, mask), take(y, mask)
            whole = (x, y, "holdout", float(holdout), int(holdout_seed))
            x, y = take(x, ~mask), take(y, ~mask)
            count = int((~mask).sum())
        if (x_val is None) != (y_val is None):
            missing, given = ("x_val", "y_val") if x_val is None else ("y_val", "x_val")
            raise ObjectiveError(
                f"{missing}: must be given together with {given}, got None; pass both or neither"
            )
        drawn = x_val is None
        if x_val is not None:
            if val_split is not None:
                raise ObjectiveError(
                    f"val_split: can't be combined with x_val, got {val_split}; leave one of them out"
                )
            x_val, y_val = as_arrays("x_val", x_val, copy=True), as_arrays("y_val", y_val, copy=True)
            _same_rows("x_val", x_val, "y_val", y_val)
            parts: tuple[Any, ...] = (x, y, x_val, y_val)
            train_x, train_y = x, y
        else:
            share = _DEFAULT_SPLIT if val_split is None else val_split
            mask = validation_rows(y, count, float(share), split_seed)
            train_x, train_y = take(x, ~mask), take(y, ~mask)
            x_val, y_val = take(x, mask), take(y, mask)
            parts = (x, y, float(share), int(split_seed))
        if sealed is not None:
            parts = (*whole, *parts[2:])
        if isinstance(splits, bool) or not isinstance(splits, int) or splits < 1:
            raise ObjectiveError(f"splits: must be a whole number >= 1, got {splits!r}; 5 trains on 5 splits")
        if splits > 1 and not drawn:
            raise ObjectiveError(
                f"splits: can't be combined with x_val, got {splits}; leave x_val and y_val out"
            )
        repeated = ("splits", splits) if splits > 1 else ()
        self.fingerprint = digest(*parts, _describe(preprocess), *repeated)
        self._others = tuple(
            KerasObjective(
                model,
                x,
                y,
                val_split=val_split,
                preprocess=preprocess,
                split_seed=_nth(split_seed, j),
                name=self.name,
            )
            for j in range(1, splits)
        )
        self.transformer = None
        if preprocess is not None:
            others = (x_val,) if sealed is None else (x_val, sealed[0])
            self.transformer, (train_x, x_val, *rest) = _preprocess(preprocess, train_x, *others)
            sealed = None if sealed is None else (rest[0], sealed[1])
        self._data = (train_x, train_y, x_val, y_val)
        self._sealed = sealed
        self._freeze()

    @property
    def stops(self) -> bool:
        """Whether a round may stop a training early: not where one configuration is several trainings."""
        return not self._others

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
                _, metrics, model = self._fit(params)
                if not isinstance(model, keras.Model):
                    raise ObjectiveError(
                        f"the hold-out needs the trained keras model, got {type(model).__name__}: "
                        "return (history, model)"
                    )
                metrics = {k: v for k, v in metrics.items() if not k.startswith("val_")}
                found = model.evaluate(*self._sealed, verbose=0, return_dict=True)
                metrics |= {f"val_{name}": float(value) for name, value in found.items()}
                flag = self._degenerate(model, *self._sealed)
                return metrics if flag is None else {**metrics, "degenerate": float(flag)}
        finally:
            gc.collect()

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
        if self._others:
            return averaged([each._once for each in (self, *self._others)], params, trial)
        return self._once(params, trial)

    def _once(self, params: Mapping[str, Any], trial: RunningTrial) -> dict[str, float]:
        try:
            with own_session(int(trial.seed)):
                return self._train(params, trial)[0]
        finally:
            # Models are cycles of objects: only a collection frees them, once no name holds them.
            gc.collect()

    def _fit(self, params: Mapping[str, Any]) -> tuple[dict[str, list[float]], dict[str, float], Any]:
        """Curves of one training, the values of the epoch whose weights are kept, and the model."""
        with noting_kept():
            returned = self.model(*self._data, params)
        curves, model = curves_of(returned)
        return curves, kept_values(returned[0], model, curves), model

    def _train(self, params: Mapping[str, Any], trial: RunningTrial) -> tuple[dict[str, float], Any]:
        curves, metrics, model = self._fit(params)
        for epoch in range(max(map(len, curves.values()))):
            here = {name: values[epoch] for name, values in curves.items() if epoch < len(values)}
            trial.report(epoch, here)
        flag = self._degenerate(model, *self._data[2:])
        self._tell(model, trial)
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
                hears = Listener(int(trial.seed)) if self._others else trial
                metrics, model = self._train(params, hears)
        finally:
            gc.collect()
        if not isinstance(model, keras.Model):
            raise ObjectiveError(
                f"the function gives no keras model, got {type(model).__name__}: return (history, model)"
            )
        if self._others:
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
            threads: TensorFlow threads, within and between operations. If TensorFlow has already
                started with other numbers they stay, and a `RuntimeWarning` says so.
        """
        if isinstance(threads, bool) or int(threads) < 1:
            raise ObjectiveError(f"threads: must be at least 1, got {threads!r}; 1 is the default")
        prepare(int(threads))

    def _tell(self, model: Any, trial: RunningTrial) -> None:
        """Tells a trial that wants to know what the model predicts for the validation rows."""
        _, _, x_val, y_val = self._data
        tell = getattr(trial, "predicted", None)
        right = labels_of(y_val)
        if tell is None or right is None or not isinstance(model, keras.Model):
            return
        rows = np.linspace(0, len(right) - 1, min(len(right), _TOLD_ROWS)).round().astype(int)
        head = keras.tree.map_structure(lambda leaf: leaf[rows], x_val)
        try:
            out = np.asarray(model(head, training=False))
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
            out = np.asarray(model(head, training=False))
        except Exception:  # noqa: BLE001  # the function may feed its model something else than x_val
            return None
        if out.ndim > 2 or len(out) < 2 or len(out) != len(keras.tree.flatten(head)[0]):
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
        for leaf in keras.tree.flatten((self._data, self._sealed or ())):
            leaf.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._freeze()


def _nth(split_seed: int, j: int) -> int:
    """Seed of the j-th split after the first."""
    return int(digest("split", int(split_seed), j)[:8], 16)


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


def _preprocess(preprocess: Any, train: Any, *others: Any) -> tuple[Any, list[np.ndarray]]:
    from sklearn.base import clone

    if not isinstance(train, np.ndarray):
        raise ObjectiveError(
            f"preprocess: needs x to be one array, got a {type(train).__name__}; "
            "transform several inputs inside the model function"
        )
    fitted = clone(preprocess).fit(train)
    parts = [fitted.transform(part) for part in (train, *others)]
    if any(hasattr(part, "tocsr") for part in parts):
        raise ObjectiveError(
            f"preprocess: must give dense arrays, got sparse from {type(preprocess).__name__}; "
            "set sparse_output=False"
        )
    return fitted, [as_arrays("x after preprocess", part) for part in parts]
