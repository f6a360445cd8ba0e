"""One TensorFlow thread, as trials run, and real data ready to train on."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

if TYPE_CHECKING:
    import numpy as np

try:
    import tensorflow as tf
except ImportError:
    collect_ignore_glob = ["test_*.py"]
else:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


class Data(NamedTuple):
    """Training and validation arrays."""

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray


@pytest.fixture(scope="session")
def cancer():
    """Breast cancer, standardised: 120 rows to train (no multiple of 32), 71 to validate."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    y = y.astype("float32")
    return Data(x[:120], y[:120], x[120:191], y[120:191])


@pytest.fixture(scope="session")
def digits():
    """Handwritten digits as 8 x 8 images with one channel: 110 rows to train, 50 to validate."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
    return Data(x[:110], y[:110], x[110:160], y[110:160])


@pytest.fixture(scope="session", autouse=True)
def _prepared():
    """As before a round: the collection after each trial then only looks at what came later."""
    from refine.keras._session import prepare

    prepare(1)


def pytest_collection_modifyitems(items):
    """Warnings are errors; this one comes from Keras reading a TensorFlow variable under NumPy 2."""
    folder = pathlib.Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            text = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
            item.add_marker(pytest.mark.filterwarnings(text))
