"""The calls on the page of questions run, each of them."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
TEXT = PAGE.read_text()
ROWS = re.findall(r"^\| ([^|]+\?) \| `(tree\.ask\(.+\))` \|$", TEXT, re.MULTILINE)


@pytest.fixture(scope="module")
def pipeline_tree(tmp_path_factory):
    """The tree of the first block, without what it prints."""
    first = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    code = first.replace("questions.db", str(tmp_path_factory.mktemp("questions") / "questions.db"))
    names = {"print": lambda *_: None}
    exec(code, names)
    with names["tree"] as tree:
        yield tree


def test_there_are_twenty_questions():
    assert len(ROWS) == 20


@pytest.mark.parametrize(("words", "call"), ROWS, ids=[call for _, call in ROWS])
def test_a_call_of_the_page_is_answered(pipeline_tree, words, call):
    answer = eval(call, {"tree": pipeline_tree})
    assert answer.verdict in ("yes", "probably", "open", "probably not", "no", "either", "unknown")
    assert str(answer).splitlines()[1].endswith(".")
    repeated = pipeline_tree.ask(
        answer.question, given=answer.given, better=answer.better, epsilon=answer.epsilon
    )
    assert repeated.inside == answer.inside


def test_every_option_of_a_question_is_on_the_page():
    for option in ("given=", "better=", "epsilon=", "guess="):
        assert option in TEXT
