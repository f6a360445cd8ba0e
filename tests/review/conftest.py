"""A round of a hundred trials, run once; each test has a copy of its store."""

import shutil

import pytest

import objectives
import refine

SPACE = refine.Space(
    {
        "lr": (0.5, 5.0, 10),
        "dropout": (0.0, 0.5, 6),
        "optimizer": ["Adam", "Nadam", "SGD"],
        "junk": (1, 8),
        "epochs": 150,
    }
)


def added(tree):
    return tree.add_round(SPACE, objectives.bowl, n=100, seed=7)


@pytest.fixture(scope="session")
def run_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("bowl") / "refine.db"
    with refine.Tree("question", store=path) as tree:
        added(tree).run(progress=False)
    return path


@pytest.fixture
def tree(request, tmp_path):
    if "root" in request.fixturenames:
        shutil.copy(request.getfixturevalue("run_once"), tmp_path / "refine.db")
    with refine.Tree("question", store=tmp_path / "refine.db") as opened:
        yield opened


@pytest.fixture
def root(tree):
    return added(tree)
