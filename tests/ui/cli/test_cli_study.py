"""A whole study from the shell: space file, objective file, rounds, decisions, and refusals."""

import collections
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest
import sqlalchemy as sa
from shell import REFINE, data, good, process, refused, run

import refine
from refine.errors import ReviewError
from refine.space.files import read_space
from refine.space.literals import typed_pairs, typed_value

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
                       metric="acc", n=20).run(20, machine=refine.Machine(progress=False))
"""

SPACE = """
constraints = ["lr < 5 or dropout < 0.5"]

[parameters]
lr = { low = 0.5, high = 5.0, levels = 10 }
dropout = { low = 0.0, high = 0.5, levels = 6 }
optimizer = ["Adam", "Nadam", "SGD"]
epochs = 150
"""


def prepare(folder, monkeypatch):
    (folder / "scores.py").write_text(OBJECTIVE)
    (folder / "space.toml").write_text(SPACE)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "scores", raising=False)


@pytest.fixture
def study_folder(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch)
    yield tmp_path
    sys.modules.pop("scores", None)


MAKE = "run s.db --space space.toml --objective scores.py:score --metric acc -q"


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A store with a root of 120 trials and two proposals, and that root."""
    folder = tmp_path_factory.mktemp("studied")
    with pytest.MonkeyPatch.context() as monkeypatch:
        prepare(folder, monkeypatch)
        root = data(MAKE, "-n", 120)["id"]
        for risk in (0.2, 0.05):
            good("propose s.db", root, "--risk", risk)
        sys.modules.pop("scores", None)
    return folder / "s.db", root


@pytest.fixture
def root(study_folder, studied):
    """The root of the study, in a copy of its store."""
    shutil.copy(studied[0], study_folder / "s.db")
    return studied[1]


@pytest.mark.slow
def test_the_shell_takes_a_baseline(study_folder):
    values = ["--set", "goal.baseline={lr = 0.7, dropout = 0.1, optimizer = 'SGD'}"]
    root = data(MAKE, "-n", 40, *values)
    gain = data("winner s.db", root["id"])["gain"]
    assert gain["baseline"]["configuration"]["lr"] == 0.7
    assert len(gain["baseline"]["replicates"]) == 2


@pytest.mark.slow
def test_the_shell_takes_declared_facts(study_folder):
    root = data(f"{MAKE} -n 12 --set goal.noise=none --set goal.limits=:1 --set goal.scale=linear")["id"]
    with refine.Tree(store=study_folder / "s.db") as tree:
        assert tree[root]._declared == ("none", (None, 1.0), "linear")
        assert not len(tree[root].replicates)
    assert "limits must" in refused(MAKE, "-n", 12, "--set", "goal.limits=1")
    assert "noise" in refused(MAKE, "-n", 12, "--set", "goal.noise=no")


@pytest.mark.slow
def test_the_shell_takes_a_belief(study_folder):
    options = ("--set", "round.belief.lr=near 1.5 +-0.5", "--set", "round.belief.optimizer=Adam:0.8")
    root = data(MAKE, "-n", 24, *options, "--set", "round.exploit=0.25")["id"]
    assert " near 1.5 " in good("show s.db", root)
    assert data("calibration s.db") == []
    child = data(f"branch s.db {root} --edit 'lr=(1, 2)' -n 5 --belief none")
    with refine.Tree(store=study_folder / "s.db") as tree:
        assert tree[root]._belief.code() == "{'lr': refine.Near(1.5, within=0.5), 'optimizer': {'Adam': 0.8}}"
        assert (tree[root].trials["origin"] == "exploit").sum() == 6
        assert tree[child["id"]]._belief is None
    assert "belief: got" in refused(MAKE, "-n", 24, "--set", "round.belief=lr")


