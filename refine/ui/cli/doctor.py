"""The command that looks after everything else: does what refine needs work here?"""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from typer import Argument, Option

from refine.ui.cli.shared import LOOK, NO, Output, command, put_json, show
from refine.utils.display import Cell, Grid, Page
from refine.utils.extras import how, is_there

if TYPE_CHECKING:
    from refine.store.store import Store

_LEAST_DISK = 1e9
_OPTIONAL = {
    "keras": "Keras models: refine.keras",
    "optuna": "adaptive designs, and studies of Optuna",
    "cmaes": "design='cmaes'",
    "torch": "design='gp'",
    "starlette": "the review page in a browser",
    "anywidget": "the review page in a notebook",
    "plotly": "interactive figures: round.plot.interactive(...)",
    "psycopg": "stores on PostgreSQL",
    "distributed": "a Dask cluster of your own",
    "mcp": "assistants: refine mcp",
}
"""Packages of extras -> what needs them; trackers say so themselves."""


class Probe(NamedTuple):
    """One thing that was looked at.

    Attributes:
        what: The thing.
        verdict: ``"good"``, ``"warn"`` or ``"bad"``.
        says: What was found, and what to do about it.
    """

    what: str
    verdict: str
    says: str


@command(LOOK)
def doctor(
    out: Output,
    store: Annotated[str | None, Argument(metavar="STORE", help="A store to look into as well.")] = None,
    quick: Annotated[
        bool, Option("--quick", help="Leave out Keras and workers, which take seconds.")
    ] = False,
) -> None:
    """Check that what refine needs works here; exit code 3 where something does not."""
    steps: list[Callable[[], Iterator[Probe]]] = [_python, _packages, _disk]
    if not quick:
        steps += [_keras, _workers]
    found = [check for step in steps for check in step()]
    if store is not None:
        found += _store(store)
    worst = any(check.verdict == "bad" for check in found)
    if out.as_json:
        put_json([check._asdict() for check in found])
    else:
        rows = tuple((Cell(c.what, "strong"), Cell(c.verdict, c.verdict), c.says) for c in found)
        told = "Something does not work" if worst else "Everything that is needed works"
        show(Page(told, (Grid(("what", "verdict", "found"), rows, wide=(2,)),)))
    if worst:
        raise typer.Exit(NO)


def _python() -> Iterator[Probe]:
    from refine._version import VERSION

    version = sys.version.split()[0]
    good = sys.version_info >= (3, 11)
    yield Probe(
        "Python", "good" if good else "bad", f"{version}{'' if good else '; refine needs 3.11 or newer'}"
    )
    yield Probe("refine", "good", f"{VERSION}, at {Path(__file__).parents[2]}")


def _packages() -> Iterator[Probe]:
    from importlib import metadata

    from packaging.requirements import Requirement

    missing, versions = [], []
    for line in metadata.requires("refine-hpo") or ():
        needed = Requirement(line)
        always = needed.marker is None or needed.marker.evaluate({"extra": ""})
        if needed.name == "refine-hpo":  # an extra of extras
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            if always:
                missing.append(f"{needed.name} is missing")
            continue
        versions.append(f"{needed.name} {version}")
        if not needed.specifier.contains(version, prereleases=True):
            missing.append(f"{needed.name} {version} is not {needed.specifier}")
    if missing:
        yield Probe(
            "packages", "bad", f"{'; '.join(missing)}; install again: pip install --upgrade refine-hpo"
        )
    else:
        yield Probe("packages", "good", ", ".join(versions))
    for name, what in _OPTIONAL.items():
        if not is_there(name):
            yield Probe(name, "warn", f"not installed; only needed for {what}: {how(name)}")


def _disk() -> Iterator[Probe]:
    for what, path in (("disk here", Path.cwd()), ("disk for temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(path).free
        verdict = "good" if free >= _LEAST_DISK else "warn"
        yield Probe(what, verdict, f"{free / 1e9:.1f} GB free at {path}")


def _keras() -> Iterator[Probe]:
    if not is_there("keras"):
        return
    try:
        from refine.keras._backend import BACKEND, devices, quietly

        versions = [importlib.import_module(name).__version__ for name in ("keras", BACKEND)]
        with quietly():  # looking for devices, TensorFlow complains of those that are not there
            seen = ", ".join(devices())
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the person must know
        yield Probe("Keras", "bad", f"can't be imported: {type(error).__name__}: {error}")
        return
    fast = BACKEND == "tensorflow"
    more = "" if fast else "; refine.keras.fit is model.fit there, and faster with KERAS_BACKEND=tensorflow"
    found = f"{versions[0]} on {BACKEND} {versions[1]}, {seen}{more}"
    yield Probe("Keras", "good" if fast else "warn", found)


def _objective(params: dict[str, float]) -> float:
    return params["x"]


def _workers() -> Iterator[Probe]:
    import refine

    with tempfile.TemporaryDirectory() as folder, refine.Tree("doctor", Path(folder) / "doctor.db") as tree:
        found = tree.add_round({"x": (0.0, 1.0, 4)}, _objective, n=4)
        try:
            found.run(workers=2, progress=False)
        except Exception as error:  # noqa: BLE001  # as above
            yield Probe("workers", "bad", f"two can't be started: {error}")
            return
        done = int((found.trials["state"] == "complete").sum())
    verdict = "good" if done == 4 else "bad"
    yield Probe("workers", verdict, f"two subprocesses ran {done} of 4 trials into a store of their own")


def _store(store: str) -> Iterator[Probe]:
    from refine.errors import RefineError
    from refine.store.engine import url_of
    from refine.store.store import Store

    try:
        url = url_of(store)
        file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        if file is not None and not file.is_file():
            yield Probe("store", "bad", f"{store}: no such file")
            return
        database = Store(store)
    except RefineError as error:
        yield Probe("store", "bad", str(error))
        return
    try:
        yield from _contents(database, file)
    finally:
        database.close()


def _contents(database: Store, file: Path | None) -> Iterator[Probe]:
    from refine.store.schema import SCHEMA_VERSION

    trees = database.trees()
    rounds = {
        s.pk: f"round {i} of {name}" for name in trees for i, s in database.nodes(database.tree(name)).items()
    }
    yield Probe("store", "good", f"{database.name}: {', '.join(trees) or 'no tree'}; schema {SCHEMA_VERSION}")
    if file is not None:
        said = database.integrity()
        text = "every page is sound" if said == "ok" else f"{said}; export what can be read: refine export"
        yield Probe("file", "good" if said == "ok" else "bad", text)
    for held in database.leases():
        now = "is being run by" if held.alive else "was left behind by"
        more = "" if held.alive else "; whoever runs it next takes over"
        yield Probe("lease", "good", f"{rounds[held.node]} {now} process {held.pid} on {held.host}{more}")
