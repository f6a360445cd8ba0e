from __future__ import annotations

import sys
from pathlib import Path

import pytest

import refine

sys.path.insert(0, str(Path(__file__).parent))

SPACE = {
    "lr": (0.5, 5.0, 10),
    "dropout": (0.0, 0.5, 6),
    "optimizer": ["Adam", "Nadam", "SGD"],
    "junk": (1, 8),
    "epochs": 150,
}


@pytest.fixture
def space() -> refine.Space:
    return refine.Space(SPACE)


@pytest.fixture
def tree(tmp_path):
    with refine.Tree("question", store=tmp_path / "refine.db") as opened:
        yield opened