@pytest.mark.slow
def test_a_whole_study_runs_in_the_shell(study_folder):
    note = "first look"
    making = (MAKE, "-n", 60, "--set", "round.seed=3", "--set", f"round.note={note}")
    root = data(*making)
    shown = (root["tree"], root["n"], root["metric"], root["note"])
    assert shown == (study_folder.name, 60, "acc", note)
    assert root["states"]["complete"] + root["states"]["failed"] == 60
    assert root["space"]["constraints"] == tomllib.loads(SPACE)["constraints"]
    assert data(MAKE, "-n", 60, "--set", "round.seed=3")["id"] == root["id"]  # again is the same round

    analysis = data("analyze s.db", root["id"])
    assert analysis["parameters"][0]["name"] == "lr"
    assert analysis["parameters"][0]["finding"]["verdict"] == "matters"
    assert {c["key"] for c in data("analyze s.db --checks", root["id"])["checks"]} >= {
        "edges",
        "noise",
        "goal",
    }

    assert refused("accept s.db", root["id"]).endswith(f": refine propose s.db {root['id']}")
    proposal = data("propose s.db", root["id"], "--risk", 0.1)
    assert proposal["risk"] == 0.1
    assert {c["name"]: c["kind"] for c in proposal["changes"]}["dropout"] == "narrow"
    preview = data("accept s.db --preview", root["id"], "--edit", "dropout=(0.3, 0.5)", "--n", 30)
    assert preview["n"] == min(30, preview["left"]) < preview["exist"]
    assert 1 in preview["lost"]
    assert [r["id"] for r in data("show s.db")["rounds"]] == [root["id"]]  # a preview decides nothing

    options = ("-e", "dropout=(0, 0.2, 9)", "-e", "optimizer=Adam, Nadam", "-r", "lr", "--note", "low")
    child = data(f"accept s.db {root['id']}", *options, "-n", 30, "--author", "ada")
    assert (child["parent"], child["n"], child["author"]) == (root["id"], 30, "ada")
    with refine.Tree(store="s.db", create=False) as tree:
        same_root = tree[root["id"]]
        (decision,) = same_root._decisions
        assert (decision.kind, decision.rejected, decision.note) == ("edited", ("lr",), "low")
        assert tree.rounds[1].space["dropout"].high == 0.2
        assert tree.rounds[1].space["lr"] == same_root.space["lr"]
        # The very same as the call.
        review = (
            same_root.propose(risk=0.1).edit(dropout=(0, 0.2, 9), optimizer=["Adam", "Nadam"]).reject("lr")
        )
        assert review.accept("low", n=30).id == child["id"]

    assert data("run s.db -q")["id"] == child["id"]  # the newest that has something left
    assert "left to run" in refused("run s.db")
    assert data("run s.db", child["id"], "-n", 35, "-q")["n"] == 35
    assert "5 equal" in good("replay s.db", child["id"], "--sample", 5)

    assert good("tag s.db", child["id"], "paper") == f"paper: round {child['id']}\n"
    assert data("tag s.db paper --note", "wide nets")["note"] == "wide nets"
    assert "NAME, --note" in refused("tag s.db paper")
    assert data("show s.db paper")["id"] == child["id"]
    assert [e["event"] for e in data("show s.db --log")] == ["root", "edited"]
    assert data("calibration s.db")[0]["child"] == child["id"]
    difference = data("diff s.db", root["id"], "paper")
    assert set(difference["space"]["changed"]) >= {"dropout", "optimizer"}
    assert difference["populations"]["comparison"]["better"] > 0.5

    branched = data("branch s.db paper -e 'l2=(0.0, 0.1, 3)' --previous l2=0.0 -e epochs=9 -n 9")
    assert "l2" in dict(branched["space"]["parameters"])
    data("propose s.db paper")
    assert data("decline s.db paper --note enough")["decisions"][-1]["note"] == "enough"
    good("add s.db paper --repeat 2 --seeds 4")
    good("run s.db paper -q")


@pytest.mark.slow
def test_the_shell_takes_goals_and_constraints(study_folder):
    make = "run g.db --space space.toml --objective scores.py:score -n 30 --quiet"
    output = good(f"{make} --metric acc:maximize --metric loss:minimize --set goal.subject-to=loss<=3")
    assert "loss <= 3, maximize" in output
    assert "loss" in output
    rows = data("winner g.db")["front"]
    assert list(rows[0])[:3] == ["round", "acc", "loss"]
    assert rows == [{"round": rows[0]["round"], **row} for row in data("winner g.db last")["front"]]
    assert all(row["loss"] <= 3 for row in rows)
    assert [row["acc"] for row in rows] == sorted((row["acc"] for row in rows), reverse=True)
    assert f"{rows[0]['acc']:.4g}" in good("winner g.db")
    assert good(make, "--metric", "loss:minimize") == good(make, "--metric", "loss", "--minimize")
    assert "exactly" in refused(make, "--set", "goal.subject-to=loss=3")


