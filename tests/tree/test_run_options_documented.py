"""Every docstring that lists options of a call that runs trials lists all of them."""

import re

import pytest

import refine
from refine.run.options import RoundKeywords, RunKeywords, SearchKeywords
from refine.run.resources import ResourceKeywords


def listed(call):
    """Names of options in the section of a docstring that begins with their argument."""
    text = re.search(
        r"^\s+(?:options|resources): (.*?)(?=^\s+\w+: |\n\n)", call.__doc__, re.MULTILINE | re.DOTALL
    )
    return set(re.findall(r"``(\w+)``", text[1])) - {"objective_name"}


@pytest.mark.parametrize(
    ("call", "keywords"),
    [
        (refine.Round.replicate, RunKeywords),
        (refine.Tree.confirm, RunKeywords),
        (refine.autopilot, SearchKeywords),
    ],
)
def test_calls_that_run_trials_list_every_option(call, keywords):
    assert listed(call) == set(keywords.__annotations__)


def test_the_run_of_a_round_describes_every_option():
    described = set(re.findall(r"^ +(\w+): ", refine.Round.run.__doc__, re.MULTILINE))
    assert described >= set(RoundKeywords.__annotations__)


@pytest.mark.parametrize("call", [refine.Round.open_holdout, refine.Round.replay])
def test_calls_that_repeat_trials_list_every_resource(call):
    assert listed(call) == set(ResourceKeywords.__annotations__)
