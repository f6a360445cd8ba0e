"""The help of commands and options: a verb first, plain words, a full stop."""

import re

import pytest
from shell import run
from typer.main import get_command

from refine.ui.cli import app
from refine.ui.cli.other_words import CALLS
from refine.ui.cli.shared import USAGE

VERBS = {
    "Accept",
    "Add",
    "Analyze",
    "Assign",
    "Back",
    "Begin",
    "Branch",
    "Call",
    "Check",
    "Choose",
    "Compare",
    "Constrain",
    "Copy",
    "Create",
    "Declare",
    "Decline",
    "Draw",
    "Exclude",
    "Export",
    "Give",
    "Group",
    "Hide",
    "Import",
    "Include",
    "Judge",
    "Leave",
    "Let",
    "Limit",
    "Load",
    "Look",
    "Name",
    "Open",
    "Plan",
    "Prefer",
    "Preview",
    "Print",
    "Propose",
    "Read",
    "Re-run",
    "Remove",
    "Repeat",
    "Replace",
    "Replay",
    "Run",
    "Seed",
    "Send",
    "Serve",
    "Set",
    "Show",
    "Simulate",
    "Skip",
    "Start",
    "State",
    "Stop",
    "Tag",
    "Train",
    "Treat",
    "Trust",
    "Unlock",
    "Walk",
    "Write",
}
PRIVATE = (
    r"\b(told|said|anew|beside|apart|whoever|nobody|somebody|in order|such as|by now|goes on|runs again)\b"
)

HELPS = [
    (f"{name} {parameter.opts[0] if parameter.opts else parameter.name}".strip(), parameter.help)
    for name, command in get_command(app).commands.items()
    for parameter in command.params
    # typer 0.16 with click 8.5 drops the help of arguments
    if parameter.name != "help" and not (parameter.param_type_name == "argument" and parameter.help is None)
]
HELPS += [(name, command.help) for name, command in get_command(app).commands.items()]


@pytest.mark.parametrize(("place", "text"), HELPS, ids=[place for place, _ in HELPS])
def test_every_help_begins_with_a_verb_and_uses_plain_words(place, text):
    assert text, place
    assert text.split()[0].rstrip(",.") in VERBS, text
    assert text.rstrip().endswith("."), text
    assert not re.search(PRIVATE, text), text


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("dashboard s.db", "refine review STORE"),
        ("tree s.db", "refine show STORE"),
        ("preview s.db", "refine accept STORE --preview"),
        ("help", "refine --help"),
        ("review --logdir runs", "first argument"),
        ("review s.db --host=0.0.0.0", "--behind"),
        ("run s.db --n-trials 60", "write -n"),
        ("run s.db --seed 3", "--set round.seed=VALUE"),
        ("confirm s.db --timeout 60", "--set machine.timeout=VALUE"),
    ],
)
def test_a_word_of_another_tool_is_refused_with_the_call_to_type(line, fix):
    result = run(line)
    assert result.exit_code == USAGE
    assert fix in " ".join(result.stderr.replace("│", " ").split())


def test_calls_for_words_of_other_tools_exist():
    commands = get_command(app).commands
    for word, call in CALLS.items():
        assert word not in commands
        _, name, *words = call.split()
        options = {o for p in commands[name].params for o in p.opts} if name in commands else {name}
        assert name in commands or name in ("--help", "--version")
        assert {option for option in words if option.startswith("--")} <= options
