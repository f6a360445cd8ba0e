"""The guide: it asks, checks answers, and leaves behind exactly what the same calls would have made."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
from itertools import pairwise

import pytest

import refine
from refine.errors import ReviewError
from refine.utils.display import to_text

SCORES = """
def score(p):
    slow = 0.1 * (p["optimizer"] == "SGD")
    return 1 - 0.05 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - slow
"""
SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"], "epochs": 20}


class Person:
    """Answers in turn, and keeps what was asked and shown."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.shown = []

    def ask(self, question):
        self.asked.append(question)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def tell(self, page):
        self.shown.append(to_text(page))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an objective's module, and a store with a round of it that ran."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "guided_scores.py").write_text(SCORES)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(str(folder))
        import guided_scores

        with refine.Tree("question", store=folder / "run.db") as tree:
            tree.add_round(SPACE, guided_scores.score, n=100, seed=3, note="first look")
        shutil.copy(folder / "run.db", folder / "new.db")
        with refine.Tree("question", store=folder / "run.db") as tree:
            tree["root"].run(objective=guided_scores.score, progress=False)
        yield folder
    del sys.modules["guided_scores"]


@pytest.fixture
def store(home, tmp_path):
    """A copy of that store."""
    return shutil.copy(home / "run.db", tmp_path / "t.db")


@pytest.fixture
def walk():
    """Walks through a tree, which stays open until the test has ended."""
    with contextlib.ExitStack() as stack:

        def walked(path, person, round_name="root", **options):
            tree = stack.enter_context(refine.Tree("question", store=path))
            return refine.guide(tree, round_name, ask=person.ask, tell=person.tell, **options)

        yield walked


def content(path):
    """Everything of a tree that is no time."""
    with refine.Tree("question", store=path, create=False) as tree:
        return [
            (
                r.id,
                r.n,
                r.node.note,
                r.trials.drop(columns="seconds").sort_values("seed").to_csv(index=False),
                [d.dumps() for d in r.decisions],
            )
            for r in tree.rounds
        ]


@pytest.mark.nightly
def test_script_and_walk_leave_the_same(walk, home, tmp_path):
    from guided_scores import score as objective

    walked, scripted = (
        shutil.copy(home / "new.db", tmp_path / name) for name in ("walked.db", "scripted.db")
    )
    note = "low dropout"
    person = Person(
        *("", "y", "2"),  # the round, run it, two at a time
        *("lr", "", "0.1"),  # look at lr, go on, risk
        *("a", "0, 0.25", "r"),  # lr, dropout, optimizer
        *("40", "e", "epochs=30"),  # something else
        *("40", "a", note),  # size, accept, why
        *("y", "1"),  # run it
    )
    outcome = walk(walked, person, None, objective=objective)
    assert not person.answers
    assert outcome.round.node.note == note
    assert len(outcome.round.trials) == outcome.round.n == 40
    assert outcome.round.space["dropout"].high == 0.25
    assert outcome.round.space["epochs"].grid == (30,)
    assert "\nreview = round.propose(" in str(outcome)  # as lines, not as one
    assert "round.run(workers=2, objective=objective)" in outcome.script
    assert "review.edit(dropout=(0, 0.25))" in outcome.script
    assert f"review.accept(note={note!r}, n=40, exploit=0.3)" in outcome.script
    script = outcome.script.replace(str(walked), str(scripted))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert content(scripted) == content(walked)


@pytest.mark.slow
def test_the_guide_shows_evidence_and_checks_before_a_decision(walk, store):
    note = "not convinced"
    person = Person("dropout", "", "", "a", "a", "a", "", "d", note)
    outcome = walk(store, person)
    shown = "\n".join(person.shown)
    analysis = outcome.round.analyze()
    review = outcome.round.propose(keep=False)
    evidence = (analysis.page(), analysis.page().why("dropout"), review.page(), review.checks().page())
    for page in (*evidence, review.preview().page()):
        assert page.title in shown
    assert "\nNext " not in shown  # the next question says that
    assert outcome.round.node.parent is None
    assert outcome.script.splitlines()[-1] == f"review.decline(note={note!r})"
    with refine.Tree("question", store=store) as tree:
        (decision,) = tree.rounds[0].decisions
        assert (decision.kind, decision.note, len(tree)) == ("declined", note, 1)


