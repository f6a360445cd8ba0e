"""Random kill -9 of coordinators and workers during a Keras round; then the table must be that of a calm round.

    python benchmarks/kills.py                      20 kills
    python benchmarks/kills.py --kills 2 --n 8      as the tests do it

Each kill hits a process drawn among the coordinator and its workers, at a random moment after at least one more trial
has been stored. A dead coordinator is started again, as anybody would: the same script. Two kills in a row may meet the
same trial, which is then recorded as crashed, so the script runs those again.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import refine

SCRIPT = """
import sys
import keras
import refine
from refine.keras import KerasObjective
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

def model(x_train, y_train, x_val, y_val, params):
    net = keras.Sequential([
        keras.layers.Input((30,)),
        keras.layers.Dense(params["units"], activation="relu"),
        keras.layers.Dropout(params["dropout"]),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    net.compile(keras.optimizers.Adam(params["lr"]), "binary_crossentropy", metrics=["acc"])
    history = net.fit(x_train, y_train, batch_size=32, epochs=3, verbose=0, validation_data=(x_val, y_val))
    return history, net

x, y = load_breast_cancer(return_X_y=True)
objective = KerasObjective(model, x, y, preprocess=StandardScaler(), name="kills")
tree = refine.Tree("kills", store=sys.argv[1])
space = {"units": [4, 8, 16, 32], "dropout": (0.0, 0.5, 6), "lr": (0.001, 0.01, 10)}
found = tree.add_round(space, objective, metric="val_acc", n=int(sys.argv[2]), seed=1)
found.run(workers=2, progress=False)
found.run(workers=2, progress=False, rerun="crashed")
print("finished", len(found.trials))
"""


def stored(store: Path) -> int:
    """How many trials are in the store."""
    try:
        with refine.Tree("kills", store=store, create=False) as tree:
            return len(tree.rounds[0].trials)
    except (refine.errors.StoreError, IndexError):
        return 0


def table(store: Path):
    """Everything but seconds, in the order of the design's cells."""
    with refine.Tree("kills", store=store, create=False) as tree:
        (found,) = tree.rounds
        return found.trials.drop(columns="seconds").sort_values("cell").reset_index(drop=True)


def disturbed(command: list[str], store: Path, kills: int, seed: int) -> list[str]:
    """Runs the script with kills until it has finished; what was hit, in order."""
    draw, hit, seen = random.Random(seed), [], 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        while True:
            if process.poll() is not None:
                if process.returncode == 0:
                    return hit
                if process.returncode != -signal.SIGKILL:
                    raise SystemExit(f"the script ended by itself with {process.returncode}")
                process.communicate()
                process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            time.sleep(0.1)
            if len(hit) >= kills or (now := stored(store)) <= seen:
                continue
            seen = now
            time.sleep(draw.uniform(0, 1.0))
            with contextlib.suppress(psutil.Error):
                coordinator = psutil.Process(process.pid)
                workers = coordinator.children(recursive=True)
                victim = coordinator if draw.random() < 0.4 else draw.choice(workers or [coordinator])
                victim.kill()
                hit.append("coordinator" if victim is coordinator else "worker")
                if victim is coordinator:
                    process.wait()
                    _, alive = psutil.wait_procs(workers, timeout=30)
                    if alive:
                        raise SystemExit(f"{len(alive)} workers outlived their coordinator by 30 s")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def main(kills: int, n: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "round.py"
        script.write_text(SCRIPT)
        command = [sys.executable, str(script)]
        started = time.monotonic()
        hit = disturbed([*command, str(folder / "killed.db"), str(n)], folder / "killed.db", kills, seed)
        took = time.monotonic() - started
        started = time.monotonic()
        subprocess.run([*command, str(folder / "calm.db"), str(n)], check=True, stdout=subprocess.DEVNULL)
        calm = time.monotonic() - started
        first, second = table(folder / "killed.db"), table(folder / "calm.db")
        print(
            f"{len(hit)} kills -9: {hit.count('coordinator')} coordinators, {hit.count('worker')} workers; "
            f"{len(first)} trials, {took:.0f} s (undisturbed {calm:.0f} s)"
        )
        print("in this order:", " ".join(hit))
        same = first.equals(second)
        print(f"all {first.shape[1]} columns but seconds identical to the undisturbed round: {same}")
        if not same or len(hit) < kills:
            print(first.compare(second) if first.shape == second.shape else (first.shape, second.shape))
            raise SystemExit(f"{len(hit)} of {kills} kills, identical: {same}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    main(arguments.kills, arguments.n, arguments.seed)
