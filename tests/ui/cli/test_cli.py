"""The command line on a real store: what it prints, what it writes, and how it says no."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import refine
from refine.ui.cli import app

REFINE = Path(sys.executable).with_name("refine")


class Made(NamedTuple):
    """A store with one decided tree, and a second tree whose only round has not run."""

    store: str
    both: str
    root: str
    child: str


def objective(p):
    return 1 - 0.1 * (p["lr"] - 2) ** 2 - 0.2 * (p["optimizer"] == "SGD")


def grow(store: Path) -> tuple[str, str]:
    space = {"lr": (0.5, 5.0, 19), "optimizer": ["Adam", "Nadam", "SGD"], "epochs": 150}
    with refine.Tree("[bold]fruit", store=store) as tree:
        root = tree.add_round(space, objective, n=24, seed=3)
        root.run(progress=False)
        mine = root.propose().edit(lr=(1.0, 3.0), optimizer=["Adam", "Nadam"])
        child = mine.accept(note="[red]close to 2", n=4, author="ada")
        child.run(progress=False)
        tree.tag(root, "first")
        return root.id, child.id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("stores")
    root, child = grow(folder / "refine.db")
    grow(folder / "both.db")
    with refine.Tree("later", store=folder / "both.db") as tree:
        tree.add_round({"lr": (0.5, 5.0)}, objective, n=5)
    return Made(str(folder / "refine.db"), str(folder / "both.db"), root, child)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr in ("", "importing noisy_task.noisy, which the store names\n")
    return result.stdout


@pytest.mark.slow
def test_tree_says_what_python_says(made: Made) -> None:
    with refine.Tree("[bold]fruit", store=made.store) as tree:
        expected = str(tree).partition("\n\nNext ")[0]
    # Nothing that people wrote is markup.
    said, _, following = good("tree", made.store).partition("\n\nnext:\n")
    assert said == expected
    typed = [f"  refine {what} {made.store} {made.child}" for what in ("show", "analyze", "propose")]
    assert following.splitlines() == typed
    assert '"[red]close to 2"' in expected
    assert "edited by ada" in expected


@pytest.mark.slow
def test_a_store_may_be_a_url(made: Made) -> None:
    url = f"sqlite:///{made.store}"
    assert good("tree", url).replace(url, made.store) == good("tree", made.store)


@pytest.mark.parametrize("which", ["start", "tag", "root", "path"])
def test_show(made: Made, which: str) -> None:
    key = {"start": made.root[:8], "tag": "first", "root": "root", "path": "1"}[which]
    text = good("show", made.store, key)
    assert text.startswith(f"round {made.root} of [bold]fruit: 24 configurations of 57\n")
    assert "100 %: 24 complete" in text
    assert "best observed 1.0000 with lr = 2 and optimizer = " in text
    assert re.search(r"^lr +float +0.5, 0.75, .* 2.75, ... 5 \(19 levels\)$", text, flags=re.MULTILINE)
    assert f'- edited by ada: round {made.child}, "[red]close to 2"' in text
    assert text.endswith(
        f"\nnext:\n  refine analyze {made.store} {made.root}\n  refine propose {made.store} {made.root}\n"
    )


@pytest.mark.slow
def test_analyze(made: Made) -> None:
    text = good("analyze", made.store, "first")
    assert text.startswith("24 trials. Best 1.0000 (")
    text = good("analyze", made.store, "first", "--all")
    assert "24 finished space-filling trials (24 complete); value, maximize; best observed 1.0000" in text
    assert "an analysis needs at least 10 finished space-filling trials" in refused(
        "analyze", made.store, made.child
    )
    other = good("analyze", made.store, "first", "--direction", "minimize", "--json")
    data = json.loads(other)
    assert data["direction"] == "minimize"
    assert data["page"]["title"].startswith("24 trials. Best ")
    assert {fold["about"] for fold in data["page"]["folds"]} >= {"lr", "optimizer"}


def test_show_a_round_that_has_not_run(made: Made) -> None:
    with refine.Tree("later", store=made.both) as tree:
        name = tree.rounds[0].id
    text = good("show", made.both, name, "--tree", "later")
    assert "5 configurations of 10" in text
    assert "not run" in text
    assert text.endswith(f"\nnext:\n  refine run {made.both} {name} --workers 2 --tree later\n")


def test_diff(made: Made) -> None:
    assert "Space    lr 1 to 3" in good("diff", made.store, "first", made.child)
    text = good("diff", made.store, "first", made.child, "--all")
    assert text.startswith(f"{made.root} -> {made.child}\n")
    assert re.search(r"^lr +0.5 to 5 +1 to 3 +", text, flags=re.MULTILINE)
    assert re.search(r"^configurations +24 +4$", text, flags=re.MULTILINE)


@pytest.mark.slow
def test_diff_as_a_report(made: Made, tmp_path: Path) -> None:
    path = Path(good("diff", made.store, "first", made.child, "-o", tmp_path).strip())
    assert path == tmp_path / "compare-1-2.md"
    assert "| lr | 0.5 to 5 | 1 to 3 |" in path.read_text()
    page = Path(good("diff", made.store, "first", made.child, "-o", tmp_path / "html", "--html").strip())
    assert [p.name for p in (tmp_path / "html").iterdir()] == [page.name]  # it holds its pictures
    assert "data:image/svg+xml;base64," in page.read_text()


def test_calibration(made: Made) -> None:
    text = good("calibration", made.store, "--all")
    assert text.startswith("Calibration of [bold]fruit\n")
    assert f"- {made.root} -> {made.child}: " in text
    assert "Not tested: no audit trial has finished." in text
    assert good("calibration", made.both, "--tree", "later") == (
        "Calibration of later\n\nNo decision has led to a child yet.\n"
    )


@pytest.mark.slow
def test_report(made: Made, tmp_path: Path) -> None:
    printed = good("report", made.store, "first", "--out", tmp_path / "one")
    (path,) = printed.splitlines()
    assert Path(path).parent == tmp_path / "one"
    assert re.fullmatch(r"1-[a-z-]+\.md", Path(path).name)
    text = Path(path).read_text()
    assert text.startswith(f"# Round `{made.root}` of ")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    for name in pictures:
        assert (tmp_path / "one" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_report_of_every_round(made: Made, tmp_path: Path) -> None:
    printed = good("report", made.store, "-o", tmp_path)
    first, *rest = (Path(p) for p in printed.splitlines())
    assert first.name == "bold-fruit.md"
    assert [p.name.partition("-")[0] for p in rest] == ["1", "2"]
    assert [made.root in rest[0].read_text(), made.child in rest[1].read_text()] == [True, True]
    assert "edited" in (tmp_path / "bold-fruit.md").read_text()


@pytest.mark.slow
def test_report_as_html(made: Made, tmp_path: Path) -> None:
    path = Path(good("report", made.store, "first", "--html", "-o", tmp_path).strip())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    text = path.read_text()
    assert text.startswith("<!doctype html>")
    assert len(re.findall(r'src="data:image/svg[+]xml;base64,', text)) == text.count("<img ")
    assert "<script" not in text


@pytest.mark.slow
def test_plot(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "lr.png"
    assert good("plot", made.store, "first", "density", "lr", "--out", path).strip() == str(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    drawn = tmp_path / "lr.svg"
    good("plot", made.store, "first", "density", "lr", "-o", drawn, "--width", "column", "--theme", "dark")
    assert "#14171b" in drawn.read_text()
    assert refused("plot", made.store, "first", "density", "lr", "--theme", "black").startswith(
        "theme: takes 'light' or"
    )
    assert refused("plot", made.store, "first", "densty") == "no figure 'densty'; did you mean 'density'?"
    assert "plot density: " in refused("plot", made.store, "first", "density")
    assert refused("plot", made.store, "first", "density", "rl") == (
        "no evidence for parameter 'rl'; known: lr, optimizer"
    )


@pytest.mark.slow
def test_export(made: Made, tmp_path: Path) -> None:
    assert good("export", made.store, "--out", tmp_path / "bundle").strip() == str(tmp_path / "bundle")
    for name, n in ((made.root, 24), (made.child, 4)):
        folder = tmp_path / "bundle" / name
        content = json.loads((folder / "node.json").read_text())
        assert (content["id"], content["n"]) == (name, n)
        assert len(pd.read_csv(folder / "trials.csv")) == n
        assert (folder / f"{name}.md").is_file()
    root = json.loads((tmp_path / "bundle" / made.root / "node.json").read_text())
    assert [tag["name"] for tag in root["tags"]] == ["first"]
    assert [d["child"] for d in root["decisions"]] == [made.child]


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").rstrip("\n")


@pytest.mark.slow
def test_no_such_store(made: Made, tmp_path: Path) -> None:
    for store in (tmp_path / "no.db", f"sqlite:///{tmp_path / 'no.db'}", tmp_path):
        text = f"store {store}: no such file; give the path or URL of a store that exists"
        assert refused("tree", store) == text
        assert refused("show", store, "first") == text
    # Looking leaves nothing behind.
    assert list(tmp_path.iterdir()) == []


def test_not_a_store(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at as one\n" * 40)
    before = path.read_bytes()
    assert refused("tree", path).endswith("can't be opened: file is not a database; check the path or URL")
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_server_that_is_not_there_keeps_its_password_to_itself() -> None:
    text = refused("tree", "postgresql://ada:secret@127.0.0.1:1/refine")
    assert text.startswith("store postgresql+psycopg://ada:***@127.0.0.1:1/refine: can't be opened: ")
    assert "secret" not in text


def test_no_such_tree(made: Made) -> None:
    assert refused("tree", made.store, "--tree", "friut") == (
        f"store sqlite:///{made.store}: no tree 'friut'; known: [bold]fruit"
    )


def test_several_trees(made: Made) -> None:
    assert refused("tree", made.both) == (
        f"store sqlite:///{made.both}: holds 2 trees ([bold]fruit, later); name one: --tree 'later'"
    )
    assert good("tree", made.both, "-t", "later").startswith("later\n")


@pytest.mark.parametrize("command", ["show", "report", "diff"])
def test_no_such_round(made: Made, tmp_path: Path, command: str) -> None:
    rest = {"show": ["frist"], "report": ["frist", "--out", tmp_path / "out"], "diff": ["first", "frist"]}
    text = refused(command, made.store, *rest[command])
    assert text == "no round or tag 'frist' in tree '[bold]fruit'; did you mean 'first'?"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_folder_that_is_a_file(made: Made, tmp_path: Path, command: str) -> None:
    (tmp_path / "out").write_text("here first")
    assert "out" in refused(command, made.store, "--out", tmp_path / "out")


COMMANDS = (
    *(
        "run",
        "replicate",
        "holdout",
        "replay",
        "guide",
        "tree",
        "log",
        "show",
        "analyze",
        "checks",
        "diff",
        "best",
    ),
    *(
        "calibration",
        "report",
        "plot",
        "propose",
        "preview",
        "accept",
        "decline",
        "branch",
        "tag",
        "roles",
        "export",
    ),
    *("import", "load", "doctor"),
)


def plain(text: str) -> str:
    """Without colours, which some CI services force."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.slow
