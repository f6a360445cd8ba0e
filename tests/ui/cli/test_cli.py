"""The command line on a real store: what it prints, what it writes, and how it says no."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from shell import data, good, process, refused, run
from typer.testing import CliRunner

import refine
from refine.ui.cli import app

NOTE = "[red]close to 2"


class Study(NamedTuple):
    """A store with one decided tree, and one with a second tree whose only round has not run."""

    store: str
    with_later: str
    root: str
    child: str


def objective(p):
    return 1 - 0.1 * (p["lr"] - 2) ** 2 - 0.2 * (p["optimizer"] == "SGD")


def grow(store):
    space = {"lr": (0.5, 5.0, 19), "optimizer": ["Adam", "Nadam", "SGD"], "epochs": 150}
    with refine.Tree("[bold]fruit", store=store) as tree:
        root = tree.add_round(space, objective, n=24, seed=3)
        root.run()
        edited = root.propose().edit(lr=(1.0, 3.0), optimizer=["Adam", "Nadam"])
        child = edited.accept(note=NOTE, n=4, author="ada")
        child.run()
        tree.tag(root, "first")
        return root.id, child.id


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    root, child = grow(folder / "refine.db")
    (folder / "both.db").write_bytes((folder / "refine.db").read_bytes())
    with refine.Tree("later", store=folder / "both.db") as tree:
        tree.add_round({"lr": (0.5, 5.0)}, objective, n=5)
    return Study(str(folder / "refine.db"), str(folder / "both.db"), root, child)


@pytest.mark.slow
def test_the_command_tree_prints_the_text_of_python(study):
    with refine.Tree("[bold]fruit", store=study.store) as tree:
        expected = str(tree).partition("\n\nNext ")[0]
    # Nothing that people wrote is markup.
    output, _, following = good("show", study.store).partition("\n\nnext:\n")
    assert output == expected
    commands = (
        "propose STORE CHILD --risk 0.05",
        "winner STORE",
        "report STORE --out reports",
    )
    next_lines = [
        f"  refine {line}".replace("STORE", study.store).replace("CHILD", study.child) for line in commands
    ]
    assert following.splitlines() == next_lines
    assert f'"{NOTE}"' in expected
    assert "Edited by ada" in expected
    url = f"sqlite:///{study.store}"
    assert good("show", url).replace(url, study.store) == good("show", study.store)


def test_show_prints_a_round_and_the_commands_that_follow(study):
    text = good("show", study.store, "first")
    assert text.startswith(f"round {study.root} of [bold]fruit: 24 configurations of 57\n")
    assert "100 %: 24 complete" in text
    assert "best observed 1.0000 with lr = 2 and optimizer = " in text
    assert re.search(r"^lr +float +0.5, 0.75, .* 2.75, ... 5 \(19 levels\)$", text, flags=re.MULTILINE)
    assert f'{study.child}, "{NOTE}"' in text
    place = f"{study.store} {study.root}"
    calls = (
        f"propose {place} --risk 0.05",
        f"analyze {place}",
        f"winner {study.store}",
        f"report {place} --out reports",
    )
    assert text.endswith("\n".join(["\nnext:", *(f"  refine {call}" for call in calls), ""]))


def test_show_a_round_that_has_not_run(study):
    arguments = ("show", study.with_later, "last", "--tree", "later")
    shown = data(*arguments)
    assert (shown["n"], shown["size"], shown["states"], shown["best"]) == (5, 10, {}, None)
    text = good(*arguments)
    assert re.search(rf"\nnext:\n  refine run {study.with_later} \w+ .*--workers 2 --tree later\n$", text)


SEEN = (
    "show|show last|analyze first|propose first|analyze first --checks --all|show --log|winner|"
    "diff first last --all|--help|no|show 漢"
)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_no_encoding_of_the_output_is_an_error(study, tmp_path, encoding):
    store = str(shutil.copy(study.store, tmp_path / "s.db"))
    with refine.Tree(store=store, create=False) as tree:
        tree.tag(tree["last"], "é 漢 ★")
    runner = CliRunner(charset=encoding)
    for line in SEEN.split("|") if encoding == "cp1252" else ["show last", "propose first"]:
        command, *arguments = line.split()
        of_store = len(command) > 2 and command[0] != "-"
        result = runner.invoke(app, [command, *([store, *arguments] if of_store else [])])
        assert isinstance(result.exception, SystemExit | None), (line, result.exception)
    output = runner.invoke(app, ["show", store]).stdout
    assert "`-- 1  " in output or "+-- 1  " in output
    assert "[? ? *]" in output if encoding == "ascii" else "[é ? *]" in output
    tags = json.loads(runner.invoke(app, ["show", store, "--json"]).stdout)["tags"]
    assert tags == {"first": study.root, "é 漢 ★": study.child}


@pytest.mark.slow
def test_analyze_prints_a_summary_and_all_findings(study):
    summary = good("analyze", study.store, "first")
    text = good("analyze", study.store, "first", "--all")
    assert "24 complete" in text
    assert len(text) > len(summary)
    assert text.split("\n")[0] == summary.split("\n")[0]
    assert data("analyze", study.store, study.child)["states"] == {"complete": 4}  # of 28 in the tree
    maximized = data("analyze", study.store, "first")
    other = data("analyze", study.store, "first", "--direction", "minimize")
    assert (maximized["direction"], other["direction"]) == ("maximize", "minimize")
    assert summary.startswith(maximized["page"]["title"])
    assert maximized["best"]["value"] > other["best"]["value"]
    assert {fold["about"] for fold in other["page"]["folds"]} >= {"lr", "optimizer"}


@pytest.mark.slow
def test_diff_prints_changed_parameters_and_counts(study):
    assert "Space       lr 1 to 3" in good("diff", study.store, "first", study.child)
    text = good("diff", study.store, "first", study.child, "--all")
    assert text.startswith(f"{study.root} -> {study.child}\n")
    assert re.search(r"^lr +0.5 to 5 +1 to 3 +", text, flags=re.MULTILINE)
    assert re.search(r"^configurations +24 +4$", text, flags=re.MULTILINE)


@pytest.mark.nightly
def test_report_writes_the_tree_and_a_round(study, tmp_path):
    written = good("report", study.with_later, "--tree", "later", "-o", tmp_path).splitlines()
    first, *others_written = map(Path, written)
    assert first.name == "later.md"
    assert [path.read_text().partition("`")[0] for path in others_written] == ["# Round "]
    path = Path(good("report", study.store, "first", "--html", "-o", tmp_path / "html").strip())
    assert [p.name for p in (tmp_path / "html").iterdir()] == [path.name]  # it holds its pictures
    assert study.root in path.read_text()


@pytest.mark.slow
def test_plot_writes_a_figure_or_names_its_arguments(study, tmp_path):
    path = tmp_path / "lr.png"
    density = ("plot", study.store, "first", "density")
    assert good(*density, "lr", "--out", path).strip() == str(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    wrong = refused("plot", study.store, "first", "densty")
    assert "'density'" in wrong
    assert refused(*density, "rl").endswith(": lr, optimizer")
    place = f"{study.store} first"
    for typed, takes in (
        (["density"], f"takes NAME, got nothing; write refine plot {place} density NAME"),
        (["pair", "x"], f"takes A and B, got x; write refine plot {place} pair A B"),
        (["edf", "x"], f"takes nothing more, got x; write refine plot {place} edf"),
    ):
        message = refused("plot", study.store, "first", *typed).replace(study.root, "first")
        assert message.startswith(f"plot {typed[0]}: ")
        assert takes in message


def test_a_refused_first_round_leaves_no_store(tmp_path):
    space = tmp_path / "space.toml"
    space.write_text("[parameters]\nx = [1, 2, 3]\ny = [1, 2]\n")
    start = ("run", tmp_path / "study" / "a.db", "--space", space)
    assert "'y' is not in it" in refused(*start, "--command", "sh {x}")
    assert "but 6 exist" in refused(*start, "--command", "sh {x} {y}", "--n", 7)
    assert list(tmp_path.iterdir()) == [space]


def test_a_store_that_is_none(tmp_path):
    for store in (tmp_path / "no.db", f"sqlite:///{tmp_path / 'no.db'}", tmp_path):
        text = f"store {store}: no such file; give the path or URL of a store that exists"
        assert refused("show", store) == text
        assert refused("show", store, "first") == text
    assert list(tmp_path.iterdir()) == []  # looking leaves nothing behind
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at as one\n" * 40)
    before = path.read_bytes()
    assert "not a database" in refused("show", path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_server_that_is_not_there_keeps_its_password_to_itself():
    text = refused("show postgresql://ada:secret@127.0.0.1:1/refine")
    assert text.split()[1] == "postgresql+psycopg://ada:***@127.0.0.1:1/refine:"
    assert "secret" not in text


def test_a_store_with_several_trees_asks_for_one(study):
    wrong = refused("show", study.store, "--tree", "friut")
    assert f" sqlite:///{study.store}: " in wrong
    assert wrong.endswith(": [bold]fruit")
    several = refused("show", study.with_later)
    assert "([bold]fruit, later)" in several
    option = several.rpartition(": ")[2]
    assert option == "--tree 'later'"
    for typed in (option, "-t later"):
        assert good(f"show {study.with_later} {typed}").startswith("later\n")


def test_a_missing_round_and_a_wrong_folder_are_refused(study, tmp_path):
    text = "no round or tag 'frist' in tree '[bold]fruit'; did you mean 'first'?"
    assert refused("show", study.store, "frist") == text
    assert refused("report", study.store, "frist", "--out", tmp_path / "out") == text
    assert refused("diff", study.store, "first", "frist") == text
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").write_text("here first")
    for command in ("report", "export"):
        assert "out" in refused(command, study.store, "--out", tmp_path / "out")


COMMANDS = (
    "run add confirm holdout replay show analyze diff winner calibration report plot judge ask "
    "propose accept decline branch budget tag delete exclude export import doctor"
)


@pytest.mark.slow
def test_version_and_help():
    def plain(text):
        return re.sub(r"\x1b\[[0-9;]*m", "", text)  # without colours, which some CI services force

    assert good("--version") == f"{refine.__version__}\n"
    text = plain(good("--help"))
    for command in COMMANDS.split():
        assert f" {command} " in text
        help_text = plain(good(command, "-h"))
        assert "STORE" in help_text
        assert "--json" in help_text
    headings = ("A new root", "Objective")
    assert all(heading in plain(good("run -h")) for heading in headings)
    assert run("").exit_code != 0  # no command: the help, but not as success


@pytest.mark.slow
def test_the_console_script_prints_in_the_encoding_of_a_redirect(study, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    completed = process(tmp_path, "show", study.store, "last", env=environment, encoding="cp1252")
    assert (completed.returncode, completed.stderr) == (0, "")
    assert "##### 100 %" in completed.stdout
    (tmp_path / "space.toml").write_text("[parameters]\nx = { low = 0.0, high = 1.0 }\n")
    completed = process(tmp_path, "run s.db --space space.toml --command 'true {x}' --metric val_loss -n 3")
    assert completed.returncode == 1
    assert "say --minimize, or --maximize" in completed.stderr


@pytest.mark.slow
def test_nothing_heavy_is_loaded():
    code = (
        "import sys\nfrom refine.ui.cli import main\nsys.argv = ['refine', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    output, _, loaded = process.stdout.rpartition("loaded: ")
    assert "Usage" in output
    assert "typer" in loaded.split()
    heavy = {"tensorflow", "keras", "pandas", "sqlalchemy", "matplotlib", "seaborn", "scipy", "sklearn"}
    assert not set(loaded.split()) & (heavy | {"statsmodels", "distributed", "optuna", "numpy"})


@pytest.mark.slow
def test_winner_prints_the_winner_of_python(study):
    with refine.Tree("[bold]fruit", store=study.store) as tree:
        won = tree.winner()
        of_round = tree[study.root]._recommend()
    assert good("winner", study.store).strip().startswith(str(won).partition("\nNext ")[0])
    shown = data("winner", study.store)
    assert (shown["round"], shown["expected"]) == (won.round, won.expected)
    of_root = data("winner", study.store, study.root)
    assert of_root["configuration"] == of_round.candidates[0].configuration
    assert "tree 'later'" in refused("winner", study.with_later, "--tree", "later")


@pytest.mark.slow
def test_confirm_runs_repeats_and_continues(tmp_path, monkeypatch):
    import importlib

    (tmp_path / "noisy_task.py").write_text(
        "import random\n\n\ndef noisy(p):\n    return -((p['x'] - 3) ** 2) / 10 + random.gauss(0, 0.2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    store = tmp_path / "refine.db"
    with refine.Tree("noisy", store=store) as tree:
        round_ = tree.add_round({"x": (0.0, 9.0, 40)}, importlib.import_module("noisy_task").noisy, n=20)
        round_.run()
        assert "budget" in run("confirm", store, "--budget", 0).stderr
        confirmed = data("confirm", store, "--budget", 4, "--quiet")
        assert confirmed["race"]["runs"] == len(round_.replicates) == 4
        assert confirmed["race"]["verdict"] == "budget"
        text = good(f"confirm {store} --budget 6 --top 3 --quiet")
        assert "6 repeats" in text
        assert len(round_.replicates) == 6
        assert "20 configurations" in text
