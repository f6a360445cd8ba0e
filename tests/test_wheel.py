"""From the wheel, without the checkout: README's study, and the commands of README and FAQ."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.elsewhere import missing

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

ROOT = Path(__file__).parents[1]
SOURCES = ("refine", "hydra_plugins", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")

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


class Installed:
    """An environment with the wheel, and a folder to type commands in."""

    def __init__(self, folder, binaries):
        self.folder = folder
        variables = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
        path = os.pathsep.join([str(binaries), variables["PATH"]])
        self.environment = {**variables, "PATH": path, "OMP_NUM_THREADS": "1"}

    def run(self, command, status=0):
        """Types a command, and returns its output."""
        ended = subprocess.run(
            shlex.split(command),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert ended.returncode == status, f"{command}\n{ended.stdout[-2000:]}{ended.stderr[-3000:]}"
        return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel in a new environment; other packages come from the environment of the tests."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source / name)
    built = subprocess.run(
        [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", "dist", "."],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if built.returncode:
        missing(f"a network or a cache with setuptools, to build a wheel: {built.stderr[-500:]}")
    (wheel,) = (source / "dist").glob("*.whl")
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
    site_packages = Path(pytest.__file__).parents[
        1
    ]  # a .pth file in there, of an editable refine, is not read
    (packages / "others.pth").write_text(f"{site_packages}\n")
    shutil.rmtree(source)
    folder = tmp_path_factory.mktemp("study")
    (folder / "train.py").write_text(OBJECTIVE)
    (folder / "space.toml").write_text(SPACE)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (folder / "first.py").write_text("\n".join(blocks))
    return Installed(folder, environment / "bin")


@pytest.fixture(scope="module")
def readme_study(installed):
    """The output of README's code."""
    return installed.run("python first.py")


def test_refine_comes_from_the_wheel(installed):
    place = installed.run("python -c 'import refine; print(refine.__file__)'").strip()
    assert "site-packages" in place
    assert str(ROOT) not in place
    assert "Exit codes" in installed.run("refine-hpo --help")


def test_code_of_readme_prints_a_proposal_and_a_winner(readme_study):
    assert "Search next:" in readme_study
    assert "Winner of tree example" in readme_study


def test_finished_study_opens(installed):
    printed = installed.run("python -c 'from refine import datasets; print(datasets.digits().winner())'")
    assert "Winner of tree digits" in printed


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
refine failures refine.db
refine doctor refine.db --quick
refine rehearse refine.db --rounds 2 --n 10
refine rehearse space.toml --budget 12
refine confirm refine.db --budget 4 --workers 2 --objective train.py:score
refine export refine.db --page study.html
refine mcp refine.db
refine init study
refine import runs.csv imported.db --tree imported --value val_acc --space-filling
refine propose imported.db
refine run goals.db --space space.toml --objective train.py:network -n 30 --metric val_acc:maximize \\
  --metric latency_ms:minimize --subject-to latency_ms<=40
refine front goals.db
refine run budget.db --space space.toml --objective train.py:score --budget 60
refine budget budget.db
refine ask budget.db 'dropout <= 0.2'
refine propose budget.db
refine accept budget.db
refine run budget.db --objective train.py:score
"""


def test_commands_of_readme_and_of_frequent_questions_run(installed, readme_study):
    code = "from refine import datasets; datasets.breast_cancer().sample(150, random_state=1)"
    installed.run(f"python -c '{code}.to_csv(\"runs.csv\", index=False)'")
    typed = []
    for line in COMMANDS.replace("\\\n", "").strip().splitlines():
        installed.run(line)
        typed.append(line.split()[1])
    named = re.findall(r"`refine (\w+) [^`]*`", (ROOT / "README.md").read_text())
    assert set(named) - {"review", "judge"} <= set(typed)


def test_judge_reads_a_table_of_runs(installed):
    rows = [
        "commit,val_bpb",
        *(f"438a26e,{1.2 + i / 1000}" for i in range(8)),
        *(f"b1d5004,{1.4 + i / 1000}" for i in range(8)),
    ]
    (installed.folder / "results.csv").write_text("\n".join(rows) + "\n")
    printed = installed.run(
        "refine judge --runs results.csv --metric val_bpb --minimize --a 438a26e --b b1d5004"
    )
    assert printed.startswith("KEEP")
