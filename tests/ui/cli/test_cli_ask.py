"""``refine ask`` and ``add``: as in Python."""

import shlex

import pytest
from shell import data, good, refused, run

import objectives
import refine
from refine.ui.cli.deciding import Edits

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        tree.add_round(SPACE, objectives.bowl, n=40, seed=7).run()
    return str(path)


def test_a_question_is_answered_as_in_python(store):
    with refine.Tree("study", store=store) as tree:
        answer = tree.ask("lr <= 2", given="optimizer == 'Adam'", epsilon=0.01)
    text = good(f"ask {store} 'lr <= 2' --given \"optimizer == 'Adam'\" --epsilon 0.01")
    assert text.splitlines()[:2] == str(answer).splitlines()[:2]
    answered = data(f"ask {store} 'lr <= 2' --given \"optimizer == 'Adam'\" --epsilon 0.01")
    assert answered["probability"] == answer.probability
    assert answered["given"] == "optimizer == 'Adam'"
    other = data("ask", store, "lr >= 4", "--better", "lr <= 2")
    assert (other["better"], other["verdict"]) == ("lr <= 2", "no")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("optimizer = adam", "optimizer == 'Adam'"),
        ("optimizer == Adam", "optimizer == 'Adam'"),
        ("SGD", "optimizer == 'SGD'"),
        ("in lr 1..2", "1 <= lr <= 2"),
        ("lr 1-2", "1 <= lr <= 2"),
    ],
)
def test_what_people_type_first_is_read_and_printed(store, typed, read):
    assert good("ask", store, typed).startswith(f"Question, read as: {read}\n")
    assert data("ask", store, typed)["question"] == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("Adam vs SGD", "optimizer == 'Adam' against optimizer == 'SGD'"),
        ("optimizer: Adam vs. SGD?", "optimizer == 'Adam' against optimizer == 'SGD'"),
        ("lr 0.5..2 versus 4-5", "0.5 <= lr <= 2 against 4 <= lr <= 5"),
    ],
)
def test_two_sides_of_a_question_are_compared(store, typed, read):
    assert good("ask", store, typed).splitlines()[0].endswith(f": {read}")
    first, second = read.split(" against ")
    named = data("ask", store, first, "--better", second)
    assert data("ask", store, typed)["probability"] == named["probability"]


def test_a_question_is_settled_by_trials_of_its_round(store):
    words = ["ask", store, "dropout >= 0.2", "--epsilon", "0.03"]
    text = good(*words)
    if "To settle" in text:  # the shell spells the call with all that was typed
        assert f"refine ask {store} 'dropout >= 0.2' --epsilon 0.03 --settle" in text
    assert data(*words, "--settle", 4)["n"] == 44
    assert data("add", store, "-n", "4", "--settle", "dropout >= 0.2")["n"] >= 44


@pytest.mark.slow
def test_a_decision_names_the_planned_trials_that_it_leaves_behind(store):
    root = data("ask", store, "dropout >= 0.2", "--settle", 4)["id"]
    good("propose", store, "--risk", 0.05)
    accepted = run("accept", store, "-n", 5)
    assert accepted.exit_code == 0
    assert "4 planned" in accepted.stderr
    assert f": refine run {store} {root}" in accepted.stderr


@pytest.mark.parametrize(
    ("edit", "spelled"),
    [
        ("optimizer=['Adam', 'SGD']", '''--edit "optimizer=['Adam', 'SGD']"'''),
        ("dropout=(0, 0.2)", "--edit 'dropout=(0, 0.2)'"),
        ("optimizer=['Adam','$HOME!']", "--edit 'optimizer=['\"'\"'Adam"),  # a shell expands $ and !
    ],
)
def test_printed_commands_use_double_quotes_only_where_a_shell_expands_nothing(edit, spelled):
    command = f"refine accept STORE last {Edits(edit=[edit]).typed()}"
    assert spelled in command
    assert shlex.split(command)[-1] == edit


def test_a_wrong_question_is_one_line(store):
    assert "'dropout'" in refused("ask", store, "dropuot <= 2")
    code = "__import__('os').system('ls')"
    assert code in refused("ask", store, code)


def test_questions_are_listed_with_calls_to_ask(store):
    good(f"ask {store} 'lr <= 2' --guess 0.7 --author mia")
    listed = data("ask", store, "--no-suggest")
    assert [(q["question"], q["answers"][0]["guess"]) for q in listed["asked"]] == [("lr <= 2", 0.7)]
    assert "mia" in good("ask", store)
    assert "--given and --guess" in refused("ask", store, "--given", "lr <= 2", "--guess", 0.5)


@pytest.mark.parametrize(
    "configuration", ["lr=1.05 dropout=0 optimizer=Adam", '{"lr": 1.05, "dropout": 0.0, "optimizer": "Adam"}']
)
def test_a_configuration_of_ones_own_is_planned_and_run(store, configuration):
    assert f"refine run {store} " in good("add", store, "--given", configuration)
    good("run", store, "--objective", "objectives:bowl", "-q")
    with refine.Tree("study", store=store) as tree:
        last = tree["root"].trials.iloc[-1]
        assert (last["lr"], last["origin"]) == (1.05, "given")


def test_a_wrong_configuration_is_one_line(store):
    result = run("add", store, "--given", "lr=1")
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert "missing: dropout, optimizer" in line
    assert "'{\"lr\": 1'" in refused("add", store, "--given", '{"lr": 1')
    assert "name=value" in refused("add", store, "--given", "lr")


@pytest.mark.slow
def test_printed_calls_of_a_command_study_run_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text("[parameters]\nx = { low = 0.0, high = 1.0, levels = 40 }\n")
    good("run c.db --space x.toml -n 12 -q --set goal.noise=retraining --command 'echo {x}'")
    assert "refine confirm c.db --command 'echo {x}'" in good("winner c.db")
    printed_answer = good("ask c.db 'x <= 0.9' --epsilon 0.1").splitlines()
    settle = next(line[line.index("refine ask") :] for line in printed_answer if "refine ask" in line)
    planned = good(settle.removeprefix("refine ")).splitlines()
    resumed = next(line[line.index("refine run") :] for line in planned if "refine run" in line)
    assert resumed.endswith("--command 'echo {x}'")
    good(f"{resumed.removeprefix('refine ')} -q")


def test_your_own_questions_are_asked_by_you(store):
    good(f"ask {store} 'lr <= 2'")
    assert good("ask", store, "--no-suggest").split("Next")[0].count(" you") == 1
    good(f"ask {store} 'lr <= 3' --author mia")
    assert " you" not in good("ask", store, "--no-suggest").split("Next")[0]


def test_the_next_call_of_questions_names_the_objective(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text("[parameters]\nx = { low = 0.0, high = 1.0, levels = 40 }\n")
    noisy = "import random\n\ndef score(p):\n    return random.gauss(p['x'], 0.1)\n"
    (tmp_path / "asked.py").write_text(noisy)
    words = ["--space", "space.toml", "--objective", "asked.py:score", "--n", 20]
    words += ["--set", "goal.noise=retraining", "-q"]
    good("run", "s.db", *words)
    good("budget", "s.db", 23)
    assert "refine confirm s.db --objective asked.py:score" in good("ask", "s.db")