def test_version_and_help() -> None:
    assert good("--version") == f"{refine.__version__}\n"
    text = plain(good("--help"))
    for command in COMMANDS:
        assert f" {command} " in text
        said = plain(good(command, "-h"))
        assert "STORE" in said
        assert ("--json" in said) == (command != "guide")
    assert run().exit_code != 0  # no command: the help, but not as success


@pytest.mark.slow
def test_the_console_script(made: Made, tmp_path: Path) -> None:
    def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(REFINE), *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    found = shell("tree", made.store)
    assert (found.returncode, found.stderr) == (0, "")
    assert (
        found.stdout.splitlines()[1]
        .strip("└─ ")
        .startswith(f"1  {made.root}  24/24  best observed value 1.0000")
    )

    missing = shell("tree", "no.db")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == (
        "error: store no.db: no such file; give the path or URL of a store that exists\n"
    )


@pytest.mark.slow
def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from refine.ui.cli import main\n"
        "sys.argv = ['refine', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    loaded = set(found.stdout.splitlines()[-1].split()[1:])
    assert "typer" in loaded
    heavy = {"tensorflow", "keras", "pandas", "sqlalchemy", "matplotlib", "seaborn", "scipy", "sklearn"}
    assert not loaded & (heavy | {"statsmodels", "distributed", "optuna", "numpy"})


