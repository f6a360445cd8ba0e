"""A multirun of Hydra is a round: the application of the docs, started as there, with the real library."""

import re
import shlex

import pytest

import refine
from tests.elsewhere import run_there
from tests.recipes import DOCS

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


def test_a_multirun_is_a_round(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = dict(
        re.findall(r'```(\w+) title="Hydra"\n(.*?)^```$', (DOCS / "tools.md").read_text(), re.M | re.S)
    )
    assert len([line for line in blocks["python"].splitlines() if line]) <= 10
    (tmp_path / "train.py").write_text(blocks["python"])
    words = shlex.split(blocks["console"].replace("\\\n", ""))[1:]
    output = run_there("hydra", *words)
    assert output.count("Launching 1 jobs") == 19  # the best runs three times again
    assert re.search(r"^  \+opt +adam, sgd +->.*\badam ", output, flags=re.MULTILINE)
    assert "Launching" not in run_there("hydra", *words)
    with refine.Tree("train", "refine.db") as tree:
        space = tree["root"].space
        trials = tree["root"].trials
        kinds = (
            refine.Float(1e-4, 1.0, log=True),
            refine.Categorical(["adam", "sgd"]),
            refine.Integer(1, 4, step=1),
        )
        assert [space[name] for name in ("+lr", "+opt", "+layers")] == list(kinds)
        value = (trials["+lr"] - 0.01) ** 2 + trials["+layers"] / 100 + (trials["+opt"] == "sgd") / 10
        assert trials["value"].tolist() == pytest.approx(value.tolist())
        child = tree["root"].propose().reject("+opt").accept(n=4, plan=refine.Plan(audit=0))
    resumed_words = [*words[:3], "hydra.sweeper.round=last", "hydra.sweeper.max_batch_size=3"]
    output = run_there("hydra", *resumed_words)
    assert re.findall(r"Launching (\d) jobs", output) == ["3", "1"]
    with refine.Tree("train", "refine.db") as tree:
        assert set(tree[child.id].trials["state"]) == {"complete"}


APP = """
import hydra

@hydra.main(version_base=None, config_path=".", config_name="app")
def app(config):
    return {"loss": config.width * config.share / (config.on != "no")}

app()
"""
CONFIG = """
defaults: [{override hydra/sweeper: refine}, _self_]
share: 1
hydra: {sweeper: {n: 6, metric: loss, direction: minimize, params: {share: "range(0.5, 2, 0.5)"}}}
"""


def test_a_configuration_and_jobs_that_fail(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "app.yaml").write_text(CONFIG)
    output = run_there("hydra", "app.py", "-m", "+on=yes,no", "+width=8,16", "+depth=3")
    assert "least 10" in output
    with refine.Tree("app", "refine.db") as tree:
        root = tree["root"]
        grids = [root.space[name].grid for name in ("share", "+width")]
        assert (root._node.objective, grids) == ("app +depth=3", [(0.5, 1.0, 1.5), (8, 16)])
        failed = root.trials["+on"].eq("no")
        assert root.trials["state"].eq("failed").equals(failed)
        assert root.failures["error"].str.contains("ZeroDivisionError").all()
