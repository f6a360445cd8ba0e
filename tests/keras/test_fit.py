"""`refine.keras.fit` beyond equality: callbacks, seeds, what goes to `Model.fit`, errors, memory."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
from keras import layers

import refine.keras
from refine.errors import RefineWarning
from refine.keras import _notices

if TYPE_CHECKING:
    import pathlib


@pytest.fixture(autouse=True)
def _say_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test may be warned of every reason once more."""
    monkeypatch.setattr(_notices, "said", set())


def small(rate: float = 0.0, lr: float = 0.01) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((30,)),
            layers.Dense(5, activation="relu"),
            layers.Dropout(rate),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(lr), "binary_crossentropy", metrics=["acc"], jit_compile=False)
    return model


def both(cancer: Any, make: Any, **options: Any) -> tuple[Any, Any]:
    """Histories of `Model.fit` and of ours, each with callbacks of its own."""
    results = []
    for ours in (False, True):
        keras.utils.set_random_seed(1)
        model = small()
        arguments = {
            "validation_data": (cancer.x_val, cancer.y_val),
            "verbose": 0,
            "shuffle": False,
            "callbacks": make(),
            **options,
        }
        run = (lambda *a, m=model, **k: refine.keras.fit(m, *a, **k)) if ours else model.fit
        results.append(run(cancer.x, cancer.y, **arguments))
    return results[0], results[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: [keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=0.05)],
        lambda: [
            keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=0.05, restore_best_weights=True)
        ],
        lambda: [keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=0.1)],
        lambda: [keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5)],
        lambda: [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
        lambda: [keras.callbacks.TerminateOnNaN()],
    ],
    ids=["stop", "restore", "plateau", "schedule", "lambda", "nan"],
)
def test_callbacks_act_as_in_keras(make: Any, cancer: Any) -> None:
    expected, found = both(cancer, make, epochs=6)
    assert list(found.history) == list(expected.history)
    assert found.epoch == expected.epoch
    for name, values in expected.history.items():
        np.testing.assert_allclose(found.history[name], values, atol=1e-5, err_msg=name)
    for mine, other in zip(found.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)


