"""The round that most tests of a module look at, which its ``added`` adds, is run once and copied."""

import shutil

import pytest

import refine


@pytest.fixture(scope="module")
def run_store(request, tmp_path_factory):
    store = tmp_path_factory.mktemp("made") / "refine.db"
    with refine.Tree("question", store=store) as tree:
        request.module.added(tree).run(progress=False)
    return store


@pytest.fixture
def tree(tmp_path, request):
    if "round_" in request.fixturenames:
        shutil.copy(request.getfixturevalue("run_store"), tmp_path / "refine.db")
    with refine.Tree("question", store=tmp_path / "refine.db") as opened:
        yield opened


@pytest.fixture
def round_(tree, request):
    return request.module.added(tree)
