import functools
import gc
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa
import typer.testing

import refine
from refine.report import figures
from refine.report.markdown import rendering
from refine.store.store import Store
from refine.tree import context
from tests.elsewhere import missing

sys.path.insert(0, str(Path(__file__).parent))
from postgres import PostgreSQL

typer.testing._get_command = functools.cache(typer.testing._get_command)  # 20 ms for refine's commands

SPACE = {
    "lr": (0.5, 5.0, 10),
    "dropout": (0.0, 0.5, 6),
    "optimizer": ["Adam", "Nadam", "SGD"],
    "junk": (1, 8),
    "epochs": 150,
}


@pytest.fixture(scope="session")
def browser():
    """A real, headless Chromium, shared within a process, because a process can start Playwright once."""
    sys.path.insert(0, str(Path(__file__).parent / "ui" / "web"))
    from pages import ARGUMENTS, chromium

    path = chromium()
    if path is None:
        missing("Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chrome
        chrome.close()


NEEDS = {"keras": "keras", "docs": "slow"}
"""Folder of tests -> the marker of all that lie in it."""

HERE = Path(__file__).parent


FIRST = (
    "run/test_clocks.py",
    "ui/test_assistant.py",
    "ui/cli/test_cli_study.py",
    "ui/web/test_browser.py",
    "run/test_interrupted.py",
    "run/test_several_coordinators.py",
    "run/test_hangs.py",
    "proposal/test_claims.py",
    "proposal/test_proposal.py",
    "tree/test_ask.py",
    "tree/test_autopilot.py",
    "run/test_forked.py",
    "keras/test_fit_contract.py",
    "keras/test_pruning_keras.py",
    "tree/exchange/test_bundles.py",
    "stats/test_posterior.py",
    "docs/test_examples.py",
    "docs/test_sessions.py",
    "docs/test_tutorial.py",
    "run/test_kills.py",
)
"""The files that take longest: begun first, so that no process is left alone with one at the end."""


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Modules and collected tests stay until the end: the garbage collector need not search them."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


def pytest_collection_modifyitems(items):
    place = {name: i for i, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.relative_to(HERE).as_posix(), len(FIRST)))
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in NEEDS:
            item.add_marker(NEEDS[folder])
        if "postgresql" in item.fixturenames or "[postgresql" in item.name:
            item.add_marker("cluster")


@pytest.fixture(scope="session", autouse=True)
def quiet():
    """Trees of tests show no progress, unless a test asks for it."""
    before = context.DEFAULT
    context.DEFAULT = refine.Machine(progress=False)
    yield
    context.DEFAULT = before


def save_empty(drawing, path):
    """Writes a file that begins as a picture does."""
    path.write_bytes(b"\x89PNG")


@pytest.fixture(scope="session", autouse=True)
def empty_pictures():
    """Reports of tests hold empty pictures, which cost less time, unless a test asks for ``pictures``."""
    rendering.figures = SimpleNamespace(themed=figures.themed, save=save_empty)
    yield
    rendering.figures = figures


@pytest.fixture(scope="module")
def pictures(empty_pictures):
    """Reports of a module's tests hold the pictures that people get."""
    before = rendering.figures
    rendering.figures = figures
    yield
    rendering.figures = before


@pytest.fixture(scope="session")
def space():
    return refine.Space(SPACE)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def first_round():
    """Adds and runs the round that tests with ``root`` begin with; a folder or a module defines its own."""


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory):
    """The path of a store that a function of a tree has filled, once in a process."""

    @functools.cache
    def path_of(fill):
        path = tmp_path_factory.mktemp("filled") / "refine.db"
        with refine.Tree("question", store=path) as tree:
            fill(tree)
        return path

    return path_of


def without_rounds(tree):
    """Adds nothing."""


@pytest.fixture
def tree(request, tmp_path, first_round, filled_store):
    """A tree in a copied store of its own, which holds the first round of tests that take ``root``."""
    path = tmp_path / "refine.db"
    holds_root = first_round and "root" in request.fixturenames
    shutil.copy(filled_store(first_round if holds_root else without_rounds), path)
    with refine.Tree("question", store=path) as opened:
        yield opened


@pytest.fixture
def root(tree, first_round):
    return first_round(tree)


@pytest.fixture(scope="session")
def server():
    """A database server, which a test may stop and start."""
    try:
        started = PostgreSQL()
    except FileNotFoundError as error:
        missing(f"PostgreSQL, which .ci/run installs: {error}")
    yield started
    started.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A library that gives the processes that load it a world with faults."""
    library = tmp_path_factory.mktemp("world") / "world.so"
    if sys.platform != "linux":
        pytest.skip("such a library is for Linux")
    compiler = shutil.which("cc") or missing("a C compiler: cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "world.c", "-ldl"], check=True)
    return str(library)


@pytest.fixture(scope="session")
def postgresql(server):
    """URL of such a server."""
    return server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'refine.db'}"
        return
    url = request.getfixturevalue("postgresql")
    yield url
    engine = Store(url).engine
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    engine.dispose()
