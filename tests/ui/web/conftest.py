import contextlib
import sys
from pathlib import Path

import pytest

import refine
from refine.ui.web.background import Background

sys.path.insert(0, str(Path(__file__).parent))

from pages import SPACE, noisy, served, visit


@pytest.fixture
def root(tree):
    return tree.add_round(SPACE, noisy, n=120, seed=5, note="first look").run(progress=False)


@pytest.fixture(scope="session")
def viewed_round(tmp_path_factory):
    """A round as `root`, shared by tests that do not change it."""
    with refine.Tree("question", store=tmp_path_factory.mktemp("looked") / "refine.db") as opened:
        yield opened.add_round(SPACE, noisy, n=120, seed=5, note="first look").run(progress=False)


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
