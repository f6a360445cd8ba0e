"""A round of a bowl under review, made once for all tests of what comes of a proposal."""

import pytest

import objectives
import refine


@pytest.fixture(scope="session")
def review():
    space = {
        "lr": (0.5, 5.0, 10),
        "dropout": (0.0, 0.5, 6),
        "optimizer": ["Adam", "Nadam", "SGD"],
        "junk": (1, 8),
    }
    tree = refine.Tree("q", store="sqlite://")
    return tree.add_round(space, objectives.bowl, n=150, seed=7).run().propose()
