"""Answer of the review page to a drag: time from a move of the pointer to the new bound on the screen.

    python benchmarks/drag.py                 1,000 trials of eight parameters
    python benchmarks/drag.py --trials 100000

Needs Chromium and Playwright. The browser measures itself; asserts nothing. Prints Markdown.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from tables import table

import refine
from refine.design.space_filling import design_named, draw
from refine.ui.web.server import Server
from refine.ui.web.session import Session

MOVES = 60

# Moves the pointer, and waits for the frame after the one in which the handle has moved.
DRAG = """async (moves) => {
  const handle = document.querySelector('[data-parameter="p0"] [data-side="upper"]');
  const box = handle.querySelector("rect").getBoundingClientRect();
  const y = box.top + box.height / 2;
  const start = box.left + box.width / 2;
  const send = (type, x) => handle.dispatchEvent(new PointerEvent(type, {
    clientX: x, clientY: y, button: 0, pointerId: 1, bubbles: true, cancelable: true }));
  handle.setPointerCapture = () => {};
  const frame = () => new Promise((then) => requestAnimationFrame(then));
  send("pointerdown", start);
  const times = [];
  for (let i = 1; i <= moves; i += 1) {
    await frame();
    const before = performance.now();
    send("pointermove", start + 120 * Math.sin(i / 3));
    await frame();
    await frame();
    times.push(performance.now() - before);
  }
  send("pointerup", start);
  return times;
}"""


def drag_times(n: int) -> np.ndarray:
    """Milliseconds per move of a bound, on the page of a round with n trials."""
    from playwright.sync_api import sync_playwright

    space = refine.Space({f"p{i}": (0.0, 1.0, 12) for i in range(8)})
    frame = pd.DataFrame(space.columns(draw(design_named("uniform"), space, n, 1)))
    noise = np.random.default_rng(0).normal(0, 0.05, len(frame))
    frame = frame.assign(value=-((frame["p0"] - 0.3) ** 2) - (frame["p1"] - 0.6) ** 2 + noise, seconds=1.0)
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as folder,
        refine.Tree("drag", store=Path(folder) / "refine.db") as tree,
    ):
        round_ = tree.add_runs(frame, space, space_filling=True)
        with sync_playwright() as playwright, Server(Session(round_)).running() as server:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(server.url)
            page.locator(".refine-strip dd").first.wait_for(timeout=120_000)
            page.wait_for_timeout(1000)
            times = page.evaluate(f"({DRAG})({MOVES})")
            browser.close()
    return np.asarray(times)


def main() -> None:
    """Prints median and 95 % of the times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    arguments = parser.parse_args()
    times = drag_times(arguments.trials)
    row = [f"{arguments.trials:,}", len(times), f"{np.median(times):.0f}", f"{np.quantile(times, 0.95):.0f}"]
    table(["trials", "moves", "median, ms", "95 % below, ms"], [row])


if __name__ == "__main__":
    main()
