"""``refine ask``: the answer, its JSON, and a round that settles it."""

from __future__ import annotations

import pytest
from shell import data, good, refused

import objectives
import refine

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        tree.add_round(SPACE, objectives.bowl, n=40, seed=7).run(progress=False)
    return str(path)


def test_a_question_is_answered_as_in_python(store):
    with refine.Tree("study", store=store) as tree:
        answer = tree.ask("lr <= 2", given="optimizer == 'Adam'", epsilon=0.01)
    text = good("ask", store, "lr <= 2", "--given", "optimizer == 'Adam'", "--epsilon", 0.01)
    assert text.splitlines()[:2] == str(answer).splitlines()[:2]
    answered = data("ask", store, "lr <= 2", "--given", "optimizer == 'Adam'", "--epsilon", 0.01)
    assert answered["probability"] == answer.probability
    assert answered["given"] == "optimizer == 'Adam'"
    other = data("ask", store, "lr >= 4", "--better", "lr <= 2")
    assert (other["better"], other["verdict"]) == ("lr <= 2", "no")


def test_a_question_is_settled_by_a_round(store):
    words = ["ask", store, "dropout >= 0.2", "--epsilon", "0.03"]
    text = good(*words)
    if "--settle" in text:  # the shell spells the call with all that was typed
        assert f"refine ask {store} 'dropout >= 0.2' --epsilon 0.03 --settle" in text
    child = data(*words, "--settle", 4)
    assert (child["n"], child["note"]) == (4, "settles: dropout >= 0.2")


def test_a_wrong_question_is_one_line(store):
    assert "did you mean 'dropout'?" in refused("ask", store, "dropuot <= 2")
    assert "not allowed" in refused("ask", store, "__import__('os').system('ls')")
