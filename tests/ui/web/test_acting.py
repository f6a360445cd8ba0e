"""The page acts: what to do next, the next round's plan, running and fronts, in a real Chromium."""

import contextlib
import os
import random
import re
import sys
from pathlib import Path

import pytest
from pages import fact, python, round_shown, served, settled, until, visit

import refine
from refine.report.pages.headline import headline_of
from refine.ui.web.background import Background

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import words

pytestmark = pytest.mark.browser
REASON = "fast enough"


def on_path(folder, monkeypatch):
    """Puts a folder on the import path, here and in processes that are started."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@contextlib.contextmanager
def page_of(browser, round_, **options):
    with (
        contextlib.closing(Background()) as background,
        served(round_, background=background) as running,
        visit(browser, running.url, **options) as page,
    ):
        yield page


@pytest.mark.parametrize("size", [(1440, 900), (1000, 700), (390, 844)])
def test_the_first_screen_shows_all_that_a_decision_needs(browser, window, size):
    viewport = {"width": size[0], "height": size[1]}
    with visit(browser, window.url, folds=(), viewport=viewport) as page:
        settled(page)
        for name in ("Risk", "Kept", "Recommendation"):
            assert page.locator(f'[data-fact="{name}"]').first.is_visible()
        page_text = page.locator(".refine-main").inner_text()
        for symbol in ("P(", "q ", "ε", "rho", "exploit", "audit", "hours", "belief"):
            assert symbol not in page_text
        assert page.get_by_role("button", name="decline").is_visible()
        assert page.get_by_role("button", name=re.compile("^accept")).all_inner_texts() == ["accept"]
        button = page.locator(".refine-accept").bounding_box()
        assert button["y"] + button["height"] <= size[1]
        # The foot is one line.
        assert page.locator(".refine-decide").bounding_box()["height"] <= 56
        # The sentence is whole, in however many lines.
        fits_expression = "e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight + 2"
        assert page.locator(".refine-next").evaluate(fits_expression)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        read = page.evaluate(words.SEEN)
        assert page.locator(".refine-next").inner_text() in " ".join(read.split())
        assert words.counted(read).words <= words.BUDGETS["page"].words, read


@pytest.mark.nightly
def test_unfolded_parts_are_remembered(browser, window):
    with visit(browser, window.url, folds=()) as page:
        for state in ("visible", "hidden"):
            page.locator('[data-fold="sure"] > summary').click()
            page.evaluate("new Promise(then => setTimeout(then, 100))")  # once it is stored
            page.reload()
            page.wait_for_selector(".refine-header [data-fact=Kept]")
            page.get_by_label("Accepted risk of the proposal").wait_for(state=state)


def test_after_accepting_the_page_runs_the_child_and_shows_its_proposal(browser, tree, tmp_path, monkeypatch):
    on_path(tmp_path, monkeypatch)
    (tmp_path / "slope_here.py").write_text(
        "import time\n\ndef score(p, trial):\n    time.sleep(0.1)\n    value = p['lr'] - "
        "p['dropout'] ** 2\n    for epoch in range(1, 5):\n        trial.report(epoch, {'value': "
        "value})\n        if trial.should_prune():\n            break\n    return value\n"
    )
    space = {"lr": (0.0, 1.0, 21), "dropout": (0.0, 0.5, 11)}
    pruner = refine.Pruner(warmup=3)

    def score(p, trial):
        value = p["lr"] - p["dropout"] ** 2
        for epoch in range(1, 5):
            trial.report(epoch, {"value": value})
            if trial.should_prune():
                break
        return value

    root = tree.add_round(
        space, score, n=60, seed=1, name="slope_here.score", plan=refine.Plan(pruner=pruner)
    )
    round_ = root.run()
    with page_of(browser, round_) as page:
        prunes = page.get_by_label("stop poor trials early, as in this round")
        assert prunes.is_checked()
        settled(page)
        assert "pruner" not in python(page)  # it is inherited
        page.get_by_label("Configurations of the next round").fill("40")
        page.locator(".refine-accept").click()
        page.wait_for_selector(".refine-said.good")
        child = tree.rounds[1]
        assert round_shown(page) == child.id
        run = page.locator(".refine-run")
        for part in (page.locator(".refine-next"), run):
            assert re.findall(r"\d+", part.inner_text()) == ["40"]
        run.click()
        until(
            page,
            "document.querySelector('.refine-going p').textContent.includes(' of 40 ')",
            60,
        )
        assert page.locator(".refine-header .refine-facts").first.is_hidden()  # it has no proposal yet
        page.wait_for_selector(".refine-header [data-fact=Kept]", timeout=60_000)
        assert page.locator(".refine-panel").count() == 2
        assert round_shown(page) == child.id
    assert (len(child.trials), child._node.pruner) == (40, pruner.to_json())


def test_a_round_grows_from_the_page(browser, tree, tmp_path, monkeypatch):
    on_path(tmp_path, monkeypatch)
    (tmp_path / "growing_here.py").write_text(
        "import time\n\ndef score(p):\n    time.sleep(0.3)\n    return p['lr'] - p['dropout'] ** 2\n"
    )

    def score(p):
        return p["lr"] - p["dropout"] ** 2

    space = {"lr": (0.0, 1.0, 21), "dropout": (0.0, 0.5, 11)}
    root = tree.add_round(
        space,
        score,
        n=20,
        seed=1,
        name="growing_here.score",
        budget=60,
        metric=refine.Goal("value", noise="retraining"),
    )
    round_ = root.run()
    with page_of(browser, round_, folds=("try",)) as page:
        settled(page)
        assert "40 of 60" in page.locator(".refine-grow").inner_text()
        page.get_by_label("Number of trials to add").fill("41")
        page.get_by_role("button", name="run 41 more").click()
        page.wait_for_selector(".refine-said.bad >> text=n=40")
        page.get_by_label("Number of trials to add").fill("12")
        page.get_by_label("How the added trials are chosen").select_option("chosen by the model")
        page.get_by_role("button", name="run 12 more").click()
        until(page, "document.querySelector('.refine-going').textContent.includes(' of 32')")
        assert page.get_by_role("button", name="pause").is_visible()
        assert page.get_by_role("button", name="run 12 more").is_disabled()
        until(page, "document.querySelectorAll('.refine-scatter circle').length > 20")
        until(page, "document.querySelector('.refine-side').textContent.includes('32/32')")
        page.locator(".refine-going").wait_for(state="hidden")
    assert round_.trials["origin"].value_counts().to_dict() == {"space_filling": 20, "exploit": 12}
    assert len(tree) == 1


@pytest.mark.nightly
def test_a_round_without_a_proposal_offers_the_next_step(browser, tree, tmp_path, monkeypatch):
    on_path(tmp_path, monkeypatch)
    (tmp_path / "noise_here.py").write_text("def score(p):\n    return 0.0\n")

    def score(p):
        return random.Random(repr(sorted(p.items()))).random() + 0 * p["b"]

    space = {"a": (0.0, 1.0, 21), "b": (0.0, 1.0, 21), "c": ["x", "y"]}
    # Rounds of pure noise propose a change with four of the seeds 1 to 7, not with this one.
    round_ = tree.add_round(space, score, n=40, seed=2, name="noise_here.score").run()
    headline = headline_of(round_.propose(keep=False))
    assert headline.action.options["n"] == 40
    with page_of(browser, round_) as page:
        for drawn in (".refine-proposed", "rect.refine-kept", ".refine-key.kept", ".refine-key.proposed"):
            assert not page.locator(drawn).first.is_visible()
        assert page.locator(".refine-accept").inner_text() != "accept"  # there is no proposal
        assert page.locator(".refine-run").is_hidden()
        assert page.locator(".refine-next").inner_text() == headline.text
        assert page.locator(".refine-accept").is_enabled()


def network(p):
    accuracy = 0.8 - 0.05 * (p["lr"] - 1.4) ** 2 + 0.01 * p["units"]
    return {"val_acc": accuracy, "latency_ms": 0.5 + p["units"] * (1.5 if p["activation"] == "gelu" else 1)}


@pytest.fixture
def several(tree):
    space = {
        "units": (1, 6),
        "lr": (0.5, 5.5, 6),
        "activation": ["relu", "gelu"],
        "momentum": refine.Float(0.0, 0.9, 3, when="activation == 'gelu'"),
    }
    goals = [refine.Goal("val_acc", subject_to=["latency_ms <= 7"]), refine.Goal("latency_ms", "minimize")]
    belief = {"lr": refine.Near(2.0, within=1.0)}
    return tree.add_round(
        space, network, metric=goals, n=60, seed=1, plan=refine.Plan(belief=belief), name="f"
    ).run()


def test_a_question_about_several_goals_is_asked_again_with_its_tolerances(browser, several, tree):
    tree.ask("units <= 3", better="units >= 5", epsilon={"val_acc": 0.07, "latency_ms": 0.9})
    with page_of(browser, several, folds=("ask",)) as page:
        page.locator(".refine-suggestion", has_text="units <= 3 against units >= 5").click()
        tolerance = page.locator('.refine-answer [data-fact="Tolerance"] dd')
        tolerance.wait_for()
        assert tolerance.text_content().startswith("0.07 ")
        submit = page.get_by_role("button", name="ask", exact=True)
        submit.click()
        until(page, "document.querySelector('.refine-answer') !== null")
        assert tolerance.text_content().startswith("0.07 ")
        assert "units >= 5" in page.locator(".refine-answer").inner_text()
        page.get_by_label("Question: a condition on the parameters").fill("units <= 2")
        submit.click()
        until(page, "document.querySelector('.refine-answer')?.innerText.includes('units <= 2')")
        assert not tolerance.text_content().startswith("0.07 ")
    asked = {question.question: question.answers[0].tolerance for question in tree.ask().asked}
    assert asked["units <= 3"] == {"val_acc": 0.07, "latency_ms": 0.9}
    assert asked["units <= 2"] is None


@pytest.mark.nightly
def test_a_point_of_the_front_is_chosen_on_the_page(browser, several, tree):
    with page_of(browser, several) as page:
        chooses_from_the_front(page, several)
        page.get_by_label("Share of exploit trials").fill("50")
        settled(page)
        assert "exploit=0.5)" in python(page)
        page.locator(".refine-accept").click()
        page.wait_for_selector(".refine-said.good >> text=Accepted", timeout=120_000)
        assert page.locator(".refine-run").is_hidden()  # its function has no name to be found by
        command = page.locator(".refine-cannot code").inner_text()
        assert command.split()[:3] == ["refine", "run", tree._url.removeprefix("sqlite:///")]
    (chosen, accepted) = several._decisions
    assert (chosen.kind, chosen.note) == ("chosen", REASON)
    assert chosen.chosen["units"] == several.front["units"].iloc[1]
    child = tree[accepted.child]
    assert child._node.exploit == 0.5
    assert child._belief == several._belief  # it goes on


def chooses_from_the_front(page, several):
    front = several.front
    assert str(len(front)) in fact(page, "Front").split()
    assert "latency_ms <= 7" in page.locator(".refine-legend").inner_text()
    condition = page.locator('[data-parameter="momentum"] .refine-when')
    assert condition.inner_text().endswith(several.space["momentum"].when)
    points = page.locator(".refine-point")
    points.first.wait_for()
    assert points.evaluate_all("all => all.map(e => Number(e.dataset.label))") == list(front.index)
    second_point = points.nth(1)
    second_point.focus()
    page.keyboard.press("Enter")
    assert second_point.get_attribute("aria-pressed") == "true"
    assert f"val_acc {front['val_acc'].iloc[1]:.4f}" in page.locator(".refine-picked").inner_text()
    page.get_by_label("Reason for this point").fill(REASON)
    page.get_by_role("button", name="choose this point").click()
    page.wait_for_selector(".refine-said.good")
    assert "(chosen)" in page.locator(".refine-picked").inner_text()
