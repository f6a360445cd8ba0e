"""The number of members and commands that a person meets may only fall."""

import inspect

import pytest
from typer.main import get_command

import refine
from refine.ui.cli import app

COMMANDS = 28
MOST_OPTIONS = {"judge": 18}
MOST_OPTIONS_OF_OTHERS = 16

# Members without an underscore, and the number wanted by the issue "Less to learn".
MEMBERS = {"Tree": (24, 24), "Round": (26, 26), "Review": (16, 16), "Proposal": (14, 14)}
MOST_PARAMETERS = 14


def members_of(name, tree):
    round_ = tree.add_round({"x": (0.0, 1.0, 11)}, lambda p: p["x"], name="x", n=11).run()
    review = round_.propose()
    shown = {"Tree": tree, "Round": round_, "Review": review, "Proposal": review.proposal}[name]
    return [member for member in dir(shown) if not member.startswith("_")]


@pytest.mark.parametrize("name", MEMBERS)
def test_the_members_of_a_class_only_become_fewer(name, tree):
    today, target = MEMBERS[name]
    members = members_of(name, tree)
    assert len(members) == today, f"refine.{name}: {len(members)} members, record it here if fewer: {members}"
    assert today >= target


def calls():
    for home in (refine, refine.Tree, refine.Round, refine.Review, refine.Proposal, refine.stats):
        for name, call in inspect.getmembers(
            home, lambda member: inspect.isfunction(member) or inspect.ismethod(member)
        ):
            if not name.startswith("_"):
                yield (
                    f"{home.__name__}.{name}",
                    len(inspect.signature(call).parameters.keys() - {"self", "cls"}),
                )


def test_no_call_has_many_parameters():
    counts = dict(calls())
    assert {call: count for call, count in counts.items() if count > MOST_PARAMETERS} == {}
    assert counts["Tree.add_round"] <= 13
    assert counts["Round.run"] <= 6


def test_trials_of_a_round_are_spent_by_few_calls():
    spending = {"add", "confirm", "grow", "judge", "replay", "replicate", "run", "settle", "try_out"}
    assert spending & {*dir(refine.Tree), *dir(refine.Round), *dir(refine.Review)} == {
        "add",
        "confirm",
        "judge",
        "replay",
        "run",
    }


def test_the_shell_has_few_commands_with_few_options():
    commands = get_command(app).commands
    assert len(commands) == COMMANDS, f"record it here if fewer: {sorted(commands)}"
    for name, command in commands.items():
        options = [p.name for p in command.params if p.param_type_name == "option"]
        assert len(options) <= MOST_OPTIONS.get(name, MOST_OPTIONS_OF_OTHERS), (name, options)
