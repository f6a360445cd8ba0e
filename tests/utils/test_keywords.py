"""A keyword that no public call knows is an error that says what may have been meant."""

import inspect
from typing import TypedDict, Unpack

import pytest

import refine
from refine.utils.keywords import helped, helped_methods


class Shares(TypedDict, total=False):
    exploit: float | None


def root():
    return refine.Tree("q", store="sqlite://").add_round({"x": (0, 5)}, lambda p: 1.0, n=3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: root().run(worker=2),
            "Round.run() got an unexpected keyword argument 'worker'; did you mean 'workers'?",
        ),
        (
            lambda: refine.Float(0, 1, level=3),
            "Float() got an unexpected keyword argument 'level'; did you mean 'levels'?",
        ),
        (
            lambda: refine.Tree.load("x", nam="y"),
            "Tree.load() got an unexpected keyword argument 'nam'; did you mean 'name'?",
        ),
        (
            lambda: refine.autopilot(root(), budgets=3),
            "autopilot() got an unexpected keyword argument 'budgets'; did you mean 'budget'?",
        ),
        (
            lambda: root().branch({"x": (0, 2)}, audit=0.1),
            "Round.branch() got an unexpected keyword argument 'audit'; write plan=refine.Plan(audit=...)",
        ),
        (
            lambda: refine.Goal("acc", maximise=True),
            "Goal() got an unexpected keyword argument 'maximise'; help(refine.Goal) lists all keywords",
        ),
    ],
)
def test_an_unknown_keyword_names_the_one_that_may_be_meant(call, text):
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == text


def test_signatures_documentation_and_positions_stay():
    @helped
    def call(a, /, b=2, *remaining, c):
        """Says so."""
        return a, b, remaining, c

    assert call(1, 5, 6, c=3) == (1, 5, (6,), 3)
    assert call(1, c=3) == (1, 2, (), 3)
    assert call.__doc__ == "Says so."
    assert list(inspect.signature(call).parameters) == ["a", "b", "remaining", "c"]
    with pytest.raises(TypeError, match=r"known: b, c$"):
        call(1, c=3, zzz=4)


def test_help_lists_the_options_behind_a_dictionary_of_keywords():
    @helped
    def call(note="", **options: "Unpack[Shares]"):
        return note, options

    assert list(inspect.signature(call).parameters) == ["note", "exploit"]
    assert str(inspect.signature(call)) == "(note='', *, exploit: float | None = ...)"
    with pytest.raises(TypeError, match=r"known: note, exploit$"):
        call(zzz=4)


def test_inherited_and_class_methods_are_called_by_the_name_of_the_class():
    class Base:
        def of(self, number):
            return number

        @classmethod
        def made(cls, two):
            return cls, two

    @helped_methods
    class Mine(Base):
        pass

    assert Mine.made(two=3) == (Mine, 3)
    assert Mine().of(number=1) == 1
    with pytest.raises(TypeError, match=r"mean 'number'\?"):
        Mine().of(numbers=1)