@pytest.mark.slow
def test_completion_opens_no_engine(made: Made) -> None:
    code = (
        "import sys\n"
        "from refine.ui.cli import main\n"
        "sys.argv = ['refine']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    line = f"refine show {made.store} fi"
    asked = {"_REFINE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "3"}
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, **asked},
    )
    first, *_, last = found.stdout.split("loaded: ")
    assert first.split() == ["first"]
    assert not set(last.split()) & {"sqlalchemy", "pandas", "numpy", "scipy"}


@pytest.mark.slow
def test_winner(made: Made) -> None:
    with refine.Tree("[bold]fruit", store=made.store) as tree:
        won = tree.winner()
        own = tree[made.root].recommend()
        assert won.noise.deterministic
        expected = str(won)
        assert "tree.confirm" not in expected  # there is nothing to confirm
    assert good("winner", made.store).strip() == expected
    data = json.loads(good("winner", made.store, "--json"))
    assert data["round"] == won.round
    assert data["expected"] == won.expected
    assert data["best_value"] == won.best_value
    assert (
        json.loads(good("winner", made.store, made.root, "--json"))["configuration"]
        == own.candidates[0].configuration
    )
    assert "no trial has finished" in run("winner", made.both, "--tree", "later").stderr


@pytest.mark.slow
def test_confirm_runs_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    (tmp_path / "noisy_task.py").write_text(
        "import random\n\n\ndef noisy(p):\n    return -((p['x'] - 3) ** 2) / 10 + random.gauss(0, 0.2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    store = tmp_path / "refine.db"
    with refine.Tree("noisy", store=store) as tree:
        found = tree.add_round({"x": (0.0, 9.0, 40)}, importlib.import_module("noisy_task").noisy, n=20)
        found.run(progress=False)
        assert "budget must be" in run("confirm", store, "--budget", 0).stderr
        data = json.loads(good("confirm", store, "--budget", 4, "--quiet", "--json"))
        assert data["race"]["runs"] == len(found.replicates) == 4
        assert data["race"]["verdict"] == "budget"
        text = good("confirm", store, "--budget", 6, "--top", 3, "--quiet")
        assert "with 6 runs under new seeds" in text
        assert len(found.replicates) == 6
        assert "Hand over, of tree noisy (20 configurations):" in text


@pytest.mark.slow
def test_a_direction_that_is_missing_is_asked_for_as_an_option(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text("[parameters]\nx = { low = 0.0, high = 1.0 }\n")
    command = [
        "run",
        "s.db",
        "--space",
        "space.toml",
        "--command",
        "true {x}",
        "--metric",
        "val_loss",
        "-n",
        "3",
    ]
    found = subprocess.run(
        [sys.executable, "-m", "refine", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 1
    assert "say --minimize, or --maximize if larger is better" in found.stderr
