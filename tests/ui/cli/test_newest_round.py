"""Commands about a round take the newest one if none is named."""

import pytest
from shell import data, good, refused, run

import refine
from refine.ui.cli.shared import ERROR, USAGE


def bowl(params):
    return 1 - 0.1 * (params["lr"] - 2) ** 2


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("newest") / "refine.db")
    with refine.Tree("bowl", store=path) as tree:
        tree.add_round({"lr": (0.5, 5.0, 19), "width": [8, 16]}, bowl, n=12, seed=1)
        newest = tree.add_round({"lr": (0.5, 5.0, 19), "width": [8, 16]}, bowl, n=24, seed=3)
        newest.run()
    return path, newest.id


@pytest.mark.slow
def test_looking_and_deciding_take_the_newest_round(store):
    path, newest = store
    assert f"Round {newest[:8]}" in good("propose", path)
    for line in (
        "propose --options",
        "analyze --checks",
        "accept --preview",
        "analyze",
        "show --failures",
    ):
        command, *options = line.split()
        assert good(command, path, *options) == good(command, path, newest, *options)
    child = data("accept", path, "--n", 5)
    assert child["parent"] == newest


def test_options_compares_the_proposals_of_other_risks(store):
    path, newest = store
    with refine.Tree(store=path, create=False) as tree:
        options = tree[newest].propose(keep=False).options()
        rows = options.to_dict()["rows"]
    current = options.rows.index(options.now)
    assert data("propose", path, newest, "--options")["rows"] == rows
    printed = good("propose", path, newest, "--options")
    other_risks = [row["risk"] for row_number, row in enumerate(rows) if row_number != current]
    assert [
        risk for risk in other_risks if f"refine propose {path} {newest} --risk {risk}" in printed
    ] == other_risks[:1]


def test_removing_never_guesses_the_round(store):
    path, _ = store
    rounds = data("show", path)["rounds"]
    # typer 0.16 with click 8.5 lets a required argument be left out: an error, not wrong usage
    assert run("delete", path, "--yes").exit_code in (ERROR, USAGE)
    assert data("show", path)["rounds"] == rounds


@pytest.mark.slow
def test_checks_and_analysis_right_after_accepting_show_the_newest_round_with_trials(tmp_path):
    with refine.Tree("q", tmp_path / "s.db") as tree:
        space = {"x": (0.0, 1.0, 11), "y": (0.0, 1.0, 11)}
        root = tree.add_round(space, lambda p: -p["x"], n=30, name="f").run()
        child = root.propose().accept(n=5)
    for options in ("--checks", ""):
        shown = run(f"analyze {tmp_path / 's.db'} {options}")
        assert shown.exit_code == 0
        assert child.id in shown.stderr
        assert f"round {root.id}" in shown.stderr
    assert f"refine run {tmp_path / 's.db'} {child.id}" in refused(
        f"analyze {tmp_path / 's.db'} last --checks"
    )


def test_messages_name_options_of_the_shell(tmp_path):
    (tmp_path / "runs.csv").write_text("acc\n0.5\n0.6\n")
    error = run(f"import {tmp_path / 'runs.csv'} {tmp_path / 's.db'} --tree t --value acc").stderr
    assert "--parameters NAME,NAME" in error
    assert "parameters=[...]" not in error


def test_a_round_that_did_not_run_is_named_as_the_reason(tmp_path):
    path = str(tmp_path / "refine.db")
    with refine.Tree("bowl", store=path) as tree:
        first = tree.add_round(
            {"lr": (0.5, 5.0, 19), "width": [8, 16]},
            bowl,
            n=12,
            seed=1,
            metric=refine.Goal("value", noise="retraining"),
        )
        first.run()
        child = first.branch({"lr": (4.0, 5.0), "width": [8, 16]}, n=4)
    message = refused("propose", path, child.id)
    assert f"refine run {path} {child.id}" in message
