"""The page in a real Chromium: looked at, dragged, typed into, decided with."""

import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pages import (
    FOLDS,
    SPACE,
    bounds,
    drag,
    fact,
    handle,
    python,
    round_shown,
    served,
    settled,
    until,
    visit,
)

import refine
from refine.design.space_filling import design_named, draw
from refine.report.glossary import terms
from refine.report.pages.headline import headline_of
from refine.report.pages.preview import leaves_text, risks_text
from refine.report.pages.proposal import change_view
from refine.report.pages.reasons import sentences
from refine.report.pages.review import risk_facts
from refine.review.review import next_step
from refine.ui.web.session import Session
from refine.utils.format import percent

pytestmark = pytest.mark.browser


def test_the_page_shows_the_numbers_of_the_review(viewed_page, viewed_round):
    opened = viewed_page
    root = viewed_round
    analysis = root.analyze()
    review = root.propose()
    changed = [e.name for e in analysis.ranked if review.proposal[e.name].kind != "keep"]
    cards = "all => all.map(c => c.dataset.parameter)"
    assert opened.locator(".refine-main > .refine-grid .refine-panel").evaluate_all(cards) == changed
    assert opened.locator(".refine-next").text_content() == headline_of(review).text
    for name, risk in risk_facts(review):
        place = opened.locator(f'.refine-facts [data-fact="{name}"] dd').first
        assert place.text_content() == (risk if isinstance(risk, str) else risk.text)
    page = review.preview()._page().to_dict()
    for name, value in page["blocks"][0]["facts"]:
        if name not in ("Kept", "Risk"):
            assert fact(opened, name) == (value if isinstance(value, str) else value["text"])
    path = opened.locator(".refine-side button strong")
    assert path.text_content() == "1"
    checks = opened.locator(".refine-checks li")
    assert checks.count() == len(review.checks().checks)
    reason = opened.locator('[data-parameter="dropout"] details p')
    assert reason.first.text_content().startswith(sentences(review.proposal["dropout"].reasons))
    # Every trial is on the canvas: something is drawn there, and more at low dropout than nowhere.
    data = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
    drawn = opened.locator('[data-parameter="dropout"] canvas').evaluate(
        f"c => {data}.filter((v, i) => i % 4 === 3 && v > 0).length"
    )
    assert drawn > 200


def test_dragging_recomputes_and_accepting_makes_the_child(opened, root, tree):
    assert opened.locator(".refine-accept").inner_text() == "accept"
    before = fact(opened, "Space")
    low, high = bounds(opened, "dropout")
    drag(opened, "dropout", "upper", 90)
    new_bounds = bounds(opened, "dropout")
    assert (new_bounds[0], new_bounds[1] > high, new_bounds[1] in root.space["dropout"].grid) == (
        low,
        True,
        True,
    )
    assert fact(opened, "Space") != before
    edited = root.propose().edit(dropout=tuple(bounds(opened, "dropout")))
    assert fact(opened, "Space").startswith(percent(edited.preview().volume_kept))
    assert opened.locator(".refine-accept").inner_text() != "accept"  # but to accept the edits
    note = "a little more dropout"
    opened.get_by_label("Note", exact=True).fill(note)
    opened.get_by_label("Configurations of the next round").fill("40")
    settled(opened)
    chosen = bounds(opened, "dropout")
    opened.locator(".refine-accept").click()
    opened.wait_for_selector(".refine-said.good")
    _, child = tree.rounds
    (decision,) = root._decisions
    assert (decision.kind, decision.note, decision.child) == ("edited", note, child.id)
    assert (child.space["dropout"].high, child.n) == (chosen[1], 40)
    # The page is where the work goes on.
    assert round_shown(opened) == child.id
    assert opened.locator(".refine-next").inner_text().startswith("40 ")
    call = opened.locator(".refine-cannot code").inner_text()
    assert call == f"tree['{child.id}'].run()"
    opened.wait_for_selector(f'.refine-side [data-round="{child.id}"][aria-current="true"]')


