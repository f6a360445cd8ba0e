"""Keras with tf.data: batches from a pipeline, augmented on the way, and a report of every epoch.

python examples/keras_tfdata.py 40
"""

import sys

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import refine

x, y = load_digits(return_X_y=True)
images = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
x_train, x_val, y_train, y_val = train_test_split(images, y, random_state=0)
SPACE = refine.Space(
    {
        "lr": refine.Float(1e-4, 0.1, log=True),
        "filters": refine.Integer(4, 16, step=4),
        "batch": refine.Integer(16, 128, base=2),
        "shift": [0, 1],
    }
)


def batches(params, seed):
    """The training rows, shuffled every epoch, and moved by up to `shift` pixels."""
    data = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(len(x_train), seed)
    data = data.batch(params["batch"], drop_remainder=True)
    if params["shift"]:
        move = layers.RandomTranslation(1 / 8, 1 / 8, fill_mode="constant", seed=seed)
        data = data.map(lambda image, label: (move(image, training=True), label))
    return data.prefetch(1)


def digits(params, trial):
    keras.utils.clear_session()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(params["filters"], 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(params["lr"]), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    report = keras.callbacks.LambdaCallback(on_epoch_end=trial.report)
    val = tf.data.Dataset.from_tensor_slices((x_val, y_val)).batch(512)
    history = model.fit(
        batches(params, trial.seed % 2**31),
        validation_data=val,
        epochs=5,
        shuffle=False,
        callbacks=[report],
        verbose=0,
    )
    return {name: values[-1] for name, values in history.history.items()}


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    tree = refine.Tree("digits", store="tfdata.db")
    print(tree.add_round(SPACE, digits, metric="val_accuracy", n=n, seed=1).run())
    print(tree.winner())
