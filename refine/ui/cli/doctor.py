"""The command doctor, which checks the installation."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from typer import Option

from refine.errors import RefineError, ReviewError
from refine.ui.cli.shared import LOOK, NO, MaybeInTree, Output, Removal, command, put_json, show
from refine.ui.cli.spelling import quoted
from refine.utils.display import Cell, Grid, Page
from refine.utils.extras import EXTRAS, how, is_there
from refine.utils.format import plural

_LEAST_DISK = 1e9


class Probe(NamedTuple):
    """One check of the installation."""

    check: str
    verdict: str  # "good", "warn" or "bad"
    result: str  # the finding, and a remedy


@command(LOOK)
def doctor(
    target: MaybeInTree,
    out: Output,
    quick: Annotated[bool, Option("--quick", help="Skip Keras and workers, which take seconds.")] = False,
    repair: Annotated[
        bool, Option("--repair", help="Remove the unreadable rows of a tree of STORE instead.")
    ] = False,
    *,
    removal: Removal,
) -> None:
    """Check packages, Keras, workers, disk and a store. Exit code 3 if a check fails, or damage remains."""
    store = target.store
    if repair:
        _repair(target, out, removal)
        return
    if target.name or removal.options():
        raise ReviewError("--tree, --yes, --note and --author are for --repair; leave them out")
    probes = [*_machine(), *_packages()]
    probers: dict[str, Callable[[], Iterable[Probe]]] = {}
    if not quick:
        probers = {"Keras": _keras, "workers": _workers}
    if store is not None:
        probers["store"] = partial(_store, store)
    for name, prober in probers.items():
        try:
            probes += prober()
        except Exception as error:  # noqa: BLE001  # any failure is a result of the check
            kind = f"{type(error).__name__}: " * (not isinstance(error, RefineError))
            probes.append(Probe(name, "bad", f"{kind}{error}"))
    worst = any(probe.verdict == "bad" for probe in probes)
    if out.as_json:
        put_json([{"what": p.check, "verdict": p.verdict, "says": p.result} for p in probes])
    else:
        rows = [(Cell(p.check, "strong"), Cell(p.verdict, p.verdict), p.result) for p in probes]
        title = "All required checks passed"
        if worst:
            title = "A check failed"
        show(Page(title, [Grid(("check", "verdict", "result"), rows, wide=(2,))]))
    if worst:
        raise typer.Exit(NO)


def _repair(target: MaybeInTree, out: Output, removal: Removal) -> None:
    """Prints the unreadable rows of a tree, and removes them after confirmation."""
    if target.store is None:
        raise ReviewError("--repair needs a STORE, got none; write refine doctor STORE --repair")
    with target.tree() as tree:
        damage = tree.repair(dry_run=True)
        if damage.rows:
            if not (removal.confirmed or out.as_json):
                out.put(damage)
            damage = tree.repair(**removal.ask(f"Remove {len(damage.rows):,} damaged rows for good?"))
        out.put(damage)


def _verdict(passes: bool, otherwise: str = "bad") -> str:
    if passes:
        return "good"
    return otherwise


def _machine() -> Iterator[Probe]:
    from refine._version import VERSION

    yield Probe("Python", "good", sys.version.split()[0])
    yield Probe("refine", "good", f"{VERSION}, at {Path(__file__).parents[2]}")
    for name, path in (("disk here", Path.cwd()), ("disk for temporary files", tempfile.gettempdir())):
        free = shutil.disk_usage(path).free
        yield Probe(name, _verdict(free >= _LEAST_DISK, "warn"), f"{free / 1e9:.1f} GB free at {path}")


def _packages() -> Iterator[Probe]:
    from importlib import metadata

    from packaging.requirements import Requirement

    wrong = []
    versions = []
    for text in metadata.requires("refine-hpo") or ():
        needed = Requirement(text)
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                wrong.append(f"{needed.name} is missing")
            continue
        if needed.name != "refine-hpo":  # an extra of extras
            versions.append(f"{needed.name} {version}")
            if not needed.specifier.contains(version, prereleases=True):
                wrong.append(f"{needed.name} {version} is not {needed.specifier}")
    result = ", ".join(versions)
    if wrong:
        result = "; ".join([*wrong, "reinstall: pip install --upgrade refine-hpo"])
    yield Probe("packages", _verdict(not wrong), result)
    yield from (Probe(name, "warn", f"not installed: {how(name)}") for name in EXTRAS if not is_there(name))


def _keras() -> Iterator[Probe]:
    if not is_there("keras"):
        return
    from refine.keras._backend import BACKEND, devices, quietly

    versions = [importlib.import_module(name).__version__ for name in ("keras", BACKEND)]
    with quietly():  # TensorFlow logs complaints about missing devices
        device_names = ", ".join(devices())
    fast = BACKEND == "tensorflow"
    result = f"{versions[0]} on {BACKEND} {versions[1]}, {device_names}"
    if not fast:
        result += "; refine.keras.fit is model.fit there, and faster with KERAS_BACKEND=tensorflow"
    yield Probe("Keras", _verdict(fast, "warn"), result)


def _objective(params: dict[str, float]) -> float:
    return params["x"]


def _workers() -> Iterator[Probe]:
    import refine

    with tempfile.TemporaryDirectory() as folder, refine.Tree("doctor", Path(folder) / "doctor.db") as tree:
        tried = tree.add_round({"x": (0.0, 1.0, 4)}, _objective, n=4).run(
            machine=refine.Machine(workers=2, progress=False)
        )
        done = int((tried.trials["state"] == "complete").sum())
    result = f"two subprocesses ran {done} of 4 trials into a store of their own"
    yield Probe("workers", _verdict(done == 4), result)


def _store(store: str) -> Iterator[Probe]:
    from contextlib import closing

    import refine
    from refine.store.engine import wal_of
    from refine.store.schema import SCHEMA_VERSION
    from refine.store.store import Store, check_exists

    check_exists(store)
    with closing(Store(store, create=False)) as database:
        trees = database.trees()
        yield Probe(
            "store", "good", f"{database.name}: {', '.join(trees) or 'no tree'}; schema {SCHEMA_VERSION}"
        )
        if database.engine.dialect.name == "sqlite":
            wal, size = wal_of(Path(database.url.database or ""))
            if size:
                text = (
                    f"{size:,} bytes of recent writes are in {wal.name}: "
                    "copy the store with refine export STORE --backup FILE"
                )
                yield Probe("copies", "warn", text)
            integrity = database.integrity()
            text = f"{integrity}; export what can be read: refine export"
            if integrity == "ok":
                text = "every page is sound"
            yield Probe("file", _verdict(integrity == "ok"), text)
        for name in trees:
            with refine.Tree(name, store, create=False) as tree:
                damage = tree.repair(dry_run=True)
            if damage.rows:
                call = f"refine doctor {quoted(store)} --repair --tree {quoted(name)}"
                rows = "; ".join(map(str, damage.rows[:3]))
                count = plural(len(damage.rows), "unreadable row")
                yield Probe("damage", "bad", f"{count} of {name} ({rows}); remove: {call}")
        rounds = {
            s.pk: f"round {i} of {name}"
            for name in trees
            for i, s in database.nodes(database.tree(name)).items()
        }
        for lease in database.leases():
            holder = f"process {lease.pid} on {lease.host}"
            state = f"was abandoned by {holder}; the next run takes over"
            if lease.alive:
                state = f"is being run by {holder}"
            yield Probe("lease", "good", f"{rounds[lease.node]} {state}")