def test_throwing_the_best_away_says_so(viewed_page):
    for _ in range(2):
        handle(viewed_page, "dropout", "upper").press("End")
    for _ in range(8):
        handle(viewed_page, "dropout", "lower").press("ArrowRight")
    settled(viewed_page)
    for name in ("Risk", "Kept"):
        assert "bad" in viewed_page.locator(f'.refine-header [data-fact="{name}"]').get_attribute("class")


def test_the_keyboard_moves_bounds_and_they_never_meet(viewed_page):
    upper = handle(viewed_page, "lr", "upper")
    first = bounds(viewed_page, "lr")
    upper.press("ArrowRight")
    settled(viewed_page)
    assert bounds(viewed_page, "lr")[1] > first[1]
    upper.press("End")
    settled(viewed_page)
    assert bounds(viewed_page, "lr")[1] == 9.5  # beyond the present end, which is no natural limit
    upper.press("Home")
    settled(viewed_page)
    low, high = bounds(viewed_page, "lr")
    assert low < high
    assert upper.get_attribute("role") == "slider"
    assert upper.get_attribute("aria-label").startswith("lr, upper")
    assert float(upper.get_attribute("aria-valuetext")) == pytest.approx(high, rel=1e-5)
    viewed_page.keyboard.press("Shift+Tab")
    assert viewed_page.evaluate("document.activeElement.ariaLabel").startswith("lr, lower")


def test_choices_are_switched_off_and_one_stays(viewed_page):
    check = viewed_page.locator('[data-parameter="optimizer"]')
    chip = check.get_by_role("button", name="SGD")
    assert chip.get_attribute("aria-pressed") == "false"  # proposed to go
    chip.click()
    settled(viewed_page)
    assert check.get_attribute("data-source") == "rejected"  # all three stay: the change is turned down
    for name in ("Adam", "Nadam", "SGD"):
        check.get_by_role("button", name=name, exact=True).click()
    assert viewed_page.locator(".refine-said").inner_text().startswith("optimizer: ")
    pressed = [c.get_attribute("aria-pressed") for c in check.locator(".refine-chip").all()]
    assert pressed == ["false", "false", "true"]


def test_a_typed_bound_need_not_be_a_level(opened, root, tree):
    field = opened.get_by_label("dropout, upper bound, typed")
    field.fill("0.27")
    field.press("Enter")
    settled(opened)
    opened.locator(".refine-accept").click()
    opened.wait_for_selector(".refine-said.good")
    assert tree.rounds[1].space["dropout"].high == 0.27
    opened.locator(f'[data-round="{root.id}"]').click()
    field = opened.get_by_label("dropout, upper bound, typed")
    field.fill("-3")
    field.press("Enter")
    settled(opened)
    assert "< high" in opened.locator(".refine-warning").inner_text()
    assert opened.locator(".refine-accept").is_disabled()
    # A logarithmic axis has no place for a negative bound, and stays as it is.
    ticks = opened.locator('[data-parameter="units"] .refine-axis')
    drawn = ticks.evaluate_all("all => all.map(e => e.innerHTML)")
    field = opened.get_by_label("units, lower bound, typed")
    field.fill("-1")
    field.press("Enter")
    settled(opened)
    assert ticks.evaluate_all("all => all.map(e => e.innerHTML)") == drawn


def test_a_page_has_nothing_to_press_before_its_analysis_and_reloads_the_round_that_it_showed(
    browser, root, tree, monkeypatch
):
    child = root.propose().accept(n=20, exploit=0.0).run()
    may_answer = threading.Event()
    analysed = Session._round

    def waits(session, message):
        may_answer.wait(60)
        return analysed(session, message)

    monkeypatch.setattr(Session, "_round", waits)
    with served(root) as running, browser.new_context() as context:
        page = context.new_page()
        page.goto(running.url)
        page.wait_for_selector(".refine-next")
        assert page.locator(".refine-next").inner_text()
        assert (
            not page.locator(".refine-main")
            .locator("button")
            .evaluate_all("all => all.some(e => e.checkVisibility())")
        )
        may_answer.set()
        page.locator(f'[data-round="{child.id}"]').click()
        until(page, f"document.querySelector('.refine-head code').textContent === '{child.id}'")
        page.reload()
        page.wait_for_selector(".refine-accept")
        assert round_shown(page) == child.id


