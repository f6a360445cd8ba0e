"""Failed trials in the shell, and the commands that the shell suggests."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from shell import data, good, process, refused, run
from typer.main import get_command

import refine
from refine.ui.cli import app
from refine.ui.cli.spelling import in_shell
from refine.utils.action import Action, Symbol

TOO_LARGE = "[red]too large"


def fragile(p):
    if p["x"] > 0.65:
        raise ValueError(f"{TOO_LARGE} at {p['kind']}")
    return float("nan") if p["x"] == 0 else p["x"]


def broken(p):
    raise RuntimeError("no such file")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("fragile") / "refine.db")
    with refine.Tree("fragile", store=path) as tree:
        root = tree.add_round({"x": (0.0, 1.0, 11), "kind": ["a", "b"]}, fragile, n=22)
        root.run()
    return path, root.id


def test_failures_are_listed_by_kind_with_the_first_traceback(store):
    output = good("show", *store, "--failures")
    first, *lines = output.splitlines()
    assert first == f"round {store[1]} of fragile: 10 of 22 trials did not complete"
    kinds = [line for line in lines if line.startswith("- ")]
    assert len(kinds) == 3
    failed = r"- failed, 4 trials: ValueError: \[red]too large at a \(first at x = "
    assert any(re.match(failed, kind) for kind in kinds)
    assert any(k.startswith("- diverged, 2 trials: ") for k in kinds)
    assert output.count("Traceback") == 1
    assert f"  refine run {store[0]} {store[1]} --rerun failed" in lines[-2:]
    rows = data("show", *store, "--failures")
    assert len(rows) == 10
    assert {row["state"] for row in rows} == {"failed", "diverged"}
    assert sum(TOO_LARGE in (row["error"] or "") for row in rows) == 8


@pytest.mark.parametrize("command", ["analyze", pytest.param("propose", marks=pytest.mark.slow)])
def test_the_first_line_counts_failed_trials(command, store):
    assert "22 trials (8 failed, 2 diverged)," in good(command, *store).splitlines()[0]


def test_failures_that_differ_in_numbers_alone_are_one_kind(tmp_path):
    message = "tried to allocate"

    def out_of_memory(p):
        if p["x"] > 0.5:
            raise MemoryError(f"{message} {p['x'] * 1e9:.3g} bytes at 0x{int(1e6 * p['x']):x}")
        return p["x"]

    path = tmp_path / "refine.db"
    with refine.Tree("large", store=path) as tree:
        root = tree.add_round({"x": (0.0, 1.0, 11)}, out_of_memory, n=11)
        root.run()
        report = root.report(tmp_path).read_text()
    kinds = [line for line in good("show", path, "--failures").splitlines() if line.startswith("- ")]
    assert len(kinds) == 1
    assert kinds[0].startswith(f"- failed, 5 trials: MemoryError: {message} ")
    assert report.count(message) == 1


def test_a_failed_program_shows_its_own_lines_and_the_cause_before_a_re_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refine.toml").write_text('[program]\ncommand = "ls gone-{x}"\n[parameters]\nx = [1, 2, 3]\n')
    stopped = run("run study.db -n 2 -q").stderr
    advice = stopped.index("a re-run fails too until you fix the cause")
    assert stopped.index("No such file") < advice < stopped.index("--rerun failed")
    listed = good("show study.db --failures")
    assert "Traceback" not in listed
    assert re.search(r"\nls gone-\d\nended with status \d+: .*No such file", listed)
    assert listed.index("Fix the cause first") < listed.index("--rerun failed")


def test_a_round_with_failures_leads_to_them(store, tmp_path):
    place = " ".join(store)
    assert f"  refine show {place} --failures\n  refine propose {place} " in run("show", *store).stdout
    path = tmp_path / "broken.db"
    with refine.Tree("broken", store=path) as tree:
        root = tree.add_round({"x": (0.0, 1.0, 20)}, broken, n=20)
        with pytest.raises(refine.errors.RoundStoppedError, match=r"round\.failures"):
            root.run()
    assert f"show {path} {root.id} --failures" in refused("analyze", path, root.id)
    last = run("show", path, root.id).stdout.splitlines()[-1]
    assert last.endswith("--failures")
    assert "refine analyze" not in last  # there is nothing to analyze


@pytest.mark.slow
def test_errors_in_the_shell_name_commands_and_not_python_calls(store):
    run("propose", *store)
    message = run("accept", *store, "--preview", "--edit", "lr=(0, 1)").stderr
    place = " ".join(store)
    assert f"branch {place} --edit NAME=VALUE --previous NAME=VALUE" in message
    assert "round." not in message
    checks = run("analyze", *store, "--checks", "--why").stdout
    assert f"refine tag {place} --note NOTE" in checks
    assert "round.note" not in checks


SPELLED = {
    Action("tree.add_round", ...): "refine run STORE --space FILE --objective MODULE:NAME",
    Action("tree.tag", Symbol("round"), "paper"): "refine tag STORE ROUND paper",
    Action("round.note", ...): "refine tag STORE ROUND --note NOTE",
    Action("round.run", n=...): "refine run STORE ROUND --n N",
    Action("round.add", repeat=5, seeds=3): "refine add STORE ROUND --repeat 5 --seeds 3",
    Action(
        "round.branch", Symbol("space"), previous=...
    ): "refine branch STORE ROUND --edit NAME=VALUE --previous NAME=VALUE",
    Action("round.plot.density", "lr"): "refine plot STORE ROUND density lr",
    Action(
        "review.edit", {"dropout": (0, 0.2)}
    ): "refine accept STORE ROUND --preview --edit 'dropout=(0, 0.2)'",
    Action(
        "review.edit", dropout=Symbol("(0.0, 0.2)")
    ): "refine accept STORE ROUND --preview --edit 'dropout=(0.0, 0.2)'",
    Action("tree.judge", ..., {"name": ...}, budget=8): "refine judge STORE winner name=VALUE --budget 8",
    Action("review.edit", C=(1, 2)): "refine accept STORE ROUND --preview --edit 'C=(1, 2)'",
    Action("tree.judge", {"C": 1.0, "GAMMA": 2}, "best"): "refine judge STORE 'C=1.0 GAMMA=2' best",
    Action("tree['a1'].report", "reports"): "refine report STORE ROUND --out reports",
    Action("review.accept", note=..., n=...): "refine accept STORE ROUND --note NOTE --n N",
    Action("trial.report", Symbol("epoch"), Symbol("metrics")): "trial.report(epoch, metrics)",
}


def test_actions_are_spelled_as_commands():
    assert {action: in_shell(action) for action in SPELLED} == SPELLED


def strange(p):
    return p["n"] + p["epsilon"] + (p["it's $x"] == "a b")


STRANGE = {
    "n": (1, 8),
    "epsilon": (0.1, 0.5, 5),
    "it's $x": ["a b", 'b"q', "$HOME", "`ls`", "", "1", "True", "(a", "it's; x", "ü = ñ", "n=3"],
}


@pytest.mark.slow
@pytest.mark.parametrize("value", STRANGE["it's $x"])
def test_a_suggested_command_runs_in_sh_whatever_its_values_are(tmp_path, value):
    path = tmp_path / "a store; $HOME.db"
    with refine.Tree("it's a tree", store=path) as tree:
        tree.add_round(STRANGE, strange, n=4).run()
    configuration = {"n": 8, "epsilon": 0.25, "it's $x": value}
    configuration_text = " ".join(shlex.quote(f"{name}={typed!r}") for name, typed in configuration.items())
    fix = refused("judge", path, configuration_text, "winner").partition("run it first: ")[2]
    printed = subprocess.run(
        ["sh", "-c", f"refine() {{ printf '%s\\0' \"$@\"; }}\n{fix}"], capture_output=True, check=True
    )
    words = printed.stdout.decode().split("\0")[:-1]
    good(*words)
    good("run", path, "last", "--objective", f"{__file__}:strange", "--quiet")
    with refine.Tree("it's a tree", store=path) as tree:
        trials = tree.rounds[0].trials
    assert configuration in trials[list(configuration)].to_dict("records")


@pytest.mark.parametrize(
    "call",
    [
        ("accept", "n=5 x.db", "last", "--preview"),
        ("run", "x.db", "--space", "note=a b.toml", "--objective", "m:f"),
        ("judge", "STORE", "n=5,epsilon=3", "winner"),
        ("show", "STORE", "note=7"),
    ],
)
def test_an_error_repeats_typed_words_as_they_were_typed(call, store):
    message = refused(*(store[0] if word == "STORE" else word for word in call))
    assert not re.search("--(n|note|epsilon) ", message)


def test_known_names_are_listed_as_they_are(store):
    path, _ = store
    good("tag", path, "last", "trial=7")
    assert "trial=7" in refused("delete", path, "zz")


def test_an_error_shows_arguments_without_their_names_in_python(store):
    assert "budget=" not in refused("budget", store[0], "abc")


@pytest.mark.parametrize(
    ("call", "fix"),
    [
        (("init", "/proc/refine"), "give another folder"),
        (("run", "x.db", "--space", "missing.toml", "--objective", "m:f"), "file that exists"),
        (("export", "missing.db", "--backup", "copy.db"), "give the path or URL of a store that exists"),
    ],
)
def test_an_error_about_a_missing_place_names_a_fix(call, fix):
    assert refused(*call).endswith(fix)


ROOT = Path(__file__).parents[3]
CITED = re.compile(
    r"(?:^(?: {4}|\$ )|(?<!`)`)refine (\w[^`\n]*)|^\| `(\w+ STORE[^`]*)`|^refine (\w.* --.*)$", re.MULTILINE
)


def test_every_command_that_is_named_exists():
    commands = get_command(app).commands
    typed = [text.removeprefix("refine ") for text in SPELLED.values() if text.startswith("refine ")]
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        typed += ["".join(parts) for parts in CITED.findall(page.read_text("utf-8"))]
    assert len(typed) > 70
    table = re.findall(r"^\| (`.*?) \| ", (ROOT / "docs" / "shell.md").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"`([a-z]+)", " ".join(table))) >= set(commands)
    for line in typed:
        name, *_ = line.split()
        assert name in commands or name == "--install-completion", line
        words = re.findall(r"(?<=\s)--?[a-z][a-z-]*", re.sub(r"'[^']*'|\"[^\"]*\"", "", line))
        options = {o for p in commands[name].params for o in (*p.opts, *p.secondary_opts)} if words else set()
        assert set(words) <= options, line


@pytest.mark.slow
def test_failed_trials_are_repeated_without_naming_the_round(store):
    objective = f"{__file__}:fragile"
    path, _ = store
    rerun = ("run", path, "--objective", objective, "--quiet")
    assert "'banana'" in refused(*rerun, "--rerun", "banana")
    assert "left to run" in refused(*rerun)
    # They were run, and fail as before.
    failed = run(*rerun, "--rerun", "failed", "--json").stderr
    assert TOO_LARGE in failed


@pytest.mark.slow
def test_failures_lists_pruned_and_failed_trials(tmp_path):
    def pruned_or_failed(params, trial):
        if params["x"] == 0.5:
            raise ValueError("no disk")
        for epoch in range(12):
            trial.report(epoch, {"value": params["x"]})
            if trial.should_prune():
                return None
        return params["x"]

    path = tmp_path / "refine.db"
    pruner = refine.Pruner(keep=0.5, warmup=2, min_trials=3)
    with refine.Tree("mixed", store=path) as tree:
        root = tree.add_round({"x": (0.0, 1.0, 21)}, pruned_or_failed, n=21, plan=refine.Plan(pruner=pruner))
        root.run()
        states = set(root.trials["state"])
    assert {"pruned", "failed"} <= states
    listed = good("show", path, "--failures")
    assert "failed, 1 trial" in listed
    assert re.search(r"^- pruned, \d+ trials", listed, re.MULTILINE)


@pytest.mark.slow
def test_the_advised_objective_is_never_another_file_of_the_same_name(tmp_path, monkeypatch):
    source = "def score(params):\n    return params['x']\n"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "same_name.py").write_text(source)
    (tmp_path / "same_name.py").write_text("def other(params):\n    return 0\n")
    (tmp_path / "space.toml").write_text("[parameters]\nx = { low = 0.0, high = 1.0, levels = 11 }\n")
    monkeypatch.chdir(tmp_path)
    typed = "--objective elsewhere/same_name.py:score"
    process_run = process(tmp_path, f"run s.db --space space.toml {typed} -n 3 --quiet")
    assert "refine run s.db " in process_run.stdout
    assert typed in process_run.stdout
    assert "--objective path/to/same_name.py:score" in good("show s.db last")
    (tmp_path / "same_name.py").write_text(source)
    assert "--objective same_name.py:score" in good("show s.db last")


@pytest.fixture
def unfinished(tmp_path):
    path = str(tmp_path / "refine.db")
    with refine.Tree("budgeted", store=path) as tree:
        root = tree.add_round({"x": (0.0, 1.0, 21), "kind": ["a", "b", "c"]}, fragile, n=28, budget=42)
        root.run(trials=24)
    return path


def test_a_message_names_the_options_of_its_command_in_place_of_keywords(unfinished):
    assert " --n 18 " in run("add", unfinished, "-n", 30).stderr
    assert "timeout must be" in run("run", unfinished, "--set", "machine.timeout=0").stderr
    assert ", --budget 18, " in run("confirm", unfinished, "--budget", 99).stderr
    assert (
        "; plan 18 or fewer, or raise the budget" in run("ask", unfinished, "x <= 0.5", "--settle", 40).stderr
    )
    assert "'n=1 workers=3'" in run("add", unfinished, "--given", "n=1 workers=3").stderr  # typed words stay


@pytest.mark.slow
def test_a_run_that_stops_early_is_resumed_without_a_call_of_python(unfinished):
    stopped = run("run", unfinished, "--hours", 1e-9)
    assert "4 left" in stopped.stderr
    assert "round.run(" not in stopped.stderr
    assert sum(data("run", unfinished, "--quiet")["states"].values()) == 28


def test_the_command_of_an_error_names_a_round_that_exists(tmp_path):
    path = str(tmp_path / "refine.db")
    with refine.Tree("new", store=path) as tree:
        root = tree.add_round({"x": (0.0, 1.0, 21), "kind": ["a", "b", "c"]}, fragile, n=16)
    for words in (["ask", path, "x <= 0.5"], ["add", path, "--settle", "x <= 0.5"]):
        assert refused(*words).endswith(f": refine run {path} {root.id}")
    for words in (["confirm", path], ["judge", path]):
        assert refused(*words).endswith(f": refine run {path} last")
    with refine.Tree("new", store=path) as tree:
        tree.rounds[0].run()
        empty = tree.add_round({"x": (0.0, 1.0, 21), "kind": ["a", "b", "c"]}, fragile, n=16, seed=1)
        tree.rounds[0].branch({"x": (0.0, 0.5, 11), "kind": ["a", "b"]}, n=5)
    error = refused("judge", path, empty.id, "best")
    assert error.startswith(f"round {empty.id}: ")
    assert error.endswith(f": refine run {path} {empty.id}")