@pytest.mark.slow
def test_evidence_that_came_since_the_proposal_asks_for_another_look(root):
    data(f"run s.db {root} -n 121 -q --objective scores.py:score")
    for _ in range(2):  # being told once is not having looked
        assert refused("accept s.db", root).endswith(f"refine propose s.db {root} --risk 0.05")
    assert len(data("show s.db")["rounds"]) == 1


@pytest.mark.slow
def test_the_shell_keeps_one_proposal_for_every_risk(root):
    assert "risk 5 %" in good("accept s.db --preview", root)
    text = good(
        "accept s.db --preview", root, *["--risk", "0.2", "-n", "7", "-r", "lr", "-e"], "dropout=(0, 0.2)"
    )
    assert "risk 20 %" in text
    assert text.endswith(
        f"refine accept s.db {root} --edit 'dropout=(0, 0.2)' --reject lr --risk 0.2 --n 7\n"
    )
    assert "risk 5 %" in good("accept s.db --preview", root)  # a preview decides nothing
    message = refused("decline s.db", root, "--risk", 0.1)
    assert "0.05, 0.2, got 0.1" in message
    assert message.endswith(f"refine propose s.db {root} --risk 0.1")
    assert "risk 20 %" in good("accept s.db", root, "--risk", 0.2)
    with refine.Tree(store="s.db", create=False) as tree:
        proposed = tree[root]._decisions[0].proposal
        assert [d.risk for d in tree[root]._proposals if d.digest == proposed] == [0.2]


@pytest.mark.nightly
def test_json_is_all_there_is_on_the_output(study_folder):
    (study_folder / "loud.py").write_text(
        "import sys\nkept = sys.stdout\nprint('at import')\ndef score(p):\n    print('from-objective')\n"
        "    print('to what was kept', file=kept)\n    return 1.0 - p['dropout']\n"
    )
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    for workers, trials in ((1, 4), (2, 6)):
        line = "run l.db --space space.toml --objective loud.py:score -q --json"
        completed = process(study_folder, line, "-n", trials, "-w", workers, env=buffered)
        assert json.loads(completed.stdout)["states"] == {"complete": trials}
        if workers == 1:  # what a worker holds in its buffer goes with it
            assert "from-objective" in completed.stderr


@pytest.mark.slow
def test_a_round_of_a_script_can_be_continued_in_the_shell(study_folder):
    subprocess.run([sys.executable, "scores.py"], cwd=study_folder, check=True, timeout=120)
    root = data("show script.db")["rounds"][0]
    assert root["objective"] == "score"
    go_on = ("run script.db", root["id"], "-q", "-n")
    text = refused(*go_on, 30)
    assert text.endswith("--objective path/to/script.py:score")
    assert data(*go_on, 30, "--objective", "scores.py:score")["n"] == 30
    assert "equal" in good("replay script.db", root["id"], "--objective", "scores:score", "--all")
    other = refused(*go_on, 40, "--objective", "scores.py:other")
    assert "got 'scores.other'" in other


@pytest.mark.slow
def test_a_replay_that_differs_is_exit_code_3(study_folder):
    data("run n.db --space space.toml --objective scores:noisy --metric acc -n 12 -q")
    result = run("replay n.db last --json")
    assert (result.exit_code, json.loads(result.stdout)["metric"]) == (3, "acc")


@pytest.mark.slow
def test_every_command_that_runs_takes_a_program(study_folder):
    program = f"{sys.executable} train.py {{x}}"
    (study_folder / "train.py").write_text("import sys\nprint('{\"value\": %s}' % sys.argv[1])\n")
    (study_folder / "x.toml").write_text("[parameters]\nx = { low = 0.0, high = 1.0, levels = 11 }\n")
    good("run c.db --space x.toml -n 3 -q --command", program)
    assert f"or type it: --command '{program}'" in refused("run c.db last")
    assert "3 equal" in good("replay c.db last --all --command", program)
    assert "one of them" in refused("replay c.db last --objective a:b --command", program)


