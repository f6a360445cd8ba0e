"""How often data lie in memory: measured in a process of its own."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = """
import json, pathlib, re
import keras, numpy as np
from refine.keras import KerasObjective, fit
from refine.run.objective import RunningTrial

def linear(x, y, x_val, y_val, params):
    model = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return fit(model, x, y, validation_data=(x_val, y_val), epochs=2, batch_size=4096), model

def memory(field):
    return int(re.search(field + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024

def peak_of(work):
    before = memory("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    found = work()
    return found, (memory("VmHWM") - before) / size

def rows(n):
    return np.random.default_rng(0).standard_normal((n, 100), dtype="float32")

KerasObjective(linear, rows(20_000), np.zeros(20_000), holdout=0.2)({}, RunningTrial(1))  # what is needed once
x = rows(250_000)
size = x.nbytes / 2**20
objective, making = peak_of(lambda: KerasObjective(linear, x, x[:, 0], holdout=0.2))
metrics, running = peak_of(lambda: objective({}, RunningTrial(1)))
print(json.dumps([making, running, metrics["val_loss"]]))
"""


@pytest.mark.nightly
@pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux")
def test_an_objective_takes_its_data_once_and_a_trial_no_more():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    making, running, loss = json.loads(done.stdout.strip().splitlines()[-1])
    assert loss < 1
    assert 0.9 < making < 1.3  # sealed rows, those to train and to validate on: 1.05 and more is no copy
    assert making + running < 1.6
