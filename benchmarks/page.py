"""How long the review page takes in a real Chromium: to its pictures, from a drag to numbers, from a dot to its card, in its list.

    python benchmarks/page.py            in a browser
    python benchmarks/page.py --answers  what the session takes to answer about trials, in CPU time; needs no browser

Needs Chromium and playwright. Times are medians of five; in those of the browser the machine's other work is in them.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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


def measure(browser, url: str) -> tuple[float, ...]:
    """Seconds to the panels, to every dot, from a key press to new numbers, from a dot to its card, from End to the list's end."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    started = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(".refine-panel")
    first = time.perf_counter() - started
    while not page.evaluate("[...document.querySelectorAll('canvas')].some((c) => c.width > 200)"):
        time.sleep(0.002)
    dots = time.perf_counter() - started
    handle = page.locator('[data-parameter="p0"] [data-side="upper"]')
    found = []
    for key in ("ArrowRight", "ArrowLeft") * 4:
        before = page.locator('[data-number="share of the space that stays"] dd').text_content()
        pressed = time.perf_counter()
        handle.press(key)
        while page.locator('[data-number="share of the space that stays"] dd').text_content() == before:
            time.sleep(0.001)
        found.append(time.perf_counter() - pressed)
    page.wait_for_load_state("networkidle")
    cards, lists = dots_to_cards(page), list_to_end(page)
    page.close()
    return first, dots, statistics.median(found), cards, lists


def dots_to_cards(page) -> float:
    """The median of several dots of several panels."""
    found = []
    for canvas in page.locator(".refine-main > .refine-grid canvas").all()[:4]:
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        for step in range(40):
            moved = time.perf_counter()
            page.mouse.move(box["x"] + 50 + 4 * step, box["y"] + box["height"] / 2)
            if page.evaluate("document.querySelector('.refine-ring:not([hidden])') !== null"):
                page.wait_for_selector(".refine-card.shown")
                found.append(time.perf_counter() - moved)
                break
        page.mouse.move(2, 2)
    return statistics.median(found)


def list_to_end(page) -> float:
    """From a key press in the first row to the last row."""
    page.locator('[data-fold="trials"] > summary').click()
    page.locator(".refine-list tbody th button").first.focus()
    started = time.perf_counter()
    page.keyboard.press("End")
    last = "document.activeElement.matches('.refine-list button') && !document.activeElement.closest('tr').nextSibling"
    while not page.evaluate(last):
        if time.perf_counter() > started + 60:
            raise SystemExit("the list never came to its end")
        time.sleep(0.002)
    return time.perf_counter() - started


def answers() -> None:
    """Prints CPU seconds per answer about trials as a table in markdown."""
    print("| trials | which trial every dot is | a card | rows of the list | sorted anew | history |")
    print("|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder, refine.Tree("page", store=Path(folder) / "page.db") as tree:
        for n in SIZES:
            found = round_of(tree, n)
            session, about = Session(found), {"round": found.id}
            drawn = session.handle({"type": "round", **about})["review"]["proposal"]
            first = taken(session, [{"type": "numbers", **about, "proposal": drawn}])
            cards = taken(session, [{"type": "trial", **about, "number": n * i // 7} for i in range(1, 6)])
            rows = taken(
                session, [{"type": "part", **about, "offset": n // 100 * i * 10} for i in range(6)][1:]
            )
            anew = taken(session, [{"type": "part", **about, "by": f"p{i}"} for i in range(5)])
            history = taken(session, [{"type": "past", **about} for _ in range(5)])
            cells = [f"{seconds:.3f} s" for seconds in (first, cards, rows, anew, history)]
            print(f"| {n:,} | {' | '.join(cells)} |", flush=True)


def taken(session: Session, messages: list[dict[str, Any]]) -> float:
    """The median CPU seconds of answers."""
    found = []
    for message in messages:
        started = time.process_time()
        answer = session.handle(message)
        found.append(time.process_time() - started)
        if isinstance(answer, dict) and "error" in answer:
            raise SystemExit(answer["error"])
    return statistics.median(found)


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
    print(
        "| trials | analysis and proposal | first panels | every dot | drag to numbers | dot to card | list to its end |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
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
    answers() if "--answers" in sys.argv else main()
