"""A round of sixty trials of a bowl."""

import pytest

import objectives


@pytest.fixture(scope="session")
def first_round(space):
    return lambda tree: tree.add_round(space, objectives.bowl, n=60, seed=7).run()
