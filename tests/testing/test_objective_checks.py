"""Objectives that `check_objective` rejects or accepts."""

import subprocess
import sys

import numpy as np
import pytest

import objectives
import refine.testing
from refine.testing import ObjectiveContract, check_objective, findings_of

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}


class TestBowl(ObjectiveContract):
    def objective(self):
        return objectives.bowl

    def space(self):
        return SPACE


class TestWithCurves(TestBowl):
    def objective(self):
        return objectives.metrics


def unseeded(params):
    return np.random.default_rng().normal()


def seeded(params):
    np.random.seed(1)
    return np.random.normal()


def writes(params):
    params["lr"] = 0.0
    return 1.0


def picky(params):
    if params["optimizer"] == "SGD":
        raise ValueError("no SGD")
    return params["lr"]


def other_names(params):
    return {f"score_{params['lr']:g}": 1.0}


def gaps(params, trial):
    for epoch in range(4):
        trial.report(epoch, {"acc": 1.0} | ({"loss": 2.0} if epoch != 1 else {}))
    return {"acc": 1.0}


class Locked:
    def __call__(self, params):
        return 1.0

    def __reduce__(self):
        raise TypeError("it holds a lock")


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (unseeded, "repeats: two runs under seed"),
        (seeded, "keeps_seeds: seeds numpy itself"),
        (writes, "keeps_params: changes its configuration ('lr')"),
        (picky, "takes_every_level: fails with {"),
        (other_names, "returns: returns the metrics"),
        (gaps, "reports: metric loss has no number in 1 of 4 reported epochs, first in epoch 2"),
        (Locked(), "travels: can't be sent to a worker: TypeError: it holds a lock"),
        (lambda: 1, "call: "),
        (lambda params: None, "returns: fails with {"),
    ],
)
def test_broken_promises_of_an_objective_are_named(objective, text):
    findings = [str(f) for f in findings_of(objective, SPACE)]
    assert any(f.startswith(text) for f in findings), findings
    with pytest.raises(AssertionError, match="contract"):
        check_objective(objective, SPACE)


def test_an_objective_that_keeps_its_contract_passes():
    check_objective(objectives.bowl, SPACE)
    check_objective(lambda p: p["lr"] + np.random.normal(), SPACE)


@pytest.mark.slow
def test_the_checks_import_neither_pytest_nor_extras():
    heavy = {"pytest", "tensorflow", "keras", "matplotlib"}
    code = f"import sys, refine.testing; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert "compare_fits" in refine.testing.__all__
    with pytest.raises(AttributeError, match="module 'refine.testing'"):
        _ = refine.testing.nothing
