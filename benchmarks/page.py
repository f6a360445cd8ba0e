"""How long the review page takes: to its first picture, and from a drag to new numbers, in a real Chromium.

    python benchmarks/page.py

Needs Chromium and playwright. Times are medians of five; the machine's other work is in them.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

import refine
from refine.design.space_filling import design_named, draw
from refine.ui.web.server import Server
from refine.ui.web.session import Session

SIZES = (200, 1_000, 10_000, 100_000)
TIMES = 5


def round_of(tree: refine.Tree, n: int) -> refine.Round:
    """An imported round of eight parameters with twelve levels each."""
    space = refine.Space({f"p{i}": (0.0, 1.0, 12) for i in range(8)})
    frame = pd.DataFrame(space.columns(draw(design_named("uniform"), space, n, 1)))
    noise = np.random.default_rng(0).normal(0, 0.05, n)
    value = -((frame["p0"] - 0.3) ** 2) - (frame["p1"] - 0.6) ** 2 + noise
    return tree.add_frame(frame.assign(value=value, seconds=1.0), space, space_filling=True)


def measure(browser, url: str) -> tuple[float, float, float]:
    """Seconds to the panels, to every dot, and the median from a key press to new numbers."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    started = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(".refine-card")
    first = time.perf_counter() - started
    while not page.evaluate("[...document.querySelectorAll('canvas')].some((c) => c.width > 200)"):
        time.sleep(0.002)
    dots = time.perf_counter() - started
    handle = page.locator('[data-parameter="p0"] [data-side="upper"]')
    found = []
    for key in ("ArrowRight", "ArrowLeft") * 4:
        before = page.locator('[data-number="volume kept"] dd').inner_text()
        pressed = time.perf_counter()
        handle.press(key)
        while page.locator('[data-number="volume kept"] dd').inner_text() == before:
            time.sleep(0.001)
        found.append(time.perf_counter() - pressed)
    page.close()
    return first, dots, statistics.median(found)


def main() -> None:
    """Prints a table in markdown."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("this needs Chromium")
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
    ]
    print("| trials | analysis and proposal | first panels | every dot | drag to numbers |")
    print("|---:|---:|---:|---:|---:|")
    with (
        tempfile.TemporaryDirectory() as folder,
        refine.Tree("page", store=Path(folder) / "page.db") as tree,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        for n in SIZES:
            found = round_of(tree, n)
            session = Session(found)
            started = time.perf_counter()
            session.handle({"type": "round", "round": found.id})
            made = time.perf_counter() - started
            with Server(session).running() as server:
                rows = [measure(browser, server.url) for _ in range(TIMES)]
            cells = [f"{statistics.median(column):.2f} s" for column in zip(*rows, strict=True)]
            print(f"| {n:,} | {made:.2f} s | {' | '.join(cells)} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
