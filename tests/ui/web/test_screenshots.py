"""The screenshots in the docs: the page on the first round of the digits study, as a browser shows it.

The pictures show the proposal without edits. ``REFINE_GOLDEN=1`` writes them again; otherwise their
content is checked. A short session is recorded too.
"""

import io
import itertools
import os
from pathlib import Path

import pytest
from pages import bounds, drag, point, served, settled, until, visit
from PIL import Image

from refine import datasets

pytestmark = pytest.mark.browser

DOCS = Path(__file__).parents[3] / "docs"

SESSION = DOCS / "images" / "review-session.webp"
DRAWN = "[...document.querySelectorAll('.refine-main > .refine-grid canvas')].every((c) => c.width > 200)"


NOTE = "16 is as good"


@pytest.fixture
def round_(tmp_path):
    """The first round of the study that the live page of the docs shows."""
    with datasets.digits(tmp_path / "digits.db") as tree:
        yield tree["first"]


def keep_16_units(page):
    """Keeps a level that is proposed to go, an edit that cuts off no further trial."""
    page.locator('[data-parameter="units"] .refine-chip', has_text="16").click()
    settled(page)
    assert page.locator('[data-parameter="units"]').get_attribute("data-source") == "edited"


def check_bar_and_note(page):
    """The bar leaves the cards four fifths of the view, and no line of a short note is cut."""
    assert page.locator(".refine-bar").bounding_box()["height"] < 900 / 5
    note = page.get_by_label("Note", exact=True)
    assert note.evaluate("e => e.scrollHeight <= e.clientHeight")


@pytest.mark.nightly
def test_an_edit_and_a_note_stay_inside_their_places(browser, round_):
    with served(round_) as running, visit(browser, running.url, folds=(), color_scheme="light") as page:
        until(page, DRAWN)
        keep_16_units(page)
        page.get_by_label("Note", exact=True).fill(NOTE)
        settled(page)
        top_trials = page.locator('.refine-header [data-fact="Kept"]').first
        assert top_trials.get_attribute("class") != "bad"  # the best trial is kept
        card = page.locator('[data-parameter="units"]')
        assert card.evaluate("e => e.scrollWidth <= e.clientWidth")
        until(page, "!document.querySelector('.refine-outlook.pending')")  # the advice on the edited space
        check_bar_and_note(page)


@pytest.mark.nightly
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_on_the_document_s_study(browser, round_, scheme):
    with (
        served(round_) as running,
        visit(browser, running.url, folds=(), groups=(), color_scheme=scheme) as page,
    ):
        until(page, DRAWN)
        settled(page)
        until(page, "!document.querySelector('.refine-outlook.pending')")
        # The picture shows the proposal itself, without a person's edits.
        assert page.locator('[data-source="edited"]').count() == 0
        assert page.locator(".refine-accept").inner_text() == "accept"
        check_bar_and_note(page)
        page.mouse.move(5, 895)
        picture = page.screenshot()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    assert image.size == (1280, 900)
    ground = image.getpixel((1275, 450))
    assert (sum(ground) > 600) == (scheme == "light")
    assert len(image.getcolors(1 << 24)) > 300  # curves, dots and bounds are there
    if os.environ.get("REFINE_GOLDEN"):
        image.quantize(200).save(DOCS / "images" / f"review-page-{scheme}.png", optimize=True)
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
        point(page, '[data-parameter="lr"] canvas')
        keep(1600)
        page.mouse.move(5, 895)
        drag(page, "lr", "upper", 60)
        assert bounds(page, "lr")[1] > 1
        keep_16_units(page)
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
        page.get_by_label("Note", exact=True).fill(NOTE)
        keep(1400)
        page.get_by_role("button", name="accept edited space", exact=True).click()
        until(page, "document.querySelectorAll('[data-round]').length === 3", 60)
        until(page, "document.querySelector('.refine-list-line').textContent.startsWith('0 trials')")
        keep(2400)
    assert [d.kind for d in round_._decisions] == ["edited", "edited"]
    assert round_._decisions[-1].note == NOTE
    images = [Image.open(io.BytesIO(picture)).convert("RGB").resize((960, 641)) for picture, _ in frames]
    assert all(a.tobytes() != b.tobytes() for a, b in itertools.pairwise(images))
    if os.environ.get("REFINE_GOLDEN"):
        times = [milliseconds for _, milliseconds in frames]
        options = {"duration": times, "loop": 0, "quality": 40, "method": 6}
        images[0].save(SESSION, save_all=True, append_images=images[1:], **options)
    with Image.open(SESSION) as recorded:
        assert recorded.n_frames == len(frames)
