"""A program as an objective."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest
from typer.testing import CliRunner

import refine
from refine.errors import ObjectiveError
from refine.run.command import metrics_of
from refine.ui.cli import app

TRAIN = """
import json, os, sys, time
lr, depth = float(sys.argv[1]), sys.argv[2]
extra = sys.argv[3:]
print("warming up")
for epoch in range(3):
    print(json.dumps({"epoch": epoch, "val_acc": 0.5 + 0.1 * epoch - abs(lr - 0.1)}), flush=True)
if lr > 0.5:
    print("lr is too large", file=sys.stderr)
    sys.exit(3)
print(json.dumps({"val_acc": 0.8 - abs(lr - 0.1), "extra": len(extra), "seed": int(os.environ["REFINE_SEED"]) % 97}))
print("done")
"""
SPACE = {
    "lr": (0.1, 0.6, 6),
    "depth": ["shallow", "a 'deep' one"],
    "momentum": refine.Float(0.1, 0.9, 3, when="depth == 'shallow'"),
}


@pytest.fixture
def command(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    return f"{sys.executable} {script} {{lr}} {{depth}} [--momentum {{momentum}}]"


@pytest.mark.slow
def test_it_runs_and_its_last_line_of_json_is_the_metrics(command, tmp_path):
    with refine.Tree("q", store=tmp_path / "refine.db") as tree:
        found = tree.add_round(SPACE, refine.Command(command), metric="val_acc", n=16)
        found.run(progress=False)
        frame = found.trials.set_index("cell")
        failed = frame[frame["lr"] > 0.5]
        assert set(failed["state"]) == {"failed"}
        assert len(failed)
        assert "ended with status 3: lr is too large" in str(found.failures["error"].iloc[0])
        complete = frame[frame["lr"] <= 0.5]
        assert complete["val_acc"].to_numpy() == pytest.approx((0.8 - abs(complete["lr"] - 0.1)).to_numpy())
        # A group in brackets is there where its parameter is.
        assert (complete["extra"] == 2 * (complete["depth"] == "shallow")).all()
        assert (complete["seed (metric)"] == complete["seed"] % 97).all()
        curves = found.context.reader.records([found._stored.pk], curves=True).curves
        assert any(len(c.get("val_acc", ())) == 3 for c in curves)
        again = tree.add_round(SPACE, refine.Command(command), metric="val_acc", n=16)
        assert again.id == found.id
        assert found.node.objective == f"command: {command}"
    before = refine.Command(command).code
    assert refine.Command(command).code == before
    (tmp_path / "train.py").write_text(TRAIN + "# changed\n")
    assert refine.Command(command).code != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a command must be a program with its arguments as one text"),
        ("python 'train.py", "No closing quotation; quote it as in a shell"),
        ("no_such_program {lr}", "the program 'no_such_program' is not found; give its path"),
    ],
)
def test_what_is_no_command_is_refused(text, message):
    with pytest.raises(ObjectiveError) as caught:
        refine.Command(text)
    assert message in str(caught.value)


def test_a_value_is_one_word_and_no_parameter_is_swallowed():
    words = refine.Command("echo --name={name} {params} {seed}").words({"name": "$(rm -rf /) 'x; y"}, 7)
    assert words == ["echo", "--name=$(rm -rf /) 'x; y", '{"name": "$(rm -rf /) \'x; y"}', "7"]
    with pytest.raises(
        ObjectiveError, match=r"parameter 'units' is not in it; write \{units\} where it belongs"
    ):
        refine.Command("echo {lr}").words({"lr": 1, "units": 2}, 0)
    with pytest.raises(
        ObjectiveError, match=r"\{lrr\} is no parameter of this configuration; did you mean 'lr'"
    ):
        refine.Command("echo {lrr} {params}").words({"lr": 1}, 0)
    assert refine.Command("echo {params}").words({"lr": 1, "units": None}, 0)[1] == '{"lr": 1, "units": null}'
    assert refine.Command("echo {lr} [-u {units}]").words({"lr": 1, "units": None}, 0) == ["echo", "1"]


def test_a_line_of_other_than_numbers_is_refused():
    with pytest.raises(ObjectiveError, match="metrics must be numbers by name, got 'model': 'net'"):
        metrics_of('{"model": "net"}')


@pytest.mark.slow
def test_a_program_that_is_interrupted_leaves_nothing_behind(tmp_path):
    sleeper = tmp_path / "sleep.py"
    sleeper.write_text("import subprocess, sys, time\nsubprocess.Popen(['sleep', '987'])\ntime.sleep(987)\n")
    script = tmp_path / "go.py"
    script.write_text(
        f"import refine\ntree = refine.Tree('q', store={str(tmp_path / 'r.db')!r})\n"
        f"tree.add_round({{'x': (0.0, 1.0, 5)}}, refine.Command('{sys.executable} {sleeper} {{x}}'), n=3)"
        ".run(progress=False, timeout=1.0)\n"
    )
    subprocess.run([sys.executable, script], cwd=tmp_path, timeout=120, check=False, capture_output=True)
    time.sleep(0.5)
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    assert not [line for line in lines if str(sleeper) in line]


@pytest.mark.slow
def test_from_the_shell(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    levels = 'lr = {low = 0.1, high = 0.5, levels = 5}\ndepth = ["shallow", "deep"]\nmomentum = [0.5]\n'
    (tmp_path / "space.toml").write_text(f"[parameters]\n{levels}")
    first = ["--space", "space.toml", "--metric", "val_acc", "-n", "8"]
    for options, text in (
        ([*first, "--command", command, "--objective", "a:b"], "give one of them"),
        ([*first, "--command", command, "--trials", "6"], "6 complete"),
        (["-n", "8"], "runs a program; give it again: --command"),
        (["-n", "8", "--command", command, "--hours", "-1"], "hours must be a number > 0"),
        (["-n", "8", "--command", command], "8 complete"),
    ):
        said = CliRunner().invoke(app, ["run", "s.db", "--quiet", *options])
        assert (text in said.output, said.exit_code == 0) == (True, "complete" in text), said.output
