"""A program as an objective."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import time

import psutil
import pytest
from typer.testing import CliRunner

import refine
from nightly import nightly
from refine.errors import ObjectiveError
from refine.run.command import metrics_of
from refine.run.running_trial import RunningTrial
from refine.ui.cli import app
from tests.elsewhere import library

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
print(json.dumps({"val_acc": 0.8 - abs(lr - 0.1), "extra": len(extra), "seed": \
int(os.environ["REFINE_SEED"]) % 97}))
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
def test_the_last_line_of_json_of_a_program_is_its_metrics(tree, command, tmp_path):
    round_ = tree.add_round(SPACE, refine.Command(command), metric="val_acc", n=16)
    round_.run()
    frame = round_.trials.set_index("cell")
    failed = frame[frame["lr"] > 0.5]
    assert set(failed["state"]) == {"failed"}
    assert len(failed)
    assert "status 3: lr" in str(round_.failures["error"].iloc[0])
    complete = frame[frame["lr"] <= 0.5]
    assert complete["val_acc"].to_numpy() == pytest.approx((0.8 - abs(complete["lr"] - 0.1)).to_numpy())
    # A group in brackets is there where its parameter is.
    assert (complete["extra"] == 2 * (complete["depth"] == "shallow")).all()
    assert (complete["seed (metric)"] == complete["seed"] % 97).all()
    curves = round_._context.reader.records([round_._stored.pk], curves=True).curves
    assert any(len(c.get("val_acc", ())) == 3 for c in curves)
    same_round = tree.add_round(SPACE, refine.Command(command), metric="val_acc", n=16)
    assert same_round.id == round_.id
    assert round_._node.objective == f"command: {command}"
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
def test_a_wrong_command_is_refused(text, message):
    with pytest.raises(ObjectiveError) as caught:
        refine.Command(text)
    assert message in str(caught.value)


def test_a_value_is_one_word_and_no_parameter_is_swallowed():
    words = refine.Command("echo --name={name} {params} {seed}").words({"name": "$(rm -rf /) 'x; y"}, 7)
    assert words == ["echo", "--name=$(rm -rf /) 'x; y", '{"name": "$(rm -rf /) \'x; y"}', "7"]
    with pytest.raises(ObjectiveError, match=r"write \{units\}"):
        refine.Command("echo {lr}").words({"lr": 1, "units": 2}, 0)
    with pytest.raises(ObjectiveError, match=r"\{lrr\} is not a parameter of this .*did you mean 'lr'"):
        refine.Command("echo {lrr} {params}").words({"lr": 1}, 0)
    assert refine.Command("echo {params}").words({"lr": 1, "units": None}, 0)[1] == '{"lr": 1, "units": null}'
    assert refine.Command("echo {lr} [-u {units}]").words({"lr": 1, "units": None}, 0) == ["echo", "1"]


def test_a_line_of_other_than_numbers_is_refused():
    with pytest.raises(ObjectiveError, match="metrics must be numbers by name, got 'model': 'net'"):
        metrics_of('{"model": "net"}')


PROGRAM = """#!/bin/sh
sleep {mark} &
setsid sh -c "sleep {mark} & sleep {mark}" &
sleep {mark} # {mark}
"""
COORDINATOR = """
import signal, sys, refine
signal.signal(signal.SIGINT, signal.default_int_handler)
tree = refine.Tree("q", store=sys.argv[1] + "/r.db")
found = tree.add_round({"x": (0.0, 1.0, 9)}, refine.Command(sys.argv[1] + "/t.sh {x}"), n=6, seed=1)
limits = {"grace": 0.5, "timeout": float(sys.argv[3]) or None}
found.run(machine=refine.Machine(workers=int(sys.argv[2]), progress=False, **limits))
"""


@pytest.fixture
def program(tmp_path):
    """A program that starts others, one in its own session, with a way to find all their processes."""
    mark = f"98765{os.getpid()}.{time.monotonic_ns() % 10**9}"
    (tmp_path / "t.sh").write_text(PROGRAM.format(mark=mark))
    (tmp_path / "t.sh").chmod(0o755)
    (tmp_path / "go.py").write_text(COORDINATOR)

    def running(pattern=mark):
        lines = ((p, p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))
        return [p for p, words in lines if any(pattern in word for word in words) and "-I" not in words]

    def count_of(count):
        deadline = time.monotonic() + 60
        while len(running()) != count:
            assert time.monotonic() < deadline, [p.cmdline() for p in running()]
            time.sleep(0.2)
        return True

    return running, count_of


OF_ONE = 5
"""Processes of such a program whose words name the mark: four that sleep, and a shell between."""


def kill_a_worker(process, running):
    workers = [p for p in running("refine.run.workers.child") if process.pid in {q.pid for q in p.parents()}]
    before = {p.pid for p in running()}
    workers[0].kill()
    while len({p.pid for p in running()} - before) < OF_ONE:
        time.sleep(0.2)
    assert len(running()) <= 2 * OF_ONE  # never three programs on two workers
    process.kill()


def kill_a_supervisor(process, running):
    """One of a program, then one of a worker: what these started ends, and another trial begins."""
    for part in ("t.sh", "refine.run.workers.child"):
        before = {p.pid for p in running()}
        below = [(p, p.cmdline()) for p in psutil.Process(process.pid).children(recursive=True)]
        supervisors = [p for p, words in below if "-I" in words and any(part in word for word in words)]
        for supervisor in supervisors[:1]:
            supervisor.kill()
            while len({p.pid for p in running()} - before) < OF_ONE or len(running()) != len(before):
                time.sleep(0.2)
    process.kill()


ENDS = {
    "kill -9": lambda process, _: process.kill(),
    "SIGTERM": lambda process, _: process.terminate(),
    "Ctrl-C twice": lambda process, _: [process.send_signal(signal.SIGINT) or time.sleep(0.5) for _ in "ab"],
    "a worker is killed": kill_a_worker,
    "a supervisor is killed": kill_a_supervisor,
    "timeout": lambda *_: None,
}


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("ending", "workers"),
    [
        ("kill -9", 1),
        ("kill -9", 2),
        ("a worker is killed", 2),
        *(nightly(ending, n) for ending in (*list(ENDS)[1:3], *list(ENDS)[4:]) for n in (1, 2)),
    ],
)
def test_all_that_a_program_started_ends_with_its_worker_and_its_coordinator(
    tmp_path, program, ending, workers
):
    running, count_of = program
    seconds = "4" if ending == "timeout" else "0"
    words = [sys.executable, str(tmp_path / "go.py"), str(tmp_path), str(workers), seconds]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        assert count_of(workers * OF_ONE)
        ENDS[ending](process, running)
        process.wait(60)
        assert count_of(0)
    finally:
        process.kill()


@pytest.mark.nightly
def test_an_assistant_s_server_ends_its_program_too(tmp_path, program):
    library("mcp")
    _, count_of = program
    text = f"{tmp_path / 't.sh'} {{x}}"
    with refine.Tree("q", store=tmp_path / "r.db") as tree:
        root = tree.add_round({"x": (0.0, 1.0, 9)}, refine.Command(text), n=3)
    words = ["-m", "refine", "mcp", str(tmp_path / "r.db"), "--command", text, "--budget", "3"]
    process = subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    client = {
        "protocolVersion": "2024-11-05",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    call = {"name": "run", "arguments": {"round_id": root.id, "trials": 1}}
    for i, (method, params) in enumerate(
        {"initialize": client, "notifications/initialized": {}, "tools/call": call}.items()
    ):
        number = {} if method.startswith("notifications") else {"id": i}
        message = {"jsonrpc": "2.0", **number, "method": method, "params": params}
        print(json.dumps(message), file=process.stdin, flush=True)
    try:
        assert count_of(OF_ONE)
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM
        assert count_of(0)
    finally:
        process.kill()
        process.communicate()


def test_what_a_program_leaves_running_ends_with_it(tmp_path, program):
    running, _ = program
    sleeper = (tmp_path / "t.sh").read_text().splitlines()[2].removesuffix(" &")
    (tmp_path / "t.sh").write_text(f"#!/bin/sh\n{sleeper} &\necho 0.5\n")
    trial = RunningTrial(1)
    assert refine.Command(f"{tmp_path / 't.sh'} {{x}}")({"x": 1}, trial) == {"value": 0.5}
    assert running() == []
    # A line of 40 MB is passed over, and takes no memory.
    long = "import sys; [sys.stdout.write('[1, ' * 10_000) for _ in range(1_000)]; print(); print(0.25)"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refine.Command(f'{sys.executable} -c "{long}" {{x}}')({"x": 1}, trial) == {"value": 0.25}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_a_file_that_a_command_names_is_read_in_parts_and_a_large_one_not_at_all(tmp_path):
    data = tmp_path / "data.bin"
    program = refine.Command(f"echo {data} {{x}}")
    codes = []
    for size in (10, 2**26 - 1, 2**40):  # a hole, of no blocks
        with data.open("wb") as file:
            file.truncate(size)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        codes.append(program.code)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    os.utime(data, ns=(1, 1))
    assert len({*codes, program.code}) == 4
    assert program.code == program.code


@pytest.mark.slow
def test_the_shell_runs_a_program_that_is_given_with_every_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    levels = 'lr = {low = 0.1, high = 0.5, levels = 5}\ndepth = ["shallow", "deep"]\nmomentum = [0.5]\n'
    (tmp_path / "space.toml").write_text(f"[parameters]\n{levels}")
    first = ["--space", "space.toml", "--metric", "val_acc", "-n", "4"]
    for options, text in (
        ([*first, "--command", command, "--objective", "a:b"], "give one of them"),
        ([*first[:-1], "3", "--command", command], "3 complete"),
        (["last", "-n", "4"], "runs a program; name it in refine.toml"),
        (["last", "-n", "4", "--command", command, "--hours", "-1"], "hours must be a number > 0"),
        (["last", "-n", "4", "--command", command], "4 complete"),
    ):
        result = CliRunner().invoke(app, ["run", "s.db", "--quiet", *options])
        assert (text in result.output, result.exit_code == 0) == (True, "complete" in text), result.output


def test_a_program_gets_the_name_of_a_function_among_the_choices():
    command = refine.Command("sh --score {score} --all {params}")
    words = command.words({"score": math.hypot}, seed=0)
    assert words[2:] == ["hypot", "--all", '{"score": "hypot"}']