@pytest.mark.slow
def test_a_question_is_answered_before_the_decision(walk, store):
    person = Person("dropout <= 0.2", "drpout <= 1", "", "0.05", "q")
    outcome = walk(store, person)
    shown = "\n".join(person.shown)
    assert "Question: dropout <= 0.2\nYes: " in shown
    assert any("'drpout'" in text and "'dropout'" in text for text in person.shown)
    assert "a question" in person.asked[0]
    assert "print(tree.ask('dropout <= 0.2'))" in outcome.script
    with refine.Tree("question", store=store) as tree:
        assert [q.question for q in tree.questions(suggest=False).asked] == ["dropout <= 0.2"]


@pytest.mark.slow
def test_wrong_answers_are_asked_again_with_the_way_out(walk, store):
    person = Person(
        *("drpout", ""),
        *("5", "0.05"),
        *("a", "0.5, 0.2", "0, 0.3", "a"),
        *("many", "30"),
        *("yes", "e", "drop=3", "dropout=(0, 0.2)", "20", "a", "note", "n"),  # once more
    )
    outcome = walk(store, person)
    assert not person.answers
    repeated = [question for question, following in pairwise(person.asked) if question == following]
    assert len(repeated) == 6
    screens = "\n".join(person.shown)
    for wrong in ("'drpout'", "got 5.0", "got (0.5, 0.2)", "'drop'", "got 'many'", "got 'yes'"):
        assert wrong in screens
    assert "a = accept, d = decline, e = edit, q = quit" in screens
    assert (outcome.round.space["dropout"].high, outcome.round.n) == (0.2, 20)
    assert outcome.script.count("review.edit") == 2


@pytest.mark.slow
def test_stopping_at_any_question_decides_nothing(walk, store):
    before = content(store)
    for answers in (0, 1, 7):
        # By q, or because there is nobody to answer.
        person = Person(*["", "", "", "a", "a", "a", "", ""][:answers], *["q"] * (answers % 2))
        outcome = walk(store, person, None)
        assert content(store) == before
        assert outcome.round.node.parent is None
        assert any(text.startswith("Stopped:") for text in person.shown)

    def ask(question):
        raise KeyboardInterrupt

    person.ask = ask
    assert walk(store, person).to_dict()["script"].split()[:2] == ["import", "refine"]


def lucky(p, trial):
    """Falls with x; the best of so many noisy values is one of luck."""
    return 1.0 - 0.1 * p["x"] + random.Random(trial.seed).gauss(0, 0.5)


@pytest.mark.slow
def test_enter_keeps_nothing_that_throws_away_the_best(walk, tmp_path):
    with refine.Tree("question", store=tmp_path / "t.db") as tree:
        space = {"x": refine.Integer(0, 10), "y": refine.Integer(0, 19)}
        root = tree.add_round(space, lucky, objective_name="lucky", n=100, seed=26).run(progress=False)
        review = root.propose(keep=False)
        # The best is one of luck: less is expected of it than of what stays.
        assert 1 in review.preview().lost
        assert not review.preview().throws
        assert review.edit(x=(8, 10)).preview().throws
    person = Person("", "", "8, 10", "", "", "q")
    walk(tmp_path / "t.db", person, root.id)
    assert person.asked[-2:] == [person.asked[-1]] * 2  # asked again
    assert "a = accept" in person.asked[-1]
    with refine.Tree("question", store=tmp_path / "t.db") as tree:
        assert not tree["root"].decisions


def test_a_guide_without_the_objective_says_how_to_give_it(walk, home, tmp_path):
    person = Person("", "y")
    walk(shutil.copy(home / "new.db", tmp_path / "t.db"), person, None)
    screens = "\n".join(person.shown)
    assert "refine.guide(tree, objective=...)" in screens
    assert "least 10" in screens


def test_a_guide_through_a_tree_without_rounds_names_add_round(tmp_path):
    with refine.Tree("question", store=tmp_path / "t.db") as tree, pytest.raises(ReviewError) as caught:
        refine.guide(tree)
    assert str(caught.value).endswith("tree.add_round(space, objective, n=100)")
