"""Calls of a tree in any order end in a refine error or leave a tree that exports and loads whole."""

import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import refine
from refine.errors import RefineError

SPACE = {"x": (0.0, 1.0, 11), "units": [8, 16, 32], "act": ["relu", "tanh"]}
COUNTS = st.integers(1, 25)
PLACES = st.integers(0, 5)


def score(params):
    if params["x"] == 0.3:
        raise ValueError("diverged")
    return 0.9 - abs(params["x"] - 0.5) - 0.1 * (params["act"] == "tanh") + params["units"] / 1000


class Calls(RuleBasedStateMachine):
    """A tree, and what a person may do with it."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.tree = refine.Tree("calls", store=Path(self.folder.name) / "a.db")
        self.exports = 0

    def teardown(self):
        self.tree.close()
        self.folder.cleanup()

    def call(self, action):
        """Runs a call; an error of refine is an answer, any other error a fault."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return action()
            except RefineError:
                return None

    def some(self, place):
        rounds = self.tree.rounds
        return rounds[place % len(rounds)]

    @rule(n=COUNTS, seed=st.integers(0, 2))
    def add_round(self, n, seed):
        self.call(lambda: self.tree.add_round(SPACE, score, n=n, seed=seed, direction="maximize"))

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES)
    def run(self, place):
        self.call(lambda: self.some(place).run())

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES, n=COUNTS)
    def branch(self, place, n):
        self.call(lambda: self.some(place).branch(self.some(place).space, n=n, seed=n))

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES, n=st.none() | COUNTS, decision=st.sampled_from(["accept", "edit", "reject"]))
    def decide(self, place, n, decision):
        def decide():
            review = self.some(place).propose()
            if decision == "edit":
                review = review.edit(x=(0.2, 0.8))
            if decision == "reject":
                review = review.reject("x")
            return review.accept() if n is None else review.accept(n=n)

        self.call(decide)

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES, tag=st.sampled_from(["paper", "best", "last", ""]))
    def tag(self, place, tag):
        self.call(lambda: self.tree.tag(self.some(place), tag))

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES, row=st.integers(0, 30), undo=st.booleans())
    def mark(self, place, row, undo):
        self.call(lambda: self.some(place).exclude([row], "" if undo else "broken", undo=undo))

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES)
    def note(self, place):
        self.call(lambda: setattr(self.some(place), "note", "a note"))

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES, row=st.integers(0, 30))
    def delete_trials(self, place, row):
        self.call(lambda: self.tree.delete(self.some(place), [row]))

    @precondition(lambda self: len(self.tree.rounds) > 2)
    @rule(place=PLACES)
    def delete_round(self, place):
        self.call(lambda: self.tree.delete(self.some(place)))

    @precondition(lambda self: self.tree.rounds)
    @rule(question=st.sampled_from(["x <= 0.4", "units >= 16"]), settle=st.sampled_from([None, 6]))
    def ask(self, question, settle):
        self.call(lambda: str(self.tree.ask(question)))
        if settle is not None:
            self.call(lambda: self.tree.rounds[0].add(settle, settle=question).run())

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES, x=st.sampled_from([0.1, 0.3, 0.5]))
    def add_given(self, place, x):
        idea = {"x": x, "units": 8, "act": "relu"}
        self.call(lambda: self.some(place).add(given=[idea]).run())

    @precondition(lambda self: self.tree.rounds)
    @rule(budget=st.sampled_from([None, 5, 60, 200]))
    def set_budget(self, budget):
        self.call(lambda: setattr(self.tree, "budget", budget))

    @precondition(lambda self: self.tree.rounds)
    @rule(budget=st.integers(1, 8))
    def confirm(self, budget):
        self.call(lambda: str(self.tree.confirm(budget=budget)))

    @precondition(lambda self: self.tree.rounds)
    @rule(place=PLACES)
    def review_stored_proposals(self, place):
        for proposal in self.some(place)._proposals:
            self.call(lambda proposal=proposal: str(self.some(place)._review(proposal)))

    @precondition(lambda self: self.tree.rounds)
    @rule()
    def look(self):
        assert str(self.tree)
        self.call(lambda: str(self.tree.winner()))
        self.call(lambda: str(self.some(0).checks()))

    @precondition(lambda self: self.tree.rounds)
    @rule(twice=st.booleans())
    def export_and_load(self, twice):
        self.exports += 1
        folder = Path(self.folder.name) / f"export{self.exports}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree.export(folder, reports=False)
            with refine.Tree.load(folder, store="sqlite://") as back:
                assert [r.id for r in back.rounds] == [r.id for r in self.tree.rounds]
                for stored, loaded in zip(self.tree.rounds, back.rounds, strict=True):
                    assert stored.trials.drop(columns="seconds").equals(loaded.trials.drop(columns="seconds"))
                if twice:
                    before = str(self.tree)
                    with refine.Tree.load(folder, store=self.tree._url) as loaded_again:
                        assert str(loaded_again) == str(self.tree) == before


def _checked(examples, steps, *, derandomize=True):
    from hypothesis.stateful import run_state_machine_as_test

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=derandomize,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=checks,
    )
    run_state_machine_as_test(Calls, settings=chosen)


@pytest.mark.slow
def test_calls_in_any_order_leave_a_whole_tree():
    _checked(examples=3, steps=16)


@pytest.mark.nightly
def test_many_calls_in_any_order_leave_a_whole_tree():
    _checked(examples=60, steps=50, derandomize=False)  # other calls every night
