"""From source archive and wheel, without the checkout: tests, README's study, commands of README and FAQ."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest
import typer

from refine.ui.cli import app
from tests.elsewhere import missing
from tests.recipes import first_hour

ROOT = Path(__file__).parents[1]
LEFT_OUT = re.compile(r"\.(venv|git$|[a-z]+_cache)|build$|dist$|demo-output$|site$")
"""Folders of a checkout that are not under version control, or that keep its history."""

OBJECTIVE = """
def score(p):
    return 1 - (p["lr"] - 2) ** 2 / 17 - 0.4 * p["dropout"] - 0.1 * (p["optimizer"] == "SGD")


def network(p):
    return {"val_acc": score(p), "latency_ms": 4 + 10 * p["lr"]}
"""
SPACE = """
[parameters]
lr = { low = 0.5, high = 5.0, levels = 10 }
dropout = { low = 0.0, high = 0.5, levels = 11 }
optimizer = ["Adam", "SGD"]
"""
PROGRAM = """#!/bin/sh
echo "val_acc=0.${2%.*}5"
"""
RESULTS = (
    "commit,val_bpb",
    *(f"438a26e,{1.2 + i / 1000}" for i in range(8)),
    *(f"b1d5004,{1.4 + i / 1000}" for i in range(8)),
)


class Installed:
    """An environment with the wheel, and a folder to type commands in."""

    def __init__(self, folder, binaries):
        self.folder = folder
        variables = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
        path = os.pathsep.join([str(binaries), variables["PATH"]])
        self.environment = {**variables, "PATH": path, "OMP_NUM_THREADS": "1"}

    def run(self, command, folder="."):
        """Types a command, and returns its output."""
        ended = subprocess.run(
            shlex.split(command),
            cwd=self.folder / folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}{ended.stderr[-3000:]}"
        return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a source archive, and of the wheel that was built from this archive."""
    source = tmp_path_factory.mktemp("source")
    unneeded = shutil.ignore_patterns("__pycache__", "node_modules", ".cache")
    for place in ROOT.iterdir():
        if LEFT_OUT.match(place.name) or place.name.endswith(".egg-info"):
            continue
        if place.is_dir():
            shutil.copytree(place, source / place.name, ignore=unneeded)
        else:
            shutil.copy(place, source / place.name)
    ended = subprocess.run(
        [sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", "dist", "."],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if ended.returncode:
        missing(f"a network or a cache with setuptools, to build a wheel: {ended.stderr[-500:]}")
    archives = tmp_path_factory.mktemp("dist")
    for place in (source / "dist").iterdir():
        shutil.move(place, archives / place.name)
    shutil.rmtree(source)
    return archives


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel in a new environment; other packages come from the environment of the tests."""
    (wheel,) = built.glob("*.whl")
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=120)
    python = environment / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--python",
            str(python),
            str(wheel),
        ],
        check=True,
        timeout=120,
    )
    (packages,) = (environment / "lib").glob("python3*/site-packages")
    # a .pth file in there, of an editable refine, is not read
    site_packages = Path(pytest.__file__).parents[1]
    (packages / "others.pth").write_text(f"{site_packages}\n")
    folder = tmp_path_factory.mktemp("study")
    (folder / "train.py").write_text(OBJECTIVE)
    (folder / "space.toml").write_text(SPACE)
    (folder / "results.csv").write_text("\n".join(RESULTS) + "\n")
    (folder / "train.sh").write_text(PROGRAM)
    (folder / "train.sh").chmod(0o755)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (folder / "first.py").write_text("\n".join(blocks))
    return Installed(folder, environment / "bin")


@pytest.fixture(scope="module")
def readme_study(installed):
    """The output of README's code."""
    return installed.run("python first.py")


@pytest.mark.nightly
def test_refine_comes_from_the_wheel(installed):
    place = installed.run("python -c 'import refine; print(refine.__file__)'").strip()
    assert "site-packages" in place
    assert str(ROOT) not in place
    assert "--version" in installed.run("refine-hpo --help")


@pytest.mark.nightly
def test_tests_of_the_source_archive_pass_with_the_wheel(built, installed, tmp_path):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    shutil.rmtree(folder / "refine")  # the tests import the wheel
    fast = "not (slow or keras or browser or cluster or nightly)"
    tests = "tests/space tests/design tests/trials tests/test_packaging.py"
    printed = installed.run(f"python -m pytest -p no:cacheprovider -m '{fast}' {tests}", folder)
    assert int(re.search(r"(\d+) passed", printed)[1]) > 300


@pytest.mark.nightly
def test_code_of_readme_prints_a_proposal_and_a_winner(readme_study):
    assert "review.accept(" in readme_study
    assert "Winner" in readme_study


@pytest.mark.nightly
def test_finished_study_opens(installed):
    printed = installed.run("python -c 'from refine import datasets; print(datasets.digits().winner())'")
    assert re.search(r"Winner\b.*\bdigits\b", printed)


@pytest.mark.nightly
def test_review_page_is_served(installed, readme_study):
    with subprocess.Popen(
        ["refine", "review", "refine.db", "--no-open"],
        cwd=installed.folder,
        env=installed.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as page:
        try:
            address = page.stdout.readline().strip()
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert b'<div id="refine">' in answer.read()
        finally:
            page.terminate()


COMMANDS = """
refine winner refine.db
refine propose refine.db
refine show refine.db --failures
refine doctor refine.db --quick
refine confirm refine.db --budget 4 --workers 2 --objective train.py:score
refine export refine.db --page study.html
refine mcp refine.db
refine import runs.csv imported.db --tree imported --value val_acc --space-filling
refine propose imported.db
refine run goals.db --space space.toml --objective train.py:network -n 30 --metric val_acc:maximize \
  --metric latency_ms:minimize --set goal.subject-to=latency_ms<=40
refine winner goals.db
refine run budget.db --space space.toml --objective train.py:score --budget 60 --set goal.baseline.lr=4 \
  --set goal.baseline.dropout=0.4 --set goal.baseline.optimizer=SGD
refine budget budget.db
refine ask budget.db 'dropout <= 0.2'
refine ask budget.db "optimizer == 'Adam'" --given 'lr <= 3' --guess 0.3
refine add budget.db -n 4 --settle 'dropout <= 0.2'
refine ask budget.db
refine add budget.db --given 'lr=2.5 dropout=0.05 optimizer=Adam'
refine run budget.db --objective train.py:score
refine propose budget.db
refine accept budget.db
refine run budget.db --objective train.py:score
refine budget budget.db '8 h'
refine budget budget.db 80
refine judge budget.db 'lr=2.5 dropout=0.05 optimizer=Adam' baseline --budget 16 --json \
  --objective train.py:score
refine init study
refine init program --command './train.sh --lr {lr}' --metric-pattern 'val_acc=([0-9.]+)'
refine run program.db --space program/refine.toml --command './train.sh --lr {lr}' \
  --metric-pattern 'val_acc=([0-9.]+)' --budget 12
"""
JUDGE = "refine judge --runs results.csv --metric val_bpb --minimize --a 438a26e --b b1d5004"
TYPED_BY_OTHER_TESTS = (JUDGE, "refine review refine.db")


def lines_of(text):
    return text.replace("\\\n", "").strip().splitlines()


@pytest.mark.nightly
def test_commands_of_readme_and_of_frequent_questions_run(installed, readme_study):
    code = "from refine import datasets; datasets.breast_cancer().sample(150, random_state=1)"
    installed.run(f"python -c '{code}.to_csv(\"runs.csv\", index=False)'")
    for line in lines_of(COMMANDS):
        installed.run(line)


def part(link):
    """Text of a page, or of the section that a link names."""
    name, _, anchor = link.partition("#")
    text = (ROOT / "docs" / name).read_text()
    if not anchor:
        return text
    for head in re.finditer(r"^(#+) (.+)\n", text, re.MULTILINE):
        if re.sub(r"[^\w\- ]", "", head[2].lower()).replace(" ", "-") == anchor:
            next_head = rf"^#{{1,{len(head[1])}}} "
            return re.split(next_head, text[head.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    raise AssertionError(f"no section {link}")


def form(command):
    """Verb, number of arguments before the first option, and options of a command."""
    words = shlex.split(command)[1:]
    options = [word for word in words if word.startswith("-")]
    first = words.index(options[0]) if options else len(words)
    return words[0], first - 1, {re.sub("^-n$", "--n", option) for option in options}


def printed_commands():
    """Commands in the code of README, and of pages and sections that the frequent questions link."""
    questions = part("index.md#frequent-questions")
    links = re.findall(r"\]\((.+?)\)", questions)
    assert len(links) > 20
    text = "\n".join([(ROOT / "README.md").read_text(), *(part(link) for link in links)])
    verbs = "|".join(typer.main.get_command(app).commands)
    return re.findall(rf"(?:^ *|`)(refine (?:{verbs})\b[^`\n#]*)", text.replace("\\\n", ""), re.MULTILINE)


def test_commands_that_readme_and_frequent_questions_print_are_typed_above():
    typed = [form(line) for line in [*lines_of(COMMANDS), *TYPED_BY_OTHER_TESTS]]
    printed = printed_commands()
    assert len(printed) > 25
    for command in printed:
        verb, arguments, options = form(command)
        alike = [t for t in typed if t[0] == verb and t[1] >= arguments and t[2] >= options]
        assert alike, f"add a command like this one: {command}"


@pytest.mark.nightly
def test_the_first_hour_of_readme_needs_the_wheel_and_no_other_word(installed):
    folder = installed.folder / "hour"
    folder.mkdir()
    (folder / "train.sh").write_text('#!/bin/sh\necho "val_loss: 0$2$4"\n')
    (folder / "train.sh").chmod(0o755)
    installation, *calls = first_hour()
    assert installation == "pip install ."  # as the fixture did
    for call in calls:
        printed = installed.run(call, "hour")
    assert "  refine run study.db" in printed


@pytest.mark.nightly
def test_judge_reads_a_table_of_runs(installed):
    printed = installed.run(JUDGE)
    assert printed.startswith("KEEP")
