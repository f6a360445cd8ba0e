import contextlib
import shutil
import sys
from pathlib import Path

import pytest

import refine
from refine.ui.web.background import Background

sys.path.insert(0, str(Path(__file__).parent))

from pages import SPACE, noisy, served, visit


@pytest.fixture(scope="session")
def first_round():
    return lambda tree: tree.add_round(SPACE, noisy, n=120, seed=5, note="first look").run()


@pytest.fixture(scope="session")
def viewed_round(first_round, filled_store, tmp_path_factory):
    """A round as `root`, shared by tests that do not change it."""
    store = shutil.copy(filled_store(first_round), tmp_path_factory.mktemp("viewed"))
    with refine.Tree("question", store=store) as opened:
        yield first_round(opened)


@pytest.fixture(scope="session")
def window(viewed_round):
    """Its page, analysed once."""
    with (
        contextlib.closing(Background()) as background,
        served(viewed_round, background=background) as running,
    ):
        yield running


@pytest.fixture
def viewed_page(browser, window):
    """Its page, on which nothing is decided."""
    with visit(browser, window.url) as page:
        yield page


@pytest.fixture
def server(root):
    with served(root) as running:
        yield running


@pytest.fixture
def opened(browser, server):
    """The page, ready; anything that its console or network complains of fails the test."""
    with visit(browser, server.url) as page:
        yield page
