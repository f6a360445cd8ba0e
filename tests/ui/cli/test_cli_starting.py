"""The first minutes in the shell: files that run; and what is suggested runs as it stands."""

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from shell import good as said
from shell import refused, run

import refine
from refine.space.files import read_space
from tests.recipes import first_hour


@pytest.mark.slow
def test_init_writes_files_that_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    *files, _, command = [line for line in said("init").splitlines() if line]
    assert files == ["refine.toml", "objective.py"]
    out = said(command.removeprefix("refine "), "-n", 4, "--json", "-q")
    assert json.loads(out)["states"] == {"complete": 4}
    assert "refine.toml" in refused("init")
    enter, start = said("init", "study").splitlines()[-1].split(" && ")
    assert enter.split() == ["cd", "study"]
    assert start == "refine run study.db"


def test_init_says_what_it_guessed_and_refuses_a_budget_that_no_run_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "init --command 'train --lr {lr} --units {units}' --metric-pattern 'loss=(.+)'"
    error = refused(f"{line} --budget forty")
    assert "got 'forty'; for example --budget 60" in error
    assert not list(tmp_path.iterdir())
    (guessed,) = re.findall("^Guessed .*", said(f"{line} --budget '8 h'"), re.MULTILINE)
    assert {"lr", "units,", "smaller", "loss"} < set(guessed.split())
    (guessed,) = re.findall("^Guessed .*", said(f"{line} given --maximize"), re.MULTILINE)
    assert "loss" not in guessed


@pytest.mark.parametrize("command", ["", "echo hi", "echo {lr} 'open"])
def test_init_writes_nothing_for_a_command_that_cannot_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "command" in refused("init", "--command", command)
    assert not list(tmp_path.iterdir())


def test_init_writes_a_readable_space_for_names_of_any_letters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init", "--command", "echo {é} {drop.out} {lr}")
    assert list(read_space("refine.toml")) == ["é", "drop.out", "lr"]


