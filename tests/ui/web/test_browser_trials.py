"""The trials of a round in a real Chromium: pointed at, listed, excluded, viewed; by keyboard as well."""

from importlib.resources import files

import pytest
from pages import SPACE, point, score, served, settled, until, visit

import refine
from tests.elsewhere import library

pytestmark = pytest.mark.browser
TOO_FAST = "too fast"


def curve(p, trial):
    if p["lr"] == 5 and p["optimizer"] == "SGD":
        raise ValueError(TOO_FAST)
    for epoch in range(1, 6):
        trial.report(epoch, {"val_acc": score(p) * epoch / 5})
    return {"val_acc": score(p)}


def first_round(tree):
    return tree.add_round(SPACE, curve, n=100, seed=3, metric="val_acc").run()


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A round and its child, which nobody changes."""
    with refine.Tree("family", store=tmp_path_factory.mktemp("family") / "refine.db") as tree:
        review = first_round(tree).propose().edit(dropout=(0.0, 0.3), units=(4, 64), lr=(0.5, 3.0))
        yield review.round, review.accept(n=40).run()


def ready(page):
    """Waits until dots say which trials they are."""
    until(page, "[...document.querySelectorAll('.refine-panel canvas')].every((c) => c.width > 200)")
    page.wait_for_load_state("networkidle")


def rings(page):
    """Places where a trial is lit: parameter -> pixels within its card."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.refine-panel')].map((panel) => {
          const [ring, plot] = [panel.querySelector('.refine-ring'), panel.querySelector('.refine-drawing')];
          const [a, b] = [ring.getBoundingClientRect(), plot.getBoundingClientRect()];
          return [panel.dataset.parameter, ring.hidden ? null : [a.x + a.width / 2 - b.x, a.y + a.height / 2 \
- b.y]];
        }))"""
    )


def test_a_hovered_dot_shows_its_trial_and_is_highlighted_in_every_chart(browser, family):
    root, _ = family
    table = root.trials
    with served(root) as running, visit(browser, running.url) as page:
        ready(page)
        number = int(point(page, '[data-parameter="optimizer"] canvas').removeprefix("Trial "))
        card = page.locator(".refine-card")
        text = card.inner_text()
        assert f"val_acc {table['value'][number]:.4f}" in text
        assert card.locator(".refine-configuration").inner_text().split("\n")[:2] == [
            "lr",
            f"{table['lr'][number]:.6g}",
        ]
        assert "in 5 epochs" in text
        label = card.get_by_role("img").get_attribute("aria-label")
        assert label.startswith("val_acc ")
        assert "5 epochs" in label
        lit = rings(page)
        assert all(lit.values())
        # In the card of a range the ring stands at the trial's value: as far along as its level.
        x = page.evaluate(
            """(value) => { const ticks = [...document.querySelectorAll('[data-parameter="dropout"] .tick')];
              const at = ticks.find((t) => Number(t.textContent) === value); return at && at.getCTM().e; }""",
            float(table["dropout"][number]),
        )
        assert x is None or lit["dropout"][0] == pytest.approx(x, abs=20)
        # A click keeps it, and the keyboard goes there; Escape gives it back.
        page.mouse.down()
        page.mouse.up()
        page.wait_for_selector(".refine-card.pinned")
        page.mouse.move(5, 500)
        assert card.get_attribute("role") == "dialog"
        assert page.evaluate("document.activeElement.classList.contains('refine-card')")
        assert all(rings(page).values())
        page.keyboard.press("Escape")
        assert not card.is_visible()
        assert not any(rings(page).values())


@pytest.mark.nightly
def test_the_list_works_with_the_keyboard_and_exclusions_are_kept(browser, tree):
    root = first_round(tree)
    best = list(root.trials["value"].sort_values(ascending=False, kind="stable").index)
    with served(root) as running, visit(browser, running.url) as page:
        ready(page)
        page.locator('[data-fold="trials"] > summary').press("Enter")
        rows = page.locator(".refine-list tbody tr[data-number]")
        rows.first.wait_for()
        assert [int(r.get_attribute("data-number")) for r in rows.all()[:5]] == best[:5]
        rows.first.locator("th button").focus()
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"trial {best[1]}"
        assert all(rings(page).values())  # the row's trial is lit in every card
        page.keyboard.press("End")
        until(page, f"document.activeElement.getAttribute('aria-label') === 'trial {best[-1]}'")
        page.keyboard.press("Enter")
        error = page.get_by_role("dialog").locator(".refine-card-error").first
        assert error.inner_text() == f"ValueError: {TOO_FAST}"
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"trial {best[-1]}"
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        card = page.get_by_role("dialog")
        card.wait_for()
        assert card.locator("strong").inner_text() == f"Trial {best[0]}"
        reason = "ran on other data"
        card.locator("summary").click()
        card.get_by_label("Reason to exclude the trial").fill(reason)
        card.get_by_label("Reason to exclude the trial").press("Enter")
        page.wait_for_selector(".refine-said.good")
        assert list(root.trials.index[root.trials["state"] == "excluded"]) == best[:1]
        assert f"{reason} (1 trial)" in set(tree.log()["note"])
        settled(page)
        until(page, f"document.querySelector('.refine-list tbody tr').dataset.number === '{best[1]}'")
        # Filters: what is left is said, and sorting goes on within it.
        page.get_by_role("button", name="filter", exact=True).click()
        page.get_by_label("optimizer, which").select_option("SGD")
        page.get_by_label("lr, at most").fill("2")
        count = int(((root.trials["optimizer"] == "SGD") & (root.trials["lr"] <= 2)).sum())
        until(
            page,
            f"document.querySelector('.refine-list-line').textContent.startsWith('{count} of 100 trials')",
        )
        page.get_by_role("button", name="lr", exact=True).click()
        until(page, "document.querySelector('th[data-column=lr]').ariaSort === 'ascending'")
        page.get_by_role("button", name="clear filters").click()
        until(page, "document.querySelector('.refine-list-line').textContent.startsWith('100 trials')")


@pytest.mark.nightly
def test_the_page_has_no_accessibility_violations(browser, family):
    source = (files(library("axe_playwright_python")) / "axe.min.js").read_text(encoding="utf-8")
    with served(family[1]) as running, visit(browser, running.url) as page:
        ready(page)
        page.evaluate(source)
        page.locator('[data-fold="views"] > summary').click()
        page.locator('[data-fold="trials"] > summary').click()
        page.get_by_role("tab", name="two parameters").click()
        page.wait_for_selector("#refine-view-pair img")
        page.locator(".refine-list tbody th button").first.click()
        page.wait_for_selector(".refine-card.pinned .refine-card-tools")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            report = page.evaluate("() => axe.run(document.querySelector('.refine'))")
            assert len(report["passes"]) > 20
            assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in report["violations"]] == []
