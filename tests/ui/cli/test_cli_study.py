"""A whole study from the shell: a space file, an objective in a file, rounds, decisions, and what is refused."""

from __future__ import annotations

import json
import linecache
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import refine
from refine.ui.cli import app

REFINE = Path(sys.executable).with_name("refine")

OBJECTIVE = """
def score(p):
    if p["lr"] > 4.9:
        raise ValueError("too fast")
    slow = 0.1 * (p["optimizer"] == "SGD")
    return {"acc": 1 - 0.02 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - slow, "loss": p["lr"]}


def other(p):
    return 1.0


def noisy(p):
    import random
    return {"acc": random.SystemRandom().random()}


if __name__ == "__main__":
    import refine

    with refine.Tree("script", store="script.db") as tree:
        tree.add_round({"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "SGD"]}, score,
                       metric="acc", n=20).run(progress=False, n=20)
"""

SPACE = """
constraints = ["lr < 5 or dropout < 0.5"]

[parameters]
lr = { low = 0.5, high = 5.0, levels = 10 }
dropout = { low = 0.0, high = 0.5, levels = 6 }
optimizer = ["Adam", "Nadam", "SGD"]
epochs = 150
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scores.py").write_text(OBJECTIVE)
    (tmp_path / "space.toml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "scores", raising=False)
    yield tmp_path
    sys.modules.pop("scores", None)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def data(*arguments: object) -> Any:
    return json.loads(good(*arguments, "--json"))


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").rstrip("\n")


MAKE = (
    "run",
    "s.db",
    "--space",
    "space.toml",
    "--objective",
    "scores.py:score",
    "--metric",
    "acc",
    "-n",
    120,
    "-q",
)


@pytest.mark.slow
def test_a_baseline_from_the_shell(here: Path) -> None:
    values = ("lr=0.7", "dropout=0.1", "optimizer=SGD")
    root = data(*MAKE, *(part for value in values for part in ("--baseline", value)))
    gain = data("winner", "s.db", root["id"])["gain"]
    assert gain["baseline"]["configuration"]["lr"] == 0.7
    assert len(gain["baseline"]["fresh"]) == 2


@pytest.mark.slow
def test_a_belief_from_the_shell(here: Path) -> None:
    said = ("--belief", "lr=near 1.5 +-0.5", "--belief", "optimizer=Adam:0.8")
    root = data(*MAKE[:-2], 24, "-q", *said, "--exploit", 0.25)
    with refine.Tree("space", store=here / "s.db") as tree:
        assert (
            tree[root["id"]].belief.code()
            == "{'lr': refine.Near(1.5, within=0.5), 'optimizer': {'Adam': 0.8}}"
        )
        assert (tree[root["id"]].trials["origin"] == "exploit").sum() == 6
    assert "believed by" in good("show", "s.db", root["id"])
    assert data("calibration", "s.db") == []
    child = data("branch", "s.db", root["id"], "--edit", "lr=(1, 2)", "-n", 5, "--belief", "none")
    with refine.Tree("space", store=here / "s.db") as tree:
        assert tree[child["id"]].belief is None
    assert "--belief: got 'lr'; write" in refused(*MAKE, "--belief", "lr")
    assert "--belief is set where a round is made" in refused("run", "s.db", root["id"], *said)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_code_that_was_edited_is_said_before_a_round_goes_on(here: Path) -> None:
    good(*MAKE[:-2], 12, "-q")
    sys.modules.pop("scores", None)
    linecache.clearcache()
    (here / "scores.py").write_text(OBJECTIVE.replace('"acc": 1 -', '"acc": 500 -'))
    again = run("run", "s.db", "last", "--objective", "scores.py:score", "-n", 16, "-q")
    assert again.exit_code == 0, again.output
    assert re.search(r"warning: round \w+: \d+ of its \d+ finished trials ran another version", again.stderr)
    assert "2 versions of the objective's code" in good("propose", "s.db", "last")


@pytest.mark.slow
def test_a_study_from_the_shell(here: Path) -> None:
    root = data(*MAKE, "--seed", 3, "--note", "first look", "--role", "optimizer=scientific")
    assert (root["tree"], root["n"], root["metric"], root["note"]) == ("space", 120, "acc", "first look")
    assert root["states"]["complete"] + root["states"]["failed"] == 120
    assert root["roles"] == {
        "lr": "nuisance",
        "dropout": "nuisance",
        "optimizer": "scientific",
        "epochs": "fixed",
    }
    assert root["space"]["constraints"] == ["lr < 5 or dropout < 0.5"]
    assert data(*MAKE, "--seed", 3)["id"] == root["id"]  # again is the same round

    analysis = data("analyze", "s.db", root["id"])
    assert analysis["parameters"][0]["name"] == "lr"
    assert analysis["parameters"][0]["finding"]["verdict"] == "matters"
    assert {c["key"] for c in data("checks", "s.db", root["id"])["checks"]} >= {"edges", "noise", "isolation"}

    assert "nothing was proposed on it yet" in refused("accept", "s.db", root["id"])
    proposal = data("propose", "s.db", root["id"], "--risk", 0.1)
    assert proposal["risk"] == 0.1
    assert {c["name"]: c["kind"] for c in proposal["changes"]}["dropout"] == "narrow"
    seen = data("preview", "s.db", root["id"], "--edit", "dropout=(0.3, 0.5)", "--n", 60)
    assert seen["n"] == min(60, seen["left"]) < seen["exist"]
    assert seen["warning"]["code"] == "best_lost"
    assert [r["id"] for r in data("tree", "s.db")["rounds"]] == [root["id"]]  # a preview decides nothing

    options = (
        "-e",
        "dropout=(0, 0.2, 9)",
        "-e",
        "optimizer=Adam, Nadam",
        "-r",
        "lr",
        "--note",
        "low",
        "-n",
        60,
    )
    child = data("accept", "s.db", root["id"], *options, "--author", "ada")
    assert (child["parent"], child["n"], child["author"]) == (root["id"], 60, "ada")
    with refine.Tree("space", "s.db", create=False) as tree:
        there = tree[root["id"]]
        (decision,) = there.decisions
        assert (decision.kind, decision.rejected, decision.note) == ("edited", ("lr",), "low")
        assert tree.rounds[1].space["dropout"].high == 0.2
        assert tree.rounds[1].space["lr"] == there.space["lr"]
        # The very same as the call.
        same = there.propose(risk=0.1).edit(dropout=(0, 0.2, 9), optimizer=["Adam", "Nadam"]).reject("lr")
        assert same.accept("low", n=60).id == child["id"]

    assert data("run", "s.db", "-q", "-w", 2)["id"] == child["id"]  # the newest that has something left
    assert "no round has anything left to run" in refused("run", "s.db")
    assert data("run", "s.db", child["id"], "-n", 70, "-q")["n"] == 70
    again = data("replay", "s.db", child["id"], "--sample", 5)
    assert again["same"] is True

    best = data("best", "s.db")
    assert best["value"] == max(data("best", "s.db", i)["value"] for i in (root["id"], child["id"]))
    assert good("tag", "s.db", child["id"], "paper") == f"paper: round {child['id']}\n"
    assert data("show", "s.db", "paper")["id"] == child["id"]
    assert [e["event"] for e in data("log", "s.db")] == ["root", "edited"]
    assert data("calibration", "s.db")[0]["child"] == child["id"]
    difference = data("diff", "s.db", root["id"], "paper")
    assert set(difference["space"]["changed"]) >= {"dropout", "optimizer"}
    assert difference["populations"]["comparison"]["better"] > 0.5

    branched = data(
        "branch",
        "s.db",
        "paper",
        "-e",
        "l2=(0.0, 0.1, 3)",
        "--previous",
        "l2=0.0",
        "--drop",
        "epochs",
        "-n",
        9,
    )
    assert "l2" in dict(branched["space"]["parameters"])
    assert "epochs" not in dict(branched["space"]["parameters"])
    data("propose", "s.db", "paper")
    assert data("decline", "s.db", "paper", "--note", "enough")["decisions"][-1]["note"] == "enough"
    roles = data("roles", "s.db", "paper", "dropout=scientific")
    assert roles["dropout"] == "scientific"
    assert data("roles", "s.db", "paper") == roles
    replicated = data("replicate", "s.db", "paper", "--top", 2, "--seeds", 4, "-q")
    assert replicated["seeds"]["runs"] == 4


@pytest.mark.slow
def test_goals_and_constraints_from_the_shell(here: Path) -> None:
    make = ("run", "g.db", "--space", "space.toml", "--objective", "scores.py:score", "-n", 30, "--quiet")
    said = good(*make, "--goal", "acc:maximize", "--goal", "loss:minimize", "--subject-to", "loss<=3")
    assert "acc with loss <= 3, maximize" in said
    assert "beside it loss, minimize" in said
    rows = data("front", "g.db")
    assert list(rows[0])[:3] == ["round", "acc", "loss"]
    assert rows == [{"round": rows[0]["round"], **row} for row in data("front", "g.db", "last")]
    assert all(row["loss"] <= 3 for row in rows)
    assert [row["acc"] for row in rows] == sorted((row["acc"] for row in rows), reverse=True)
    assert f"{rows[0]['acc']:.6g}" in good("front", "g.db")
    assert "write it as METRIC:DIRECTION" in refused(*make, "--goal", "acc:")
    assert "leave --metric out" in refused(*make, "--goal", "acc", "--metric", "acc")
    assert "measured numbers are never met exactly" in refused(*make, "--subject-to", "loss=3")


@pytest.mark.nightly
@pytest.mark.slow
def test_failures_are_run_again(here: Path) -> None:
    first = data(*MAKE)
    failed = first["states"]["failed"]
    assert failed > 0

    def again(state: str) -> subprocess.CompletedProcess[str]:
        command = [REFINE, "run", "s.db", first["id"], "--rerun", state, "--json", "-q"]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120, check=False)

    stopped = again("failed")  # nothing was mended yet
    assert stopped.returncode == 1
    assert "its first 5 trials all failed alike: ValueError: too fast" in stopped.stderr
    assert data("show", "s.db", first["id"])["states"] == first["states"]
    (here / "scores.py").write_text(OBJECTIVE.replace("> 4.9", "> 49"))
    assert json.loads(again("failed").stdout)["states"] == {"complete": 120}
    assert "got 'fialed'; did you mean 'failed'?" in again("fialed").stderr


@pytest.mark.slow
def test_evidence_that_came_since_the_proposal_asks_for_another_look(here: Path) -> None:
    root = data(*MAKE)["id"]
    data("propose", "s.db", root)
    data("run", "s.db", root, "-n", 130, "-q")
    for _ in range(2):  # being told once is not having looked
        text = refused("accept", "s.db", root)
        assert text == (
            f"round {root}: its evidence has changed since the proposal; look again: refine propose s.db {root} --risk 0.05"
        )
    assert len(data("tree", "s.db")["rounds"]) == 1


@pytest.mark.slow
def test_one_proposal_for_every_risk(here: Path) -> None:
    root = data(*MAKE)["id"]
    good("propose", "s.db", root, "--risk", 0.2)
    good("propose", "s.db", root)
    assert "The proposal of risk 5.0 % on round" in good("preview", "s.db", root)
    text = good("preview", "s.db", root, "--risk", 0.2, "-n", 7, "-r", "lr", "-e", "dropout=(0, 0.2)")
    assert "The proposal of risk 20 % on round" in text
    assert text.endswith(f"refine accept s.db {root} --edit 'dropout=(0, 0.2)' --reject lr -n 7 --risk 0.2\n")
    assert "The proposal of risk 5.0 % on round" in good("preview", "s.db", root)  # a preview decides nothing
    assert refused("decline", "s.db", root, "--risk", 0.1) == (
        f"round {root}: no proposal of risk 0.1, there are 0.05, 0.2; make it first: refine propose s.db {root} --risk 0.1"
    )
    assert "The proposal of risk 20 % on round" in good("accept", "s.db", root, "--risk", 0.2)
    with refine.Tree("space", "s.db", create=False) as tree:
        (decision,) = tree[root].decisions
        assert decision.proposal == tree[root].propose(0.2).proposal.digest


@pytest.mark.slow
def test_what_is_not_written_and_what_is_new_is_said(here: Path) -> None:
    root = data(*MAKE)["id"]
    good("propose", "s.db", root)
    first = run("accept", "s.db", root, "-e", "optimizer=[Adam, Nadm]", "--note", "a", "-n", 9)
    assert first.stderr == "warning: Nadm of optimizer is new to this space; did you mean 'Nadam'?\n"
    command = [
        REFINE,
        "accept",
        "s.db",
        root,
        "-e",
        "optimizer=[Adam, Nadm]",
        "--note",
        "b",
        "-n",
        "9",
        "--json",
    ]
    again = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120, check=True)
    assert again.stderr == (
        f"warning: round {root}: this was decided before: its note stays 'a'\n"
        "warning: Nadm of optimizer is new to this space; did you mean 'Nadam'?\n"
    )
    assert json.loads(again.stdout)["note"] == "a"


@pytest.mark.nightly
@pytest.mark.slow
def test_json_is_all_there_is_on_the_output(here: Path) -> None:
    (here / "loud.py").write_text(
        "import sys\nkept = sys.stdout\nprint('at import')\ndef score(p):\n    print('from the objective')\n"
        "    print('to what was kept', file=kept)\n    return 1.0 - p['dropout']\n"
    )
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    for workers, trials in (("1", "4"), ("2", "6")):
        found = subprocess.run(
            [REFINE, "run", "l.db", "--space", "space.toml", "--objective", "loud.py:score", "-n", trials, "-q",
             "--json", "-w", workers],
            cwd=here, capture_output=True, text=True, timeout=120, check=True, env=buffered,
        )  # fmt: skip
        assert json.loads(found.stdout)["states"] == {"complete": int(trials)}
        if workers == "1":  # what a worker holds in its buffer goes with it
            assert "from the objective" in found.stderr


@pytest.mark.slow
def test_commands_name_the_tree_where_there_are_several(here: Path) -> None:
    root = data(*MAKE)["id"]
    data(*MAKE, "--tree", "second one")
    assert good("show", "s.db", root, "--tree", "space").endswith(
        f"refine propose s.db {root} --tree space\n"
    )


@pytest.mark.slow
def test_a_round_made_by_a_script_goes_on_in_the_shell(here: Path) -> None:
    subprocess.run([sys.executable, "scores.py"], cwd=here, check=True, timeout=120)
    root = data("tree", "script.db")["rounds"][0]
    assert root["objective"] == "score"
    text = refused("run", "script.db", root["id"], "-n", 30, "-q")
    assert text.endswith("say where it is: --objective path/to/script.py:score")
    assert data("run", "script.db", root["id"], "-n", 30, "-q", "--objective", "scores.py:score")["n"] == 30
    assert data("replay", "script.db", root["id"], "--objective", "scores:score", "--all")["same"] is True
    assert "runs the objective with name 'score', got one with 'scores.other'" in refused(
        "run", "script.db", root["id"], "-n", 40, "-q", "--objective", "scores.py:other"
    )


@pytest.mark.slow
def test_a_replay_that_differs_is_exit_code_3(here: Path) -> None:
    root = data(
        "run",
        "n.db",
        "--space",
        "space.toml",
        "--objective",
        "scores:noisy",
        "--metric",
        "acc",
        "-n",
        12,
        "-q",
    )
    result = run("replay", "n.db", root["id"], "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["same"] is False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("--space", "space.toml"),
            "a new root needs --objective module:name or path/to/file.py:name, or a program: --command 'python train.py --lr {lr}'",
        ),
        (("--space", "spce.toml", "--objective", "scores:score"), "space spce.toml: no such file"),
        (
            ("--space", "space.txt", "--objective", "scores:score"),
            "a space is a .toml or .json file, or module:name, got 'space.txt'",
        ),
        (
            ("--space", "space.toml", "--objective", "scores:scor"),
            "objective: scores has no 'scor'; did you mean 'score'?",
        ),
        (
            ("--space", "space.toml", "--objective", "scors:score"),
            "objective: no module 'scors' here or among what is installed; give module:name or path/to/file.py:name",
        ),
        (
            ("--space", "space.toml", "--objective", "scors.py:score"),
            "objective: no such file 'scors.py'; give module:name or path/to/file.py:name",
        ),
        (
            ("--space", "space.toml", "--objective", "scores"),
            "objective: give it as module:name or path/to/file.py:name, got 'scores'",
        ),
        (
            ("--space", "space.toml", "--objective", "broken:f"),
            "objective: importing 'broken' fails: ZeroDivisionError: division by zero",
        ),
        (
            ("--space", "space.toml", "--objective", "lacking:f"),
            "objective: importing 'lacking' fails: No module named 'no_such_package'",
        ),
        (
            ("--space", "space.toml", "--objective", "scores:score", "--role", "optimizer"),
            "--role takes name=value, such as --role 'dropout=(0, 0.2)', got 'optimizer'",
        ),
        (
            ("--space", "bad.toml", "--objective", "scores:score"),
            "space bad.toml: lr: a range has low, high, levels, log, type, within, step, base, when, otherwise, got 'hgh'; did you mean 'high'?",
        ),
        (
            ("--space", "broken.json", "--objective", "scores:score"),
            "space broken.json: is no JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            ("--space", "empty.toml", "--objective", "scores:score"),
            "space empty.toml: needs a table [parameters], with a line for every parameter",
        ),
        (
            ("abc", "--space", "space.toml", "--objective", "scores:score"),
            "--space makes a new root, but round 'abc' was given as well; leave one of them out",
        ),
        (
            ("abc", "--seed", 0),
            "--seed is set where a round is made, with --space; leave it out for a round that exists",
        ),
        (
            ("abc", "--note", "x"),
            "--note is set where a round is made, with --space; leave it out for a round that exists",
        ),
    ],
)
def test_what_run_refuses_leaves_nothing_behind(here: Path, arguments: tuple[object, ...], text: str) -> None:
    (here / "broken.py").write_text("1 / 0\n")
    (here / "lacking.py").write_text("import no_such_package\n")
    (here / "bad.toml").write_text("[parameters]\nlr = { low = 0.1, hgh = 1.0 }\n")
    (here / "broken.json").write_text("lr = 1\n")
    (here / "empty.toml").write_text('constraints = ["a > 1"]\n')
    assert refused("run", "s.db", *arguments, *(() if "--seed" in arguments else ("-n", 20))) == text
    assert not (here / "s.db").exists()


def test_a_space_in_json_or_in_a_module(here: Path) -> None:
    space = refine.Space(
        {"lr": refine.Float(0.001, 0.1, 5, log=True), "units": (8, 64, 4), "act": ["relu", None]}
    )
    (here / "space.json").write_text(json.dumps(space.to_json()))
    (here / "short.json").write_text(
        json.dumps(
            {
                "parameters": {
                    "lr": {"low": 0.001, "high": 0.1, "levels": 5, "log": True},
                    "units": {"low": 8, "high": 64, "levels": 4},
                    "act": ["relu", None],
                }
            }
        )
    )
    (here / "spaces.py").write_text(
        "import refine\nspace = {'lr': refine.Float(0.001, 0.1, 5, log=True), 'units': (8, 64, 4), 'act': ['relu', None]}\n"
    )
    from refine.space.files import read_space

    for where in ("space.json", "short.json", "spaces:space", "spaces.py:space"):
        assert read_space(where) == space
    (here / "kinds.toml").write_text(
        '[parameters]\nopt = [{ import = "collections.OrderedDict" }, { import = "collections.Counter" }]\nx = { low = 1, high = 3, type = "float" }\n'
        'size = { values = ["small", "large"], ordered = true }\n'
    )
    import collections

    read = read_space("kinds.toml")
    size = refine.Categorical(["small", "large"], ordered=True)
    assert read == refine.Space(
        {"opt": [collections.OrderedDict, collections.Counter], "x": (1.0, 3.0), "size": size}
    )
    (here / "kinds.toml").write_text("[parameters]\nsize = { values = [1, 2], order = true }\n")
    with pytest.raises(
        refine.errors.SpaceError,
        match="choices have values, ordered, when, otherwise, got 'order'; did you mean 'ordered'",
    ):
        read_space("kinds.toml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("(0, 0.2)", (0, 0.2)),
        ("0, 0.2", (0, 0.2)),
        ("(0, 1, 5)", (0, 1, 5)),
        ("[8, 16]", [8, 16]),
        ("Adam", "Adam"),
        ("Adam, SGD", ["Adam", "SGD"]),
        ("None", None),
        ("True", True),
        ("'0.1'", "0.1"),
        ("relu,None", ["relu", None]),
        ("[Adam, SGD]", ["Adam", "SGD"]),
        ("[Adam]", ["Adam"]),
        ("(Adam, SGD)", ("Adam", "SGD")),
        ("[(1, 2), Adam, [a, b]]", [(1, 2), "Adam", ["a", "b"]]),
        ("it's", "it's"),
        ("f(a, b)", "f(a, b)"),
        ("'a, b', c", ["a, b", "c"]),
        ("", ""),
    ],
)
def test_what_is_typed(text: str, value: Any) -> None:
    from refine.space.literals import typed_value

    found = typed_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("1e-3, 1e-1)", ")"),
        ("(0.1, 0.2", "("),
        ("lr=(0.1, 0.2", "("),
        ("[a, b)", ")"),
        ("'a", "'"),
        ("a]", "]"),
    ],
)
def test_what_is_typed_by_halves_is_refused(text: str, letter: str) -> None:
    from refine.space.literals import typed_pairs, typed_value

    told = re.escape(f"{letter} has no partner in {text!r}; write (low, high), [a, b, ...] or one value")
    with pytest.raises(refine.errors.ReviewError, match=f"^{told}"):
        typed_value(text)
    with pytest.raises(refine.errors.ReviewError, match=f"^--edit lr: {told}"):
        typed_pairs([f"lr={text}"], "--edit")


def test_a_text_with_a_lone_bracket_stands_in_quotes() -> None:
    from refine.space.literals import typed_value

    with pytest.raises(refine.errors.ReviewError, match="a text with a lone bracket stands in quotes"):
        typed_value("a)")
    assert typed_value('"a)"') == "a)"
    assert typed_value('["a)", b]') == ["a)", "b"]


def completed(here: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    import os

    line = " ".join(["refine", *words])
    environment = {
        **os.environ,
        "_REFINE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    found = subprocess.run(
        [REFINE], cwd=here, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return found.stdout.split()


@pytest.mark.slow
def test_the_shell_completes_rounds_tags_trees_and_parameters(here: Path) -> None:
    root = data(*MAKE)["id"]
    good("tag", "s.db", root, "paper")
    assert completed(here, "an") == ["analyze"]
    assert completed(here, "show", "s.db", "''") == ["paper", "last", "root", "1"]  # the short ones
    assert completed(here, "show", "s.db", root[:4]) == [root]
    assert completed(here, "tree", "s.db", "--tree", "sp") == ["space"]
    assert completed(here, "accept", "s.db", "last", "--edit", "dr") == ["dropout="]
    assert completed(here, "show", f"sqlite:///{here / 's.db'}", "pa") == ["paper"]
    assert completed(here, "show", "missing.db", "x") == []
    assert not (here / "missing.db").exists()


@pytest.mark.slow
def test_doctor(here: Path) -> None:
    good(*MAKE)
    found = {c["what"]: c for c in data("doctor", "s.db", "--quick")}
    assert found["packages"]["verdict"] == "good"
    assert "scikit-learn" in found["packages"]["says"]
    assert found["store"]["says"].endswith("schema 1")
    assert found["file"] == {"what": "file", "verdict": "good", "says": "every page is sound"}
    assert not {"Keras", "workers"} & set(found)
    missing = run("doctor", "no.db", "--quick", "--json")
    assert missing.exit_code == 3
    assert {c["verdict"] for c in json.loads(missing.stdout) if c["what"] == "store"} == {"bad"}
    assert not (here / "no.db").exists()


@pytest.mark.nightly
@pytest.mark.slow
def test_doctor_tries_keras_and_workers(here: Path) -> None:
    found = subprocess.run(
        [REFINE, "doctor", "--json"], cwd=here, capture_output=True, text=True, timeout=300, check=False
    )
    checks = {c["what"]: c for c in json.loads(found.stdout)}
    assert checks["Keras"]["verdict"] == "good"
    assert " on tensorflow " in checks["Keras"]["says"]
    assert checks["workers"]["says"] == "two subprocesses ran 4 of 4 trials into a store of their own"
    assert found.returncode == 0


@pytest.mark.slow
def test_doctor_finds_a_damaged_file(here: Path) -> None:
    good(*MAKE)
    with refine.Tree("space", "s.db") as tree:
        import sqlalchemy as sa

        with tree._context.store.engine.begin() as connection:
            connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    path = here / "s.db"
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\x55" * 4096
    path.write_bytes(bytes(content))
    result = run("doctor", "s.db", "--quick", "--json")
    assert result.exit_code in (1, 3)


@pytest.mark.slow
def test_ctrl_c_is_exit_code_130(here: Path) -> None:
    import signal
    import time

    (here / "slow.py").write_text("import time\ndef f(p):\n    time.sleep(0.2)\n    return 1.0\n")
    process = subprocess.Popen(
        [REFINE, "run", "s.db", "--space", "space.toml", "--objective", "slow.py:f", "-n", "150", "-q"],
        cwd=here,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.3)
        if (
            (here / "s.db").exists()
            and data("tree", "s.db")["rounds"]
            and data("tree", "s.db")["rounds"][0]["states"]
        ):
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "every finished trial is stored" in error
    assert 0 < sum(data("tree", "s.db")["rounds"][0]["states"].values()) < 150


@pytest.mark.slow
def test_the_address_of_the_review_page_is_in_no_list_of_processes(here: Path) -> None:
    """Its token is the key, and everybody sees what a browser is started with."""
    import signal
    import stat

    root = data(*MAKE)["id"]
    browser = here / "browser"
    browser.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys, urllib.parse\n"
        "page = pathlib.Path(urllib.parse.urlparse(sys.argv[1]).path)\n"
        f"told = pathlib.Path({str(here / 'told')!r})\n"
        "mode = page.parent.stat().st_mode\n"
        "part = told.with_suffix('.part')\n"
        "part.write_text(f'{sys.argv[1]}\\n{mode}\\n{page.read_text()}')\n"
        "part.replace(told)\n"
    )
    browser.chmod(0o755)
    process = subprocess.Popen(
        [REFINE, "review", "s.db", root],
        cwd=here,
        env={**os.environ, "BROWSER": f"{browser} %s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    url = process.stdout.readline().strip()
    deadline = time.monotonic() + 60
    while not (here / "told").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    given, mode, page = (here / "told").read_text().split("\n", 2)
    token = url.rsplit("/", 2)[1]
    assert token not in given
    assert f'url={url}"' in page
    assert stat.S_IMODE(int(mode)) == 0o700
    assert not Path(given.removeprefix("file://")).exists()


@pytest.mark.slow
def test_the_review_page_is_served_until_ctrl_c(here: Path) -> None:
    import re
    import signal
    import urllib.request

    root = data(*MAKE)["id"]
    process = subprocess.Popen(
        [REFINE, "review", "s.db", root, "--no-open"],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", url)
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert b'<div id="refine">' in answer.read()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode in (0, 130)
    assert "Traceback" not in error
    assert refused("review", "s.db", "nothing", "--no-open").startswith("no round or tag 'nothing'")