REFUSED = r"""
--space space.toml => --objective .*--command
--space spce.toml --objective scores:score => space spce.toml: no such file
--space space.txt --objective scores:score => got 'space.txt'
--space space.toml --objective scores:scor => 'score'
--space space.toml --objective scors.py:score => no such file 'scors.py'
--space space.toml --objective scores => got 'scores'
--space space.toml --objective broken:f => 'broken' .*ZeroDivisionError
--space space.toml --set goal.baselin.lr=1 => unknown key 'baselin' below \[goal\]; did you mean
--space bad.toml --objective scores:score => space bad.toml: lr: .* got 'hgh'.*'high'
--space broken.json --objective scores:score => space broken.json: .*line 1 column 1
--space empty.toml --objective scores:score => space empty.toml: .*\[parameters\]
abc --space space.toml --objective scores:score => --space .* got 'abc'
abc --metric x => --metric .*--space
"""
"""Arguments => the option, file or name at fault in the error, and its value or fix."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "fault"), [line.split(" => ") for line in REFUSED.strip().splitlines()]
)
def test_a_refused_run_leaves_no_store(study_folder, arguments, fault):
    (study_folder / "broken.py").write_text("1 / 0\n")
    (study_folder / "bad.toml").write_text("[parameters]\nlr = { low = 0.1, hgh = 1.0 }\n")
    (study_folder / "broken.json").write_text("lr = 1\n")
    (study_folder / "empty.toml").write_text('constraints = ["a > 1"]\n')
    assert re.search(fault, refused(f"run s.db {arguments}", "-n", 20))
    assert not (study_folder / "s.db").exists()


def test_a_space_is_read_from_json_or_a_module(study_folder):
    lr = refine.Float(0.001, 0.1, 5, log=True)
    space = refine.Space({"lr": lr, "units": (8, 64, 4), "act": ["relu", None]})
    (study_folder / "space.json").write_text(json.dumps(space.to_json()))
    units = {"low": 8, "high": 64, "levels": 4}
    short = {
        "lr": {"low": 0.001, "high": 0.1, "levels": 5, "log": True},
        "units": units,
        "act": ["relu", None],
    }
    (study_folder / "short.json").write_text(json.dumps({"parameters": short}))
    (study_folder / "spaces.py").write_text(
        "import refine\nspace = {'lr': refine.Float(0.001, 0.1, 5, log=True), 'units': (8, 64, 4), "
        "'act': ['relu', None]}\n"
    )
    for place in ("space.json", "short.json", "spaces:space", "spaces.py:space"):
        assert read_space(place) == space
    (study_folder / "kinds.toml").write_text(
        '[parameters]\nopt = [{ import = "collections.OrderedDict" }, { import = "collections.Counter" }]\n'
        'x = { low = 1, high = 3, type = "float" }\n'
        'size = { values = ["small", "large"], ordered = true }\n'
    )
    opt = [collections.OrderedDict, collections.Counter]
    size = refine.Categorical(["small", "large"], ordered=True)
    assert read_space("kinds.toml") == refine.Space({"opt": opt, "x": (1.0, 3.0), "size": size})
    (study_folder / "kinds.toml").write_text("[parameters]\nsize = { values = [1, 2], order = true }\n")
    wrong = "choices have values, ordered, when, got 'order'; did you mean 'ordered'"
    with pytest.raises(refine.errors.SpaceError, match=wrong):
        read_space("kinds.toml")


TYPED = {
    "0.1": 0.1,
    "(0, 0.2)": (0, 0.2),
    "0, 0.2": (0, 0.2),
    "Adam, SGD": ["Adam", "SGD"],
    "None": None,
    "True": True,
    "'0.1'": "0.1",
    "relu,None": ["relu", None],
    "(Adam, SGD)": ("Adam", "SGD"),
    "": "",
    '"a)"': "a)",
    "it's": "it's",
    "[(1, 2), Adam, [a, b]]": [(1, 2), "Adam", ["a", "b"]],
    "f(a, b)": "f(a, b)",
    "'a, b', c": ["a, b", "c"],
    '["a)", b]': ["a)", "b"],
}


def test_typed_values_become_values_of_python():
    values = {text: typed_value(text) for text in TYPED}
    assert values == TYPED
    assert [type(value) for value in values.values()] == [type(value) for value in TYPED.values()]
    halves = {"1e-3, 1e-1)": ")", "(0.1, 0.2": "(", "lr=(0.1, 0.2": "(", "[a, b)": ")", "'a": "'", "a]": "]"}
    for text, letter in halves.items():
        wrong = f"{letter} has no partner in {text!r}; write (low, high), [a, b, ...] or one value"
        with pytest.raises(ReviewError, match=f"^{re.escape(wrong)}"):
            typed_value(text)
        with pytest.raises(ReviewError, match=f"^--edit lr: {re.escape(wrong)}"):
            typed_pairs([f"lr={text}"], "--edit")
    with pytest.raises(ReviewError, match="put a string with a lone bracket in quotes"):
        typed_value("a)")


@pytest.mark.slow
def test_doctor_judges_packages_store_and_file(study_folder, root):
    verdicts = {c["what"]: c for c in data("doctor s.db --quick")}
    assert verdicts["packages"]["verdict"] == "good"
    assert "scikit-learn" in verdicts["packages"]["says"]
    assert verdicts["store"]["says"].endswith("schema 3")
    assert verdicts["file"]["verdict"] == "good"
    assert not {"Keras", "workers"} & set(verdicts)
    missing = run("doctor no.db --quick --json")
    assert missing.exit_code == 3
    assert {c["verdict"] for c in json.loads(missing.stdout) if c["what"] == "store"} == {"bad"}
    assert not (study_folder / "no.db").exists()
    with refine.Tree(store="s.db") as tree, tree._context.store.engine.begin() as connection:
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    content = bytearray((study_folder / "s.db").read_bytes())
    content[8192:12288] = b"\x55" * 4096
    (study_folder / "s.db").write_bytes(bytes(content))
    assert run("doctor s.db --quick --json").exit_code in (1, 3)


@pytest.mark.nightly
def test_doctor_tries_keras_and_workers(study_folder):
    completed = process(study_folder, "doctor --json")
    checks = {c["what"]: c for c in json.loads(completed.stdout)}
    assert checks["Keras"]["verdict"] == "good"
    assert "tensorflow" in checks["Keras"]["says"].split()
    assert "4 of 4" in checks["workers"]["says"]
    assert completed.returncode == 0


def started(study_folder, *words, **environment):
    """The script in a process of its own, which Ctrl-C ends."""
    return subprocess.Popen(
        [str(REFINE), *words],
        cwd=study_folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def until(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_ctrl_c_is_exit_code_130(study_folder):
    (study_folder / "slow.py").write_text("import time\ndef f(p):\n    time.sleep(0.2)\n    return 1.0\n")
    line = "run s.db --space space.toml --objective slow.py:f -n 150 -q"
    process = started(study_folder, *line.split())

    def ended():
        shown = run("show s.db --json")  # fails until the store holds a tree
        rounds = json.loads(shown.stdout)["rounds"] if shown.exit_code == 0 else []
        return sum(rounds[0]["states"].values()) if rounds else 0

    until(ended, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "stored" in error
    assert 0 < ended() < 150


@pytest.mark.slow
def test_the_review_page_is_served_until_ctrl_c_and_its_address_is_in_no_list_of_processes(
    study_folder, root
):
    """Its token is the key, and everybody sees what a browser is started with."""
    browser = study_folder / "browser"
    report = study_folder / "told"
    browser.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys, urllib.parse\n"
        "page = pathlib.Path(urllib.parse.urlparse(sys.argv[1]).path)\n"
        f"told = pathlib.Path({str(report)!r})\n"
        "part = told.with_suffix('.part')\n"
        "part.write_text(f'{sys.argv[1]}\\n{page.parent.stat().st_mode}\\n{page.read_text()}')\n"
        "part.replace(told)\n"
    )
    browser.chmod(0o755)
    good("export s.db --backup t.db")
    process = started(study_folder, "review", "s.db", root, "t.db", BROWSER=f"{browser} %s")
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", url)
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert b'<div id="refine">' in answer.read()
    until(report.exists, process)
    (study_folder / "last").touch()  # what names a round is one, whatever file is called so too
    port = url.split(":")[2].split("/")[0]
    assert f"port {port}" in refused("review s.db --no-open --port", port)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode in (0, 130)
    assert "Traceback" not in error
    arguments, mode, page = report.read_text().split("\n", 2)
    assert url.rsplit("/", 2)[1] not in arguments
    assert f'url={url}"' in page
    assert stat.S_IMODE(int(mode)) == 0o700
    assert not Path(arguments.removeprefix("file://")).exists()
    for name in ("nothing", "nothing.db"):
        assert name in refused("review s.db", name, "--no-open")
    assert "last --space" in refused("review s.db last last --no-open")
