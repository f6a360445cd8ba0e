"""Without any extra a study runs from the first proposal to reports, and errors name the missing extra."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from refine.errors import DesignError, ReviewError
from refine.utils import extras
from tests.elsewhere import missing

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-core" / "bin" / "python"
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]

REFUSED = {
    "tpe": "DesignError: design 'tpe' needs optuna[optuna]; design='sobol' needs nothing more",
    "to_optuna": "AnalysisError: a study of Optuna needs optuna[optuna]",
    "add_runs": "AnalysisError: reading a study of Optuna needs optuna[optuna]",
    "web": (
        "ReviewError: the review page in a browser needs starlette[web]; the same from a shell: refine "
        "propose STORE ROUND"
    ),
    "mcp": "ReviewError: serving an assistant needs mcp[mcp]",
    "postgresql": (
        "StoreError: store postgresql+psycopg://nobody@localhost/none needs psycopg[postgresql]; a path is "
        "a SQLite file, which needs nothing more"
    ),
    "keras": "ObjectiveError: refine.keras needs keras[keras]",
    "dask": "DesignError: DaskExecutor needs distributed[dask]",
    "ray": "DesignError: RayExecutor needs ray[ray]",
    "mlflow": "DesignError: the tracker MLflow needs mlflow[mlflow]",
    "tensorboard": "DesignError: the tracker TensorBoard needs tensorboard[tensorboard]",
    "notebook": (
        "ReviewError: show needs anywidget[notebook]; in a browser the same page is: refine review study.db "
    ),
}
"""Who asks -> what is said, `package[extra]` in short, up to the round's id."""


def run(*command, cwd):
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment |= {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(PYTHON), *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_core_alone_runs_a_study_and_names_missing_packages(tmp_path):
    if not PYTHON.exists():
        missing(".venv-core, the core alone: make .venv-core/.ready installs it")
    output = run("-P", str(HERE / "core_elsewhere.py"), str(HERE.parent / "README.md"), cwd=tmp_path)
    facts = json.loads(output.splitlines()[-1])
    assert not {"tensorflow", "keras", "torch", "optuna", "starlette", "dask"} & set(facts["packages"])
    assert facts["readme"] >= 1
    assert re.search(r"^Next +(review|tree)\.", facts["proposal"], re.MULTILINE)
    assert facts["html"].lower().startswith("<!doctype")
    assert facts["reports"] >= 1
    assert facts["accuracy"] > 0.9
    for name, short in REFUSED.items():
        message = re.sub(r"\[(\w+)\]", r", which is not installed: pip install 'refine-hpo[\1]'", short)
        refused = facts["refused"].pop(name)
        assert refused == message or (name == "notebook" and refused.startswith(message))
    assert not facts["refused"]
    assert "refused" not in run("-m", "refine", "show", "study.db", "--tree", "study", cwd=tmp_path)
    doctor = {c["what"]: c for c in json.loads(run("-m", "refine", "doctor", "--json", cwd=tmp_path))}
    assert doctor["packages"]["verdict"] == "good"
    assert doctor["workers"]["verdict"] == "good"
    assert doctor["keras"]["verdict"] == "warn"
    assert doctor["keras"]["says"].endswith("'refine-hpo[keras]'")
    assert "Keras" not in doctor


def test_every_extra_that_an_error_names_brings_the_package():
    distributions = {"mlflow": "mlflow-skinny", "psycopg": "psycopg", "keras": "tensorflow"}
    for module, extra in extras.EXTRAS.items():
        brought = PROJECT["optional-dependencies"][extra]
        distribution = distributions.get(module, module)
        assert any(line.startswith(distribution) for line in brought), f"{extra} does not bring {module}"


def test_a_broken_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "anywidget.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "anywidget", raising=False)
    pattern = r"this tracker .*'nothing_of_that_name'.* 'refine-hpo\[notebook\]'"
    with pytest.raises(DesignError, match=pattern):
        extras.load("anywidget", "this tracker", DesignError)
    assert extras.load("json.decoder", "this", ReviewError).__name__ == "json.decoder"
