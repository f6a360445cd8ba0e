"""The front end without a browser, and the messages that it may send."""

import json
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
    root = tree.add_round({"lr": (0.0, 1.0, 5), "units": [1, 2]}, lambda p: p["lr"], n=3, name="f")
    session = Session(root)
    assert {f"_{kind}" for kind in MESSAGES} <= set(dir(session))
    for kind, fields in MESSAGES.items():
        filled = {"round": root.id, "name": "pair", "value": None, "kind": "decline", "point": 0}
        assert session.handle({"type": kind, **{n: filled.get(n) for n in fields if "?" not in n}})
    assert not caplog.records  # each is an answer or a refusal, and no fault


# Python reads NaN, which JSON does not have.
NONE = r"""
[] => got list
{"type": ["tree"]} => \['tree'\]
{"type": "tre"} => 'tre'.*'tree'
{"type": "tree", "round": "a"} => message 'tree': .*'round'
{"type": "figure", "round": "a"} => message 'figure': .*'name'
{"type": "choose", "round": "a", "point": true} => message 'choose': point .* got True
{"type": "choose", "round": "a", "point": 1.5} => message 'choose': point .* got 1.5
{"type": "run", "round": "a", "do": "walk"} => message 'run': it has no 'do'
{"type": "preview", "round": "a", "edits": {"x": {"keep": [0, "1"]}}} => 'preview': edits.x.keep.1 .* got '1'
{"type": "preview", "round": "a", "exploit": {}} => message 'preview': exploit .* got {}
{"type": "epsilon", "round": "a", "value": NaN} => message 'epsilon': value .* got nan
"""
"""Message => its type, the field at fault in the error, and its value or the nearest name."""


@pytest.mark.parametrize("line", NONE.strip().splitlines())
def test_a_wrong_message_is_refused_with_its_place(line):
    message, fault = line.split(" => ")
    with pytest.raises(ReviewError, match=fault):
        check(json.loads(message))
