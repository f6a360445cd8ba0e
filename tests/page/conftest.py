from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import refine
from refine.page.server import Server
from refine.page.session import Session

sys.path.insert(0, str(Path(__file__).parent))

SPACE = {
    "lr": (0.5, 5.0, 10),
    "dropout": (0.0, 0.5, 6),
    "units": refine.Int(4, 64, 5, log=True),
    "optimizer": ["Adam", "Nadam", "SGD"],
    "epochs": 20,
}
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


def score(p):
    slow = 0.1 * (p["optimizer"] == "SGD")
    return 1 - 0.05 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - slow - abs(p["units"] - 16) / 500


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    return tree.add_round(SPACE, score, n=120, seed=3, note="first look").run(progress=False)


@contextlib.contextmanager
def served(found: refine.Round, **options) -> Iterator[Server]:
    with Server(Session(found, **options)).running() as server:
        yield server


@pytest.fixture
def server(root: refine.Round) -> Iterator[Server]:
    with served(root) as running:
        yield running


@pytest.fixture
def opened(browser, server):
    """The page, ready; anything that its console or network complains of fails the test."""
    with visit(browser, server.url) as page:
        yield page


@contextlib.contextmanager
def visit(browser, url: str, **options):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.on(
        "request",
        lambda r: None if r.url.startswith((url, "data:", "blob:")) else wrong.append(f"asked for {r.url}"),
    )
    page.goto(url)
    page.wait_for_selector(".refine-numbers [data-number]")
    yield page
    context.close()
    assert not wrong, wrong