@pytest.mark.slow
def test_accepting_last_warns_that_last_is_now_the_child_and_names_the_author(tmp_path):
    tree = refine.Tree("q", tmp_path / "s.db")
    tree.add_round({"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}, lambda p: -p["x"], n=20, name="f").run()
    tree.close()
    said("propose", tmp_path / "s.db", "last")
    assert "`last` names" in run("accept", tmp_path / "s.db", "last", "-n", 3).stderr
    assert " you" in said("show", tmp_path / "s.db")
    assert " you" in said("show", tmp_path / "s.db", "root")
    said("accept", tmp_path / "s.db", "root", "-n", 3, "--exploit", 0.5, "--author", "grace")
    output = said("show", tmp_path / "s.db")
    assert " grace" in output
    assert " you" not in output


def objective(p):
    return 1 - 0.1 * (p["lr"] - 2) ** 2 - 0.2 * (p["optimizer"] == "SGD")


def suggested(output):
    return re.findall(r"^  refine (.*)$", output, flags=re.MULTILINE)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a store's.db"  # needs quotes
    space = {"lr": (0.5, 5.0, 19), "optimizer": ["Adam", "Nadam, fast", "SGD"], "epochs": 150}
    with refine.Tree("fruit", store=path) as tree:
        tree.add_round(space, objective, n=40, seed=3).run()
    with refine.Tree("other", store=path) as tree:
        tree.add_round({"x": (0.0, 1.0)}, objective, n=4)
    return shlex.quote(str(path))


@pytest.mark.slow
def test_suggested_commands_run_as_printed(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("refine.ui.cli.shared.objective_for", lambda *_: {"objective": objective})
    done = set()
    todo = [f"show {store} --tree fruit"]
    while todo:
        line = todo.pop(0)
        command = " ".join([line.split()[0], *re.findall("--(?:preview|options)", line)])
        if command in (*done, "report"):  # one of each is enough, in the order in which they are suggested
            continue
        done.add(command)
        todo += suggested(said(line))
    assert {"propose", "winner", "accept --preview", "accept", "run", "analyze", "plot"} <= done
    (after,) = suggested(said(f"decline {store} root --tree fruit"))
    said(after.replace("NAME=VALUE", "lr=1"))
    with refine.Tree("fruit", store=shlex.split(store)[0], create=False) as tree:
        assert len(tree) == 3


PROGRAM = """#!/bin/sh
echo "epoch 1 val_loss: 3"
echo "epoch 2 val_loss: $2"
echo done
"""


@pytest.mark.slow
def test_init_of_a_program_writes_a_space_and_a_command_that_runs(tmp_path, monkeypatch):
    folder = tmp_path / "digits"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "train.sh").write_text(PROGRAM)
    (folder / "train.sh").chmod(0o755)
    out = said("init --command './train.sh --lr {lr}' --metric-pattern 'val_loss: ([0-9.]+)'")
    assert out.endswith("refine run study.db\n")
    written = (folder / "refine.toml").read_text()
    assert 'metric = "val_loss"\ndirection = "minimize"' in written
    root = json.loads(said("run study.db -n 4 --json -q"))
    assert root["tree"] == "digits"
    assert root["states"] == {"complete": 4}
    resumed = suggested(said("run study.db last -n 6 -q"))
    assert not [line for line in resumed if "--command" in line]
    monkeypatch.chdir(tmp_path)  # the store names no program to run
    assert "runs a program" in run("run digits/study.db last -n 7 -q").stderr
    assert "--project digits/refine.toml" in said(
        "run digits/study.db last -n 7 -q --project digits/refine.toml"
    )
    monkeypatch.chdir(folder)
    assert "refine.Command('./train.sh --lr {lr}', metric_pattern=['val_loss: ([0-9.]+)'])" in (
        (folder / said("report study.db --out out").split()[1]).read_text()
    )


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no owners of files")
@pytest.mark.parametrize("change", ["owner", "mode"])
def test_a_project_file_that_others_may_have_written_runs_nothing_unless_it_is_named(
    change, tmp_path, monkeypatch
):
    if change == "owner" and os.getuid() != 0:
        pytest.skip("only the superuser gives a file to another user")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "refine.toml"
    file.write_text(
        '[program]\ncommand = "touch ran-{x}"\n[goal]\nnoise = "none"\n[parameters]\nx = [1, 2]\n'
    )
    if change == "owner":
        os.chown(file, 65534, -1)
    else:
        file.chmod(0o666)
    result = run("run study.db -n 1 -q")
    assert result.exit_code == 1
    assert "--project" in result.stderr
    assert not list(tmp_path.glob("ran-*"))
    run("run study.db -n 1 -q --project refine.toml")
    assert list(tmp_path.glob("ran-*"))


def test_a_winner_has_the_call_of_its_program_if_the_project_file_names_it(tmp_path, monkeypatch):
    folder = tmp_path / "a study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    program = '[program]\ncommand = "echo {x}"\n[goal]\nnoise = "none"\n[parameters]\nx = [1, 2, 3]\n'
    (folder / "refine.toml").write_text(program)
    run("run study.db -n 3 -q")
    assert "\necho 3\n" in said("winner study.db")
    monkeypatch.chdir(tmp_path)
    line = "winner 'a study/study.db'"
    assert "\ncd 'a study' && echo 3\n" in said(f"{line} --project 'a study/refine.toml'")
    assert "echo" not in said(line)  # the store alone names no program
    (folder / "refine.toml").write_text(program.replace("echo", "printf"))
    assert "printf" not in said(f"{line} --project 'a study/refine.toml'")


def test_a_project_file_next_to_a_store_elsewhere_runs_only_if_it_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "sent by mail"
    folder.mkdir()
    (folder / "refine.toml").write_text('[program]\ncommand = "touch ran-{x}"\n[parameters]\nx = [1, 2]\n')
    monkeypatch.chdir(tmp_path)
    result = run("run 'sent by mail/study.db' -n 1 -q")
    assert result.exit_code == 1
    assert not list(tmp_path.rglob("ran-*"))
    option = "--project 'sent by mail/refine.toml'"
    assert option in result.stderr
    run(f"run 'sent by mail/study.db' -n 1 -q {option}")
    assert list(folder.glob("ran-*"))
    assert not run(f"show 'sent by mail/study.db' {option}").stderr


@pytest.mark.slow
def test_a_program_runs_in_the_folder_of_its_project_file(tmp_path, monkeypatch):
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "score.sh").write_text("echo 0.$1")
    (folder / "refine.toml").write_text('[program]\ncommand = "sh score.sh {x}"\n[parameters]\nx = [1, 2]\n')
    monkeypatch.chdir(tmp_path)
    out = json.loads(said("run digits/study.db -n 2 --json -q --project digits/refine.toml"))
    assert out["states"] == {"complete": 2}


@pytest.mark.slow
def test_study_is_named_after_the_folder_of_its_store(tmp_path, monkeypatch):
    folder = tmp_path / "pumpkins"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "first.toml").write_text("[parameters]\nx = [1, 2, 3]\n")
    (folder / "second.toml").write_text("[parameters]\nx = [1, 2, 3, 4]\n")
    line = "run s.db --command 'echo {x}' -n 2 -q --json"
    assert json.loads(said(line, "--space", "first.toml"))["tree"] == "pumpkins"
    assert json.loads(said(line, "--space", "second.toml"))["tree"] == "pumpkins"
    folder.rename(tmp_path / "apples")
    monkeypatch.chdir(tmp_path / "apples")
    assert json.loads(said(line, "--space", "first.toml"))["tree"] == "pumpkins"
    said(line, "--space", "first.toml", "--tree", "pears")
    assert "pumpkins, pears" in run(line, "--space", "first.toml").stderr


@pytest.mark.slow
def test_failed_start_leaves_no_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text("[parameters]\nx = [1, 2, 3]\n")
    for wrong in (
        "--command 'echo {y}'",
        "--command 'echo {x}' --set round.exploit=2",
        "--command 'echo {x}' --n 0",
    ):
        assert run(f"run s.db --space s.toml -n 2 -q {wrong}").exit_code == 1
    assert not Path("s.db").exists()
    said("run s.db --space s.toml --command 'echo {x}' -n 2 -q --tree mine")
    assert run("run s.db --space s.toml --command 'echo {y}' -n 2 -q --tree other").exit_code == 1
    assert said("show s.db").startswith("mine")


