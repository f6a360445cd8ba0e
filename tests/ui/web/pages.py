"""A small real tree, and hands for its page in a browser."""

import contextlib
import json
import shutil
import time

import numpy as np

import refine
from refine.ui.web.server import Server
from refine.ui.web.session import Session

SPACE = {
    "lr": (0.5, 5.0, 10),
    "dropout": (0.0, 0.5, 6),
    "units": refine.Integer(4, 64, 5, log=True),
    "optimizer": ["Adam", "Nadam", "SGD"],
    "epochs": 20,
}
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
FOLDS = ("others", "sure", "more", "key", "checks", "coupled")
"""What a person has left open, so that tests reach it."""
GROUPS = ("evidence", "explore")
"""Folds that hold other folds."""


def score(p):
    slow = 0.1 * (p["optimizer"] == "SGD")
    return 1 - 0.05 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - slow - abs(p["units"] - 16) / 500


def noisy(p, trial):
    """Scores so close that proposals by risk differ."""
    return score(p) + np.random.default_rng(trial.seed).normal(0, 0.01)


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def served(round_, **options):
    with Server(Session(round_, **options)).running() as server:
        yield server


@contextlib.contextmanager
def visit(browser, url, *, folds=FOLDS, groups=GROUPS, **options):
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.add_init_script(f"localStorage['refine-open'] ??= {json.dumps(json.dumps([*folds, *groups]))}")
    context.set_default_timeout(120_000)  # a machine that is busy with other things is no error of the page
    page = context.new_page()
    wrong = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.on(
        "request",
        lambda r: None if r.url.startswith((url, "data:", "blob:")) else wrong.append(f"asked for {r.url}"),
    )
    page.goto(url)
    # It waits for an analysis.
    page.wait_for_selector(".refine-numbers [data-fact]", state="attached", timeout=120_000)
    yield page
    context.close()
    assert not wrong, wrong


def fact(page, name):
    """A fact about the decision in the fold below the charts."""
    return page.locator(f'.refine-numbers [data-fact="{name}"] dd').text_content()


def until(page, expression, seconds=120):
    """Waits until an expression is true. The page's policy forbids Playwright's waiting: it compiles text."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(30)


def settled(page):
    """Waits until the page says what the present choices mean."""
    until(page, "!document.querySelector('.refine-bar').classList.contains('stale')")


def round_shown(page):
    """The id of the round that the page shows."""
    return page.locator(".refine-head code").inner_text()


def python(page):
    """The decision as Python."""
    return page.locator(".refine-python pre").text_content()


def handle(page, parameter, side):
    return page.locator(f'[data-parameter="{parameter}"] [data-side="{side}"]')


def in_view(locator):
    """The place of something that the page's foot, which stays in view, doesn't cover."""
    locator.evaluate("e => e.scrollIntoView({ block: 'center' })")
    return locator.bounding_box()


def drag(page, parameter, side, pixels):
    box = in_view(handle(page, parameter, side).locator("rect"))
    x = box["x"] + box["width"] / 2
    y = box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + pixels * step / 8, y)
    page.mouse.up()
    settled(page)


def bounds(page, parameter):
    return [float(handle(page, parameter, s).get_attribute("aria-valuenow")) for s in ("lower", "upper")]


def point(page, plot):
    """Moves over a chart until the pointer is over a dot; the title of that trial's card."""
    box = in_view(page.locator(plot))
    for down in range(6, int(box["height"]) - 20, 5):
        for across in range(8, int(box["width"]) - 8, 9):
            page.mouse.move(box["x"] + across, box["y"] + down)
            if page.evaluate("document.querySelector('.refine-ring:not([hidden])') !== null"):
                page.wait_for_selector(".refine-card.shown strong")
                return page.locator(".refine-card strong").inner_text()
    raise AssertionError(f"no dot in {plot}")