def test_callbacks_are_called_in_the_order_of_keras(cancer: Any) -> None:
    class Log(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []

        def on_train_begin(self, logs: Any = None) -> None:
            self.seen.append("train begin")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.seen.append(("begin", epoch))

        def on_test_begin(self, logs: Any = None) -> None:
            self.seen.append("test begin")

        def on_test_end(self, logs: Any = None) -> None:
            self.seen.append(("test end", sorted(logs)))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen.append(("end", epoch, sorted(logs)))

        def on_train_end(self, logs: Any = None) -> None:
            self.seen.append(("train end", sorted(logs)))

    logs: list[Log] = []

    def make() -> list[Log]:
        logs.append(Log())
        return logs[-1:]

    both(cancer, make, epochs=2)
    assert logs[1].seen == logs[0].seen


def test_checkpoint_saves_the_document_metrics(cancer: Any, tmp_path: pathlib.Path) -> None:
    model = small()
    model.compile("adam", "binary_crossentropy", metrics=["acc", refine.keras.fmeasure])
    path = tmp_path / "best.keras"
    saver = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
    validation = (cancer.x_val, cancer.y_val)
    history = refine.keras.fit(
        model, cancer.x, cancer.y, validation_data=validation, epochs=2, callbacks=[saver]
    )
    loaded = keras.saving.load_model(path).evaluate(*validation, verbose=0, return_dict=True)
    best = int(np.argmin(history.history["val_loss"]))
    assert loaded["loss"] == pytest.approx(history.history["val_loss"][best], abs=1e-5)
    assert loaded["fmeasure"] == pytest.approx(history.history["val_fmeasure"][best])


def test_nan_ends_training(cancer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    # In a target: some kernels of a relu turn a NaN among the inputs into 0, by where the row lies in its batch.
    y = cancer.y.astype("float32")
    y[5] = np.nan
    history = refine.keras.fit(small(), cancer.x, y, epochs=5, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert history.epoch == [0]
    assert "Invalid loss" in capsys.readouterr().out


def test_verbose_prints_a_line_per_epoch(cancer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    refine.keras.fit(small(), cancer.x, cancer.y, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    assert sum("loss:" in line for line in lines) == 2


def test_a_seed_gives_the_same_bits_after_anything(cancer: Any) -> None:
    x = np.random.RandomState(0).normal(size=(70, 30))
    y = x[:, 0] > 0

    def run(seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        return refine.keras.fit(small(0.3), x, y, epochs=3, batch_size=8).history

    first = run(11)
    keras.random.normal((3,))
    refine.keras.fit(small(0.5), cancer.x, cancer.y)
    assert run(11) == first
    assert run(12) != first


@pytest.mark.filterwarnings("ignore:refine.keras.fit. running Keras' own step")
def test_shuffling_takes_every_row_once_an_epoch() -> None:
    class Rows(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.seen = keras.metrics.Sum(name="seen")
            self.dense = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def train_step(self, data: Any) -> Any:
            x, y = data
            self(x)
            self.seen.update_state(y)
            return {"seen": self.seen.result(), "last": y[-1]}

    model = Rows()
    model.compile("sgd", "mse")
    y = (2 ** np.arange(10)).astype("float32")
    history = refine.keras.fit(model, np.ones((10, 2)), y, epochs=6, batch_size=3).history
    assert history["seen"] == [1023.0] * 6
    assert len(set(history["last"])) > 1


def test_model_is_freed(cancer: Any) -> None:
    model = small()
    refine.keras.fit(model, cancer.x, cancer.y, epochs=2)
    reference = weakref.ref(model)
    del model
    keras.utils.clear_session()
    gc.collect()
    assert reference() is None


@pytest.mark.filterwarnings("ignore:refine.keras.fit. running Keras' own step")
def test_batches_are_values_of_one_trace(cancer: Any) -> None:
    traces = []

    class Counting(layers.Layer):
        def call(self, x: Any) -> Any:
            traces.append(x.shape)
            return x

    model = keras.Sequential([keras.Input((30,)), Counting(), layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=False)
    traces.clear()
    refine.keras.fit(model, cancer.x, cancer.y, batch_size=50, epochs=20, validation_split=0.3)
    assert len(traces) <= 3  # building metrics, one for training, one for validation


class OnBatch(keras.callbacks.Callback):
    """Acts on batches."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"callbacks": [OnBatch()]}, "callback OnBatch acts on batches"),
        (
            {"callbacks": [keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]},
            "callback LambdaCallback acts on batches",
        ),
        ({"steps_per_epoch": 2}, "steps_per_epoch is given"),
        ({"shuffle": "batch"}, 'shuffle="batch" is given'),
    ],
)
def test_what_only_keras_can_do_goes_there_and_says_so(
    options: dict[str, Any], because: str, cancer: Any
) -> None:
    model = small()
    with pytest.warns(RuntimeWarning, match=because):
        history = refine.keras.fit(model, cancer.x, cancer.y, epochs=2, **options)
    assert len(history.history["loss"]) == 2
    if "steps_per_epoch" not in options:
        refine.keras.fit(model, cancer.x, cancer.y, **options)  # said once, not twice


def test_datasets_and_sparse_data_go_to_keras(cancer: Any) -> None:
    import scipy.sparse
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((cancer.x, cancer.y)).batch(32)
    with pytest.warns(RuntimeWarning, match="Dataset, which is no array"):
        refine.keras.fit(small(), dataset, shuffle=False)
    with pytest.warns(RuntimeWarning, match="sparse"):
        refine.keras.fit(small(), scipy.sparse.csr_matrix(cancer.x), cancer.y)
    with pytest.warns(RuntimeWarning, match="validation_data is a"):
        refine.keras.fit(small(), cancer.x, cancer.y, validation_data=dataset)


def test_eager_and_uncompiled_models_go_to_keras(cancer: Any) -> None:
    model = small()
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        refine.keras.fit(model, cancer.x[:20], cancer.y[:20])
    bare = keras.Sequential([layers.Dense(1)])
    with (
        pytest.warns(RuntimeWarning, match="not compiled"),
        pytest.raises(ValueError, match="comp"),
    ):
        refine.keras.fit(bare, cancer.x, cancer.y)


def test_layers_that_need_the_size_of_a_batch_go_to_keras(cancer: Any) -> None:
    class Fixed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x) * keras.ops.ones((int(x.shape[0]), 1))

    model = Fixed()
    model.compile("adam", "mse", jit_compile=False)
    with pytest.warns(RuntimeWarning, match="it could not be traced"):
        history = refine.keras.fit(model, cancer.x, cancer.y, batch_size=40)
    assert len(history.history["loss"]) == 1


def test_errors_say_what_is_wrong(cancer: Any) -> None:
    with pytest.raises(ValueError, match="same number of rows, got \\[119, 120\\]"):
        refine.keras.fit(small(), cancer.x, cancer.y[1:])
    with pytest.raises(ValueError, match="batch_size: must be at least 1, got 0; 32 is"):
        refine.keras.fit(small(), cancer.x, cancer.y, batch_size=0)
    with pytest.raises(ValueError, match="can't be combined with sample_weight"):
        refine.keras.fit(small(), cancer.x, cancer.y, class_weight={0: 1}, sample_weight=cancer.y)
    with pytest.raises(ValueError, match="validation_split: must be between 0 and 1, got 2"):
        refine.keras.fit(small(), cancer.x, cancer.y, validation_split=2)


def test_what_is_split_and_then_left_to_keras_is_split_once():
    class Stubborn(keras.Sequential):
        tries = 0

        def train_step(self, data):
            type(self).tries += 1
            if type(self).tries == 1:
                raise ValueError("not at the first try")
            return super().train_step(data)

    def trained(kind, fitted):
        keras.utils.set_random_seed(1)
        model = kind([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=False)
        x = np.random.RandomState(0).normal(size=(40, 3)).astype("float32")
        return fitted(
            model, x, x[:, :1], validation_split=0.5, shuffle=False, verbose=0, batch_size=5
        ).history

    with pytest.warns(
        RefineWarning, match="using model.fit, because it could not be traced .not at the first try"
    ):
        found = trained(Stubborn, refine.keras.fit)
    assert found == trained(keras.Sequential, keras.Sequential.fit)