@pytest.mark.nightly
def test_unfinished_edits_stay_with_their_round(browser, root, tree):
    other = tree.add_round(SPACE, root._objective, n=60, seed=9).run()
    with served(root) as running, visit(browser, running.url) as page:
        drag(page, "dropout", "upper", 120)
        edited = bounds(page, "dropout")
        note = page.get_by_label("Note", exact=True)
        n = page.get_by_label("Configurations of the next round")
        first_note = "for the first"
        note.fill(first_note)
        n.fill("17")
        slider = page.get_by_label("Accepted risk of the proposal")
        slider.press("Home")
        settled(page)
        first_option = root.propose(keep=False).options().rows[0]
        assert slider.get_attribute("aria-valuetext").startswith(f"{risks_text(first_option)}; ")
        assert bounds(page, "dropout") == edited
        page.locator(f'[data-round="{other.id}"]').click()
        until(page, f"document.querySelector('.refine-head code').textContent === '{other.id}'")
        settled(page)
        assert note.input_value() == ""
        assert n.input_value() != "17"
        page.locator(f'[data-round="{root.id}"]').click()
        until(page, f"document.querySelector('.refine-head code').textContent === '{root.id}'")
        settled(page)
        assert bounds(page, "dropout") == edited
        assert (note.input_value(), n.input_value()) == (first_note, "17")
        page.get_by_role("button", name="undo").click()
        settled(page)
        assert bounds(page, "dropout") != edited


def claimed(review):
    """The texts of a proposal above its panels."""
    assert next_step(review).action.name == "review.accept"
    page = review._page()
    return [headline_of(review).text, " ".join([*page.texts("claim"), *page.texts("next")])]


def said(page):
    """The headline, and the claim that folds below it."""
    return page.locator(".refine-next, .refine-claim").evaluate_all("all => all.map(e => e.textContent)")


@pytest.mark.nightly
def test_the_slider_moves_along_the_proposals_by_risk(viewed_page, viewed_round):
    opened = viewed_page
    root = viewed_round
    slider = opened.get_by_label("Accepted risk of the proposal")
    leaves = opened.locator(".refine-leaves")
    name = opened.locator(".refine-risk output")
    review = root.propose(keep=False)
    options = review.options()
    assert [slider.get_attribute(a) for a in ("min", "max")] == ["0", str(len(options.rows) - 1)]
    start_row = options.rows.index(options.now)
    assert slider.input_value() == str(start_row)
    assert name.inner_text() == risks_text(options.now)
    assert opened.locator(".refine-risk").get_attribute("title") == terms()["Risk"].plain
    slider.focus()
    last = len(options.rows) - 1
    assert last > 0, options.rows
    steps_back = [("ArrowRight", row) for row in range(1, start_row + 1)]
    for key, row in (("End", last), ("Home", 0), *steps_back):
        opened.keyboard.press(key)
        option = options.rows[row]
        # At once, before the session has answered.
        assert leaves.inner_text() == f"Dropped: {leaves_text(option)}"
        assert slider.get_attribute("aria-valuetext").startswith(f"{risks_text(option)}; drops ")
        assert tuple(bounds(opened, "lr")) == (option.space["lr"].low, option.space["lr"].high)
        settled(opened)
        assert slider.evaluate("e => e === document.activeElement")
        at_risk = replace(review, proposal=review.proposal.at(option.risk))
        assert said(opened) == claimed(review if row == start_row else at_risk)
        assert tuple(bounds(opened, "units")) == (option.space["units"].low, option.space["units"].high)
        assert fact(opened, "Space").startswith(percent(option.volume_kept))
        assert opened.locator(".refine-accept").is_enabled()
    # The risk that was asked for first is the one that the stop it leads to stands for.
    assert "risk=0.05" in python(opened)


