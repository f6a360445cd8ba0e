"""The front end without a browser, and the messages that it may send."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from refine.errors import ReviewError
from refine.ui.web.messages import MESSAGES, check
from refine.ui.web.session import Session
from tests.elsewhere import missing

FRONTEND = Path(__file__).parents[3] / "frontend"


@pytest.mark.slow
def test_the_front_end_passes_its_own_tests():
    node = shutil.which("node") or missing("Node")
    tests = sorted(str(p) for p in (FRONTEND / "test").glob("*.test.js"))
    ran = subprocess.run([node, "--test", *tests], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "# fail 0" in ran.stdout
    assert int(ran.stdout.split("# pass ")[1].split()[0]) >= 6


@pytest.mark.slow
def test_every_message_has_an_answer(tree, caplog):
    root = tree.add_round({"lr": (0.0, 1.0, 5), "units": [1, 2]}, lambda p: p["lr"], n=3, objective_name="f")
    session = Session(root)
    assert {f"_{kind}" for kind in MESSAGES} <= set(dir(session))
    for kind, fields in MESSAGES.items():
        filled = {"round": root.id, "name": "pair", "value": None, "kind": "decline", "point": 0}
        assert session.handle({"type": kind, **{n: filled.get(n) for n in fields if "?" not in n}})
    assert not caplog.records  # each is an answer or a refusal, and no fault


# Python reads NaN, which JSON does not have.
NONE = """
[] => a message must be an object, got list
{"type": ["tree"]} => no message ['tree']
{"type": "tre"} => no message 'tre'; did you mean 'tree'?
{"type": "tree", "round": "a"} => message 'tree': it has no 'round'; known: type
{"type": "figure", "round": "a"} => message 'figure': it needs 'name'
{"type": "choose", "round": "a", "point": true} => message 'choose': point must be a whole number, got True
{"type": "choose", "round": "a", "point": 1.5} => message 'choose': point must be a whole number, got 1.5
{"type": "run", "round": "a", "do": "walk"} => message 'run': do must be 'run' or 'replicate', got 'walk'
{"type": "preview", "round": "a", "edits": {"x": {"keep": [0, "1"]}}} => \
message 'preview': edits.x.keep.1 must be a whole number, got '1'
{"type": "preview", "round": "a", "exploit": {}} => \
message 'preview': exploit must be a number or null, got {}
{"type": "epsilon", "round": "a", "value": NaN} => message 'epsilon': value must be a number or null, got nan
"""


@pytest.mark.parametrize("line", NONE.strip().splitlines())
def test_a_wrong_message_is_refused_with_its_place(line):
    message, text = line.split(" => ")
    with pytest.raises(ReviewError, match=re.escape(text)):
        check(json.loads(message))
