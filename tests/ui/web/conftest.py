from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import refine
from refine.ui.web.server import Server

sys.path.insert(0, str(Path(__file__).parent))

from pages import ARGUMENTS, SPACE, chromium, noisy, served, visit


@pytest.fixture(scope="session")
def browser():
    """A real, headless Chromium."""
    path = chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed: in CI it must be")
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[refine.Tree]:
    with refine.Tree("question", store=tmp_path / "refine.db") as opened:
        yield opened


@pytest.fixture
def root(tree: refine.Tree) -> refine.Round:
    return tree.add_round(SPACE, noisy, n=120, seed=5, note="first look").run(progress=False)


@pytest.fixture
def server(root: refine.Round) -> Iterator[Server]:
    with served(root) as running:
        yield running


@pytest.fixture
def opened(browser, server):
    """The page, ready; anything that its console or network complains of fails the test."""
    with visit(browser, server.url) as page:
        yield page
