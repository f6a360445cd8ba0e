"""``refine judge``: the verdict, its evidence as JSON, and its exit codes."""

import json
import os
import re
import subprocess
import warnings

import numpy as np
import pytest
from shell import REFINE, refused, run

import refine
from refine.store.store import Store
from tests.recipes import DOCS


def noisy(params, trial):
    return 1 - 0.02 * abs(params["x"] - 4) + np.random.default_rng(trial.seed).normal(0, 0.03)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        round_ = tree.add_round(
            {"x": (0.0, 9.0, 10), "c": ["a", "b"]}, noisy, n=16, baseline={"x": 9.0, "c": "a"}
        )
        round_.run()
    return str(path)


@pytest.mark.slow
def test_the_exit_code_is_the_verdict(store):
    with refine.Tree("study", store=store) as tree:
        first = str(tree.judge())
        rows = tree.rounds[0].trials.sort_values("value")
    near = rows.iloc[-2]
    candidate = f"x={near['x']} c={near['c']}"
    first_look = run("judge", store)
    assert (first_look.exit_code, first_look.stdout.splitlines()[0]) == (4, first.splitlines()[0])
    assert "next:\n  refine judge STORE --budget " in first_look.stdout.replace(store, "STORE")
    output = run(f"judge {store} '{candidate}' best --epsilon 0.02 --tree study").stdout
    assert f"refine judge {store} '{candidate}' best --budget " in output
    assert "--epsilon 0.02 --tree study" in output
    assert run("judge", store, "baseline", "winner").exit_code == 3
    assert run("judge", store, candidate, "best").exit_code in (3, 4)
    result = run(f"judge {store} --budget 16 --objective {__file__}:noisy --json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["verdict"] == "KEEP"
    assert data["b"]["is"] == "baseline"
    assert len(data["a"]["new_seeds"]) >= 3
    assert data["probability"] >= 0.95
    second_look = run("judge", store, "--json")
    assert (second_look.exit_code, json.loads(second_look.stdout)) == (0, data)


@pytest.mark.slow
def test_a_refusal_has_exit_code_1(store):
    for arguments, message in (
        (["x=3.21"], "no trial ran x = 3.21; run it first: refine add "),
        (["x='3"], "quotes must be closed"),
        (["--workers", "2"], "add --budget, or leave them out"),
        (["--objective", "a:b"], "add --budget, or leave them out"),
    ):
        assert message in refused("judge", store, *arguments)


def test_a_store_without_a_tree_names_the_command_that_creates_one(tmp_path):
    Store(tmp_path / "empty.db").close()
    assert "refine run" in refused("judge", tmp_path / "empty.db")


LOG = """commit\tval_bpb\tmemory_gb\tstatus\tdescription
a1b2c3d\t0.997900\t44.0\tkeep\tbaseline
0640555\t0.993200\t44.2\tkeep\t"Muon" momentum, "start 0.85
1e10567\t1.005000\t44.0\tdiscard\tswitch to GeLU
d4e5f6g\t0.000000\t0.0\tcrash\tdouble width (OOM)
e5f6g7h\t0.994100\t44.2\tdiscard\tseed 42 to 137
f6g7h8i\t0.993900\t44.0\tdiscard\tsoftcap 15 to 20
"""


def test_a_log_of_runs_needs_no_store(tmp_path):
    """The format of an agent's results.tsv; what an agent would append decides."""
    log = tmp_path / "results.tsv"
    log.write_text(LOG)
    words = ("judge", "--runs", log, "--metric", "val_bpb", "--a", "0640555")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        first = run(*words, "--b", "a1b2c3d")
    assert first.exit_code == 4
    assert "name; --minimize says" in first.stderr
    words = ("judge", "--minimize", *words[1:])
    assert "next:" not in first.stdout
    assert json.loads(run(*words, "--b", "a1b2c3d", "--json").stdout)["seeds"] == 3
    with log.open("a") as file:
        for row in ("0640555 0.9935", "a1b2c3d 0.9975", "0640555 0.9931", "0640555 0.9934"):
            file.write(f"{row} 44.0 discard again\n".replace(" ", "\t"))
    result = run(*words, "--b", "a1b2c3d", "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["verdict"], data["noise_source"]) == (0, "KEEP", "replicates")
    assert (data["a"]["configuration"], len(data["a"]["new_seeds"])) == ({"commit": "0640555"}, 3)
    assert run(*words[:-1], "1e10567", "--b", "f6g7h8i").exit_code == 3
    alike = json.loads(run(*words, "--a", "e5f6g7h", "--b", "a1b2c3d", "--json").stdout)
    assert len(alike["a"]["new_seeds"]) == 4
    head, *rows = [row.split("\t") for row in log.read_text().splitlines()]
    rows = [{**dict(zip(head, row, strict=True)), "lr": {"x": 1}} for row in rows]
    lines = tmp_path / "runs.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)))
    options = ("--by", "commit,lr", "--b", 'commit=a1b2c3d lr={"x": 1}', "--minimize", "--json")
    other = run(
        "judge", "--runs", lines, "--metric", "val_bpb", "--a", 'commit=0640555 lr={"x": 1}', *options
    )
    assert json.loads(other.stdout)["difference"] == data["difference"]
    for arguments, message in (
        (["--a", "d4e5f6g", "--b", "a1b2c3d"], "no run of it has a value"),
        (["--a", "a1b2c3", "--b", "0640555"], "did you mean 'a1b2c3d'?"),
        (["--a", "a1b2c3d"], "--a and --b"),
        (["--a", "a", "--b", "b", "--by", "hash"], "has no column 'hash' (--metric or --by names it); known"),
        (["--a", "a", "--b", "b", "--budget", "3"], "--tree and --budget are for STORE"),
    ):
        assert message in refused(f"judge --minimize --runs {log} --metric val_bpb", *arguments)
    assert "--runs FILE" in refused("judge")


@pytest.mark.slow
def test_the_lines_of_the_docs_judge_a_table(tmp_path):
    block = r'```console title="A table of runs"\n(.*?)^```$'
    (lines,) = re.findall(block, (DOCS / "winner.md").read_text(), re.M | re.S)
    path = {**os.environ, "PATH": f"{REFINE.parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.run(
        ["bash", "-c", lines], cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout[:8]) == (4, "CONFIRM:"), process.stderr
