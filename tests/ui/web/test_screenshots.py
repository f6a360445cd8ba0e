"""The screenshots in the docs: the page on the article's first round, as a browser shows it.

``REFINE_GOLDEN=1`` writes them again; otherwise their content is checked. A short session is recorded too.
"""

import io
import itertools
import os
from pathlib import Path

import pytest
from pages import bounds, drag, point, served, settled, until, visit
from PIL import Image

import refine
from refine import datasets

pytestmark = pytest.mark.browser

DOCS = Path(__file__).parents[3] / "docs"

# The article's dictionary; what has one value in it is left out, and functions go by their names.
DICTIONARY = {
    "lr": (0.5, 5, 10),
    "first_neuron": [4, 8, 16, 32, 64],
    "hidden_layers": [0, 1, 2],
    "batch_size": (2, 30, 10),
    "dropout": (0, 0.5, 5),
    "shape": ["brick", "long_funnel"],
    "optimizer": ["Adam", "Nadam", "RMSprop"],
    "losses": ["log_cosh", "binary_crossentropy"],
    "activation": ["relu", "elu"],
}


SESSION = DOCS / "images" / "review-session.webp"
DRAWN = "[...document.querySelectorAll('.refine-main > .refine-grid canvas')].every((c) => c.width > 200)"


@pytest.fixture
def round_(tmp_path):
    """The article's first round, as a round that was imported."""
    with refine.Tree("breast_cancer", store=tmp_path / "refine.db") as tree:
        frame = datasets.breast_cancer()
        note = "the article's dictionary"
        space = refine.Space.from_talos(DICTIONARY)
        yield tree.add_frame(frame, space, value="val_acc", space_filling=True, note=note)


@pytest.mark.nightly
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_on_the_document_s_experiment(browser, round_, scheme):
    assert (
        len(round_.trials) == 1788
    )  # 12 of 1,800 agree on all that was read: runs of the same configuration
    with served(round_) as running, visit(browser, running.url, folds=(), color_scheme=scheme) as page:
        until(page, DRAWN)
        drag(page, "dropout", "lower", 120)  # to 0.2
        settled(page)
        assert page.locator('[data-parameter="dropout"]').get_attribute("data-source") == "edited"
        page.get_by_label("Note", exact=True).fill("Some dropout does better: start at 0.2")
        assert bounds(page, "dropout")[0] == 0.2
        settled(page)
        card = page.locator('[data-parameter="dropout"]')
        assert card.evaluate("e => e.scrollWidth <= e.clientWidth")  # what an edit adds stays inside
        # What stays in view while one scrolls leaves the cards four fifths of it.
        assert page.locator(".refine-bar").bounding_box()["height"] < 900 / 5
        until(page, "!document.querySelector('.refine-outlook.pending')")  # the advice on the edited space
        note = page.get_by_label("Note", exact=True)
        assert note.evaluate("e => e.scrollHeight <= e.clientHeight")  # one line, so no line is cut
        page.mouse.move(5, 895)
        picture = page.screenshot()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    assert image.size == (1280, 900)
    ground = image.getpixel((1275, 450))
    assert (sum(ground) > 600) == (scheme == "light")
    assert len(image.getcolors(1 << 24)) > 300  # curves, dots and bounds are there
    if os.environ.get("REFINE_GOLDEN"):
        image.quantize(96).save(DOCS / "images" / f"review-page-{scheme}.png", optimize=True)
    else:
        assert (DOCS / "images" / f"review-page-{scheme}.png").is_file()


@pytest.mark.nightly
def test_a_session_is_recorded(browser, round_):
    frames = []
    with served(round_) as running, visit(browser, running.url, folds=(), color_scheme="light") as page:

        def keep(milliseconds):
            clip = {"x": 0, "y": 0, "width": 1280, "height": 855}
            frames.append((page.screenshot(clip=clip), milliseconds))

        until(page, DRAWN)
        keep(1600)
        point(page, '[data-parameter="dropout"] canvas')
        keep(1600)
        page.mouse.move(5, 895)
        drag(page, "dropout", "lower", 120)
        assert bounds(page, "dropout")[0] == 0.2
        keep(1400)
        page.locator('[data-fold="sure"] > summary').click()
        page.locator(".refine-risk input[type=range]").press("ArrowRight")
        settled(page)
        keep(1400)
        page.locator(".refine-risk input[type=range]").press("ArrowLeft")
        settled(page)
        page.locator('[data-fold="sure"] > summary').click()
        page.locator('[data-fold="trials"] > summary').click()
        page.locator(".refine-list tbody tr[data-number]").nth(2).hover()
        keep(1600)
        page.evaluate("document.querySelector('.refine-main').scrollTo(0, 0); window.scrollTo(0, 0)")
        page.get_by_label("Note", exact=True).fill("Some dropout does better: start at 0.2")
        keep(1400)
        page.get_by_role("button", name="accept edited space", exact=True).click()
        until(page, "document.querySelectorAll('[data-round]').length === 2", 60)
        keep(2400)
    assert [d.kind for d in round_.decisions] == ["edited"]
    assert round_.decisions[0].note == "Some dropout does better: start at 0.2"
    images = [Image.open(io.BytesIO(picture)).convert("RGB").resize((960, 641)) for picture, _ in frames]
    assert all(a.tobytes() != b.tobytes() for a, b in itertools.pairwise(images))
    if os.environ.get("REFINE_GOLDEN"):
        times = [milliseconds for _, milliseconds in frames]
        options = {"duration": times, "loop": 0, "quality": 40, "method": 6}
        images[0].save(SESSION, save_all=True, append_images=images[1:], **options)
    with Image.open(SESSION) as recorded:
        assert recorded.n_frames == len(frames)