def test_the_page_follows_a_running_round(browser, tree):
    go_on = threading.Event()

    def score(p):
        if len(done) == 40:
            go_on.wait(60)
        done.append(1)
        return -((p["lr"] - 1.4) ** 2) - p["dropout"]

    done = []
    round_ = tree.add_round({"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}, score, n=55, seed=1)
    runner = threading.Thread(target=lambda: round_.run())
    runner.start()
    while len(done) < 40:
        runner.join(0.05)
    with served(round_) as running, visit(browser, running.url) as page:
        assert page.locator("progress").get_attribute("max") == "55"
        assert float(page.locator("progress").get_attribute("value")) <= 41
        handle(page, "dropout", "upper").press("End")
        settled(page)
        edited = bounds(page, "dropout")
        go_on.set()
        runner.join(60)
        # It asks before charts move under the hand.
        page.wait_for_selector(".refine-fresh button", timeout=15000)
        page.locator(".refine-fresh button").click()
        until(page, "document.querySelector('.refine-going').hidden")
        page.wait_for_selector(".refine-fresh:empty", state="attached")
        settled(page)
        assert bounds(page, "dropout") == edited
        page.locator(".refine-accept").click()
        page.wait_for_selector(".refine-said.good")
    assert len(tree) == 2


@pytest.mark.nightly
def test_a_hundred_thousand_trials_stay_fluid(browser, tree):
    space = refine.Space({f"p{i}": (0.0, 1.0, 12) for i in range(8)})
    frame = pd.DataFrame(space.columns(draw(design_named("uniform"), space, 100_000, 1)))
    noise = np.random.default_rng(0).normal(0, 0.05, len(frame))
    frame = frame.assign(value=-((frame["p0"] - 0.3) ** 2) - (frame["p1"] - 0.6) ** 2 + noise, seconds=1.0)
    round_ = tree.add_runs(frame, space, space_filling=True)
    with served(round_) as running, visit(browser, running.url) as page:
        until(page, "document.querySelector('canvas').width > 300")
        page.evaluate(
            "() => { window.frames_ = 0; const tick = () => { window.frames_ += 1; "
            "requestAnimationFrame(tick); }; tick(); }"
        )
        before = bounds(page, "p0")
        drag(page, "p0", "upper", 100)
        assert bounds(page, "p0")[1] > before[1]
        assert page.evaluate("window.frames_") > 5  # the page went on drawing while it was dragged
        assert page.locator('.refine-header [data-fact="Kept"] dd').first.inner_text()
        # Any of them is found under the pointer, and scrolled to, with a few rows in the page.
        page.wait_for_load_state("networkidle")
        box = page.locator('[data-parameter="p1"] canvas').bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
        page.wait_for_selector(".refine-card.shown")
        assert page.locator(".refine-ring:not([hidden])").count() == 8
        page.locator('[data-fold="trials"] > summary').click()
        page.locator(".refine-list tbody th button").first.focus()
        page.keyboard.press("End")  # far from what is at hand
        worst = int(round_.trials["value"].idxmin())
        until(page, f"document.activeElement.getAttribute('aria-label') === 'trial {worst}'")
        rows = page.locator(".refine-list tbody tr")
        assert rows.count() < 60


EVIL = """<img src=x \
onerror="document.title=1">\"'><script>document.title=1</script><svg/onload=document.title=1>\
</textarea></style>javascript:document.title=1//&lt;img src=x&gt;{{7*7}}${7*7}]]>\u202e\u2028"""
"""What pages have been fooled by, in one text."""


def test_nothing_that_people_wrote_is_markup(browser, tree):
    def objective(p):
        if p["kind"] == EVIL and p[EVIL] > 0.9:
            raise ValueError(EVIL)
        return p[EVIL]

    space = {EVIL: (0.0, 1.0, 6), "kind": [EVIL, "b"]}
    round_ = tree.add_round(space, objective, n=12, seed=1, name="f", note=EVIL).run()
    tree.tag(round_, EVIL)
    round_.exclude([0], EVIL)
    round_.propose(keep=False).edit(kind="b").suggest(EVIL, author=EVIL)
    with served(round_) as running, visit(browser, running.url, folds=(*FOLDS, "trials")) as page:
        page.wait_for_selector(".refine-list tbody tr[data-number]")
        failed = round_.trials.index[round_.trials["state"] == "failed"][0]
        for number in (0, failed):  # an excluded trial and a failed one
            page.locator(f'.refine-list tbody tr[data-number="{number}"] th button').click()
            page.wait_for_selector(".refine-card.pinned .refine-card-tools")
            page.keyboard.press("Escape")
        page.get_by_label("Note", exact=True).fill(EVIL)
        page.locator(".refine-accept").click()
        page.wait_for_selector(".refine-said.good")
        page.wait_for_timeout(300)
        injected = page.locator("main img, main script, main svg svg, nav img")
        assert injected.count() == 0
        assert page.title() == f"{tree._name} · refine"
        shown = page.locator("body").inner_text()
        assert "\u202e" not in shown
        assert "{{7*7}}${7*7}]]>\\u202e" in shown  # what turns the direction of writing is seen


def test_the_pill_of_a_card_is_the_risk_of_its_change(viewed_page, viewed_round):
    review = viewed_round.propose()
    for change in review.proposal.changes:
        pill = viewed_page.locator(f'[data-parameter="{change.name}"] .refine-badge')
        if change.kind == "keep":
            continue
        assert pill.inner_text() == change_view(change).row[4].text
    handle(viewed_page, "dropout", "upper").press("End")
    settled(viewed_page)
    assert viewed_page.locator(
        '[data-parameter="dropout"] .refine-badge'
    ).is_hidden()  # it was about other bounds


def test_kept_choices_are_named_and_the_tab_is_titled_after_the_study(viewed_page):
    assert viewed_page.title() == "question · refine"
    card = viewed_page.locator('[data-parameter="optimizer"]')
    chips = card.locator(".refine-chip")
    pressed = chips.evaluate_all("all => all.map(c => c.getAttribute('aria-pressed'))")
    names = chips.all_inner_texts()
    pressed_names = [name for name, on in zip(names, pressed, strict=True) if on == "true"]
    assert len(pressed_names) == 2
    for name in pressed_names[1:]:
        card.get_by_role("button", name=name, exact=True).click()
    settled(viewed_page)
    assert card.locator(".refine-bounds").inner_text() == f"only {pressed_names[0]}"


def test_the_legend_is_in_sight(viewed_page):
    legend = viewed_page.locator(".refine-legend")
    assert legend.is_visible()
    assert legend.bounding_box()["y"] < viewed_page.locator(".refine-panel").first.bounding_box()["y"]


def test_an_edit_moves_nothing_on_the_page(viewed_page):
    places = """() => [...document.querySelectorAll('.refine-panel, .refine-decide, .refine-legend')]
      .map((e) => {
        const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round); })"""
    settled(viewed_page)
    viewed_page.wait_for_selector('[data-fold="track"]:not([hidden])', state="attached")
    before = viewed_page.evaluate(places)
    handle(viewed_page, "dropout", "upper").press("ArrowRight")
    viewed_page.get_by_label("dropout, upper bound, typed").blur()
    settled(viewed_page)
    assert viewed_page.locator('[data-parameter="dropout"]').get_attribute("data-source") == "edited"
    viewed_page.evaluate("window.scrollTo(0, 0)")
    assert viewed_page.evaluate(places) == before
    assert viewed_page.locator(".refine-decide").bounding_box()["height"] <= 56


def test_a_widened_range_has_a_tick_at_its_new_end_and_hatching_where_nothing_ran(browser, tree):
    root = tree.add_round({"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}, lambda p: p["lr"], n=60, seed=1)
    root.run()
    new = root.propose(keep=False).proposal["lr"].new
    assert new.high > 5
    with served(root) as running, visit(browser, running.url) as page:
        card = page.locator('[data-parameter="lr"]')
        assert card.locator(".refine-hatch").count() == 1
        ticks = [float(text) for text in card.locator(".tick text").all_text_contents()]
        assert new.high in ticks
        # The range of the round keeps most of the axis.
        x = {
            value: card.locator(".tick").nth(i).evaluate("t => t.getCTM().e") for i, value in enumerate(ticks)
        }
        axis = card.locator(".refine-plot").bounding_box()
        assert x[5.0] - x[min(ticks)] > 0.55 * axis["width"]
        assert page.locator(".refine-key.hatch").is_visible()


def test_four_cards_stand_two_by_two(browser, tree):
    def score(p):
        return -sum((p[name] - 0.2) ** 2 for name in p)

    root = tree.add_round({f"p{i}": (0.0, 1.0, 11) for i in range(4)}, score, n=150, seed=1)
    root.run()
    with served(root) as running, visit(browser, running.url) as page:
        cards = page.locator(".refine-main > .refine-grid .refine-panel")
        assert cards.count() == 4
        boxes = [card.bounding_box() for card in cards.all()]
        assert len({round(box["x"]) for box in boxes}) == 2
        assert len({round(box["y"]) for box in boxes}) == 2
        titles = page.locator(".refine-main > .refine-grid .refine-axis-title")
        assert titles.count() == 2  # one labelled axis a row


def test_the_number_of_a_check_is_readable_next_to_its_open_figure(viewed_page):
    row = viewed_page.locator(".refine-checks li:has(details)").first
    row.locator("details > summary").click()
    row.locator("img, p.refine-faint").first.wait_for()
    for part in (".refine-check-number", "strong"):
        assert row.locator(part).bounding_box()["width"] > 100


def test_a_dragged_handle_has_no_frame_of_the_browser(viewed_page):
    drag(viewed_page, "lr", "upper", 60)
    focused = "getComputedStyle(document.activeElement).outlineStyle"
    assert viewed_page.evaluate("document.activeElement.dataset.side") == "upper"
    assert viewed_page.evaluate(focused) == "none"


def test_on_a_phone_the_tiles_stand_once_above_the_cards(browser, window):
    viewport = {"width": 390, "height": 844}
    with visit(browser, window.url, folds=(), groups=(), viewport=viewport) as page:
        settled(page)
        folds = page.locator(".refine-main > .refine-fold")
        assert sum(fold.is_visible() for fold in folds.all()) <= 4
        tiles = page.locator(".refine-strip > div")
        assert tiles.count() <= 3
        card = page.locator(".refine-panel").first.bounding_box()["y"]
        for name in ("Risk", "Kept", "Blind spot"):
            shown = page.locator(f'.refine-tiles [data-fact="{name}"]')
            assert shown.count() == 1
            assert shown.bounding_box()["y"] < card


def test_a_printed_page_has_cards_of_its_width_and_nothing_to_press(browser, window):
    with visit(browser, window.url, folds=(), color_scheme="dark") as page:
        settled(page)
        page.set_viewport_size({"width": 794, "height": 1123})
        page.emulate_media(media="print")
        for part in (".refine-side", ".refine-accept", ".refine-actions", ".refine-fold:not([open])"):
            assert page.locator(part).first.is_hidden()
        until(page, "document.querySelector('.refine-panel .refine-plot').clientWidth < 794")
        ground = "getComputedStyle(document.querySelector('.refine')).backgroundColor"
        assert page.evaluate(ground) == "rgb(255, 255, 255)"


def test_bounds_are_stated_without_exponents_for_screen_readers(browser, tree):
    space = {"l2": refine.Float(1e-9, 1.0, levels=10, log=True)}
    root = tree.add_round(
        space, lambda p: -p["l2"], n=10, seed=1, metric=refine.Goal("value", noise="retraining")
    ).run()
    with served(root) as running, visit(browser, running.url) as page:
        value = handle(page, "l2", "lower").get_attribute("aria-valuemin")
        assert (0 < float(value) < 1e-6, "e" in value) == (True, False)