@pytest.mark.parametrize(
    "command", ["./t --lr {lr}", "t {dropout}", "t {units}", "t {x} {lr}", "t {a} {b} {c}"]
)
def test_init_writes_a_space_with_more_configurations_than_its_budget(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said("init", "--command", command)
    assert read_space("refine.toml").size > 60


def test_init_suggests_a_folder_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said("init study")
    said(refused("init study").rpartition(": refine ")[2])
    assert Path("study-2", "refine.toml").exists()


def test_a_round_of_a_whole_small_space_suggests_no_proposal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text("[parameters]\nx = [1, 2, 3]\n")
    first = suggested(said("run s.db --space s.toml --command 'echo {x}' -n 3 -q"))
    assert [line.split()[0] for line in first] == ["winner", "report"]
    error = refused("propose s.db")
    assert "3 of 3" in error
    assert "refine winner s.db" in error


def test_a_first_round_of_few_trials_suggests_more_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text("[parameters]\nx = { low = 1, high = 50, step = 1 }\n")
    line, *_ = suggested(said("run s.db --space s.toml --command 'echo {x}' -n 4 -q"))
    said(line, "-q")
    assert suggested(said("show s.db"))[0].startswith("propose")


@pytest.mark.slow
def test_the_first_commands_of_the_page_on_the_shell_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "objective", raising=False)  # of another test
    page = (Path(__file__).parents[3] / "docs/shell.md").read_text()
    block = page.split("```console\n")[1].split("```")[0]
    for line in block.replace("-n 120", "-n 12 -q").replace("-n 60", "-n 4").splitlines():
        command = line.split("#")[0].strip()
        if command.startswith("cd "):
            monkeypatch.chdir(command.removeprefix("cd "))
        else:
            said(command.removeprefix("refine "))


def test_init_guesses_choices_for_an_optimizer_and_starts_with_a_budget(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said("init --command 'train --lr {lr} --opt {opt} --p {p}'")
    space = (tmp_path / "refine.toml").read_text()
    assert 'opt = ["adam", "sgd", "rmsprop"]' in space
    assert "p = { low = 0.0, high = 1.0, levels = 11 }" in space
    assert "budget = 60" in space


@pytest.mark.slow
def test_the_first_hour_with_a_program_takes_few_calls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text('#!/bin/sh\necho "epoch 1"\necho "val_loss: 0$2$4"\n')
    (tmp_path / "train.sh").chmod(0o755)
    calls = first_hour()
    assert len(calls) <= 5
    assert sum(map(len, calls)) <= 250
    for call in calls[1:]:
        printed = said(call.removeprefix("refine "))
    assert re.search(r"^  refine run study\.db \w+( --workers \d)?$", printed, re.MULTILINE)


def test_an_edit_of_the_parameters_is_named_with_the_call_for_a_new_round(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = '[program]\nobjective = "operator:itemgetter"\n[parameters]\nx = [1, 2, 3]\n'
    (tmp_path / "refine.toml").write_text(project)
    with refine.Tree("study", tmp_path / "s.db") as tree:
        tree.add_round({"x": [1, 2, 3]}, objective, n=3)
    call = "refine run s.db --space refine.toml"
    monkeypatch.setattr("refine.tree.round.Round.run", lambda round_, **_: round_)
    assert call not in run("run s.db").stderr
    (tmp_path / "refine.toml").write_text(project.replace("3]", "4]"))
    resumed = run("run s.db")
    assert resumed.exit_code == 0
    assert "(changed: x)" in resumed.stderr
    assert call in resumed.stderr
    assert call not in run("run s.db last").stderr


@pytest.mark.slow
def test_a_pattern_mended_in_the_project_file_starts_a_new_round_only_while_nothing_has_a_result(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "refine.toml"

    def write(pattern, metric="value"):
        program = f"[program]\ncommand = \"echo score {{x}}\"\nmetric-pattern = '{pattern}'\n"
        goal = f'[goal]\nmetric = "{metric}"\nnoise = "none"\n'
        file.write_text(f"{program}{goal}[parameters]\nx = [1, 2, 3, 4]\n")

    write(r"(?P<scores>scores \S+)", metric="scores")
    failed = run("run study.db -n 2 -q")
    assert failed.exit_code == 1
    write(r"(?P<value>(?<=score )\S+)")
    mended = json.loads(said("run study.db -n 2 -q --json"))
    assert mended["states"] == {"complete": 2}
    rounds = json.loads(said("show study.db --json"))["rounds"]
    assert [round_["states"] for round_ in rounds] == [{"failed": 2}, {"complete": 2}]
    assert json.loads(said("winner study.db --json"))["round"] == rounds[1]["id"]
    write(r"(?P<value>(?<=score) \S+)")
    refused = run("run study.db last -n 3 -q")
    assert refused.exit_code == 1
    assert refused.stderr.strip().endswith("refine run study.db --space refine.toml")
    assert json.loads(said("show study.db --json"))["rounds"][1]["states"] == {"complete": 2}
