"""`refine.keras.fit` beyond equality: callbacks, seeds, what goes to `Model.fit`, errors, memory."""

import keras
import numpy as np
import pytest
from keras import layers

import refine.keras
from refine.errors import RefineWarning
from refine.keras import _notices

OWN_STEP = pytest.mark.filterwarnings("ignore:refine.keras.fit. running Keras' own step")


@pytest.fixture(autouse=True)
def _say_again(monkeypatch):
    """Each test may be warned of every reason once more."""
    monkeypatch.setattr(_notices, "warned_texts", set())


def small(rate=0.0, metrics=("acc",)):
    hidden = [layers.Dense(5, activation="relu"), layers.Dropout(rate)]
    model = keras.Sequential([keras.Input((30,)), *hidden, layers.Dense(1, activation="sigmoid")])
    adam = keras.optimizers.Adam(0.01)
    model.compile(adam, "binary_crossentropy", metrics=list(metrics), jit_compile=False)
    return model


def noting(*names):
    """A callback that notes which of its hooks are called, with which epochs and names of logs."""

    def hook(name):
        def call(self, *arguments):
            self.seen.append(
                (
                    name,
                    *(sorted(argument) if isinstance(argument, dict) else argument for argument in arguments),
                )
            )

        return call

    hooks = {f"on_{name}": hook(name) for name in names}
    return type(
        "Noting",
        (keras.callbacks.Callback,),
        {**hooks, "seen": property(lambda self: vars(self).setdefault("_seen", []))},
    )


TRAINING = ("train_begin", "epoch_begin", "epoch_end", "train_end")
LogOfTests = noting(*TRAINING, "test_begin", "test_end")


@OWN_STEP
def test_callbacks_are_called_in_the_order_of_keras(cancer):
    for kind in (noting(*TRAINING), LogOfTests):
        logs = []
        for fit in (keras.Model.fit, refine.keras.fit):
            logs.append(kind())
            data = {"validation_data": (cancer.x_val, cancer.y_val), "epochs": 2, "verbose": 0}
            fit(small(), cancer.x, cancer.y, callbacks=logs[-1:], **data)
        assert logs[1].seen == logs[0].seen
    _notices.warned_texts.clear()
    with pytest.warns(RefineWarning, match="Noting"):
        refine.keras.fit(small(), cancer.x, cancer.y, validation_split=0.3, callbacks=[LogOfTests()])


def test_checkpoint_saves_the_document_metrics(cancer, tmp_path):
    model = small(metrics=("acc", refine.keras.fmeasure))
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


def test_nan_ends_training_and_verbose_prints(cancer, capsys):
    # In a target: some kernels of a relu turn a NaN among the inputs into 0, by where the row lies in
    # its batch.
    y = cancer.y.astype("float32")
    y[5] = np.nan
    watch = keras.callbacks.TerminateOnNaN()
    history = refine.keras.fit(small(), cancer.x, y, epochs=5, callbacks=[watch], verbose=2)
    assert history.epoch == [0]
    printed = capsys.readouterr().out
    assert "Invalid loss" in printed
    assert [line for line in printed.splitlines() if line.startswith("Epoch")] == ["Epoch 1/5"]


@OWN_STEP
def test_shuffling_takes_every_row_once_an_epoch_by_one_trace():
    traces = []

    class Rows(keras.Model):
        def __init__(self):
            super().__init__()
            self.seen = keras.metrics.Sum(name="seen")
            self.dense = layers.Dense(1)

        def call(self, x):
            traces.append(x.shape)
            return self.dense(x)

        def train_step(self, data):
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
    assert len(traces) <= 4  # building, in the loop, and the last batch, whose logs are kept


class OnBatch(keras.callbacks.Callback):
    """Acts on batches."""

    def on_train_batch_end(self, batch, logs=None):
        pass


LATE = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"callbacks": [OnBatch()]}, "callback OnBatch acts on batches"),
        ({"callbacks": [LATE]}, "callback LambdaCallback acts on batches"),
        ({"shuffle": "batch"}, 'shuffle="batch" is given'),
    ],
)
def test_options_that_only_keras_supports_go_to_keras_with_one_warning(options, because, cancer):
    model = small()
    with pytest.warns(RuntimeWarning, match=because):
        history = refine.keras.fit(model, cancer.x, cancer.y, epochs=2, **options)
    assert len(history.history["loss"]) == 2
    refine.keras.fit(model, cancer.x, cancer.y, **options)


class Fixed(keras.Model):
    """Needs the size of a batch."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x) * keras.ops.ones((int(x.shape[0]), 1))


def test_data_and_models_that_only_keras_takes_go_there(cancer):
    import scipy.sparse
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((cancer.x, cancer.y)).batch(32)
    with pytest.warns(RuntimeWarning, match="Dataset"):
        refine.keras.fit(small(), dataset, shuffle=False)
    with pytest.warns(RuntimeWarning, match="sparse"):
        refine.keras.fit(small(), scipy.sparse.csr_matrix(cancer.x), cancer.y)
    with pytest.warns(RuntimeWarning, match="validation_data"):
        refine.keras.fit(small(), cancer.x, cancer.y, validation_data=dataset)
    model = Fixed()
    model.compile("adam", "mse", jit_compile=False)
    with pytest.warns(RuntimeWarning, match="traced"):
        history = refine.keras.fit(model, cancer.x, cancer.y, batch_size=40)
    assert len(history.history["loss"]) == 1
    bare = keras.Sequential([layers.Dense(1)])
    with pytest.warns(RuntimeWarning, match="not compiled"), pytest.raises(ValueError, match="comp"):
        refine.keras.fit(bare, cancer.x, cancer.y)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"y": np.zeros(119)}, "Make sure all arrays contain the same number of samples"),
        ({"batch_size": 0}, "batch_size: must be at least 1, got 0; 32 is"),
        (
            {"class_weight": {0: 1}, "sample_weight": np.ones(120)},
            "cannot `class_weight` and `sample_weight`",
        ),
        ({"validation_split": 2}, "validation_split: must be between 0 and 1, got 2"),
        (
            {"validation_data": np.zeros((40, 3))},
            (
                r"^validation_data: must be \(x, y\) or \(x, y, sample_weight\), got one array of "
                r"shape \(40, 3\)$"
            ),
        ),
    ],
)
def test_wrong_arguments_of_fit_are_refused(options, text, cancer):
    with pytest.raises(ValueError, match=text):
        refine.keras.fit(small(), cancer.x, **{"y": cancer.y, **options})


def test_data_that_are_split_and_left_to_keras_are_split_once():
    class Stubborn(keras.Sequential):
        tries = 0

        def train_step(self, data):
            type(self).tries += 1
            if type(self).tries == 1:
                raise ValueError("not at the first try")
            return super().train_step(data)

    def trained(kind, fitted):
        keras.utils.set_random_seed(1)
        model = kind([keras.Input((3,)), layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=False)
        x = np.random.RandomState(0).normal(size=(40, 3)).astype("float32")
        options = {"validation_split": 0.5, "shuffle": False, "verbose": 0, "batch_size": 5}
        return fitted(model, x, x[:, :1], **options).history

    with pytest.warns(RefineWarning, match="model.fit"):
        calls = trained(Stubborn, refine.keras.fit)
    assert calls == trained(keras.Sequential, keras.Sequential.fit)
