"""Two studies side by side: which parameters behave alike."""

from __future__ import annotations

import numpy as np
import pytest

import refine
from refine.errors import AnalysisError

SPACE = {
    "lr": refine.Float(1e-4, 1, log=True),
    "dropout": (0.0, 0.5, 6),
    "act": ["relu", "tanh", "elu"],
    "noise": (0.0, 1.0, 5),
}


def first(p):
    return {
        "acc": 0.9 - 0.05 * (np.log10(p["lr"]) + 2) ** 2 - 0.3 * p["dropout"] - 0.1 * (p["act"] == "tanh")
    }


def second(p):
    """Another data set, judged by a loss: the same rate, the opposite dropout."""
    return {"loss": 1 + 0.2 * (np.log10(p["lr"]) + 2) ** 2 - 1.0 * p["dropout"] + 0.3 * (p["act"] == "tanh")}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    a, b = (refine.Tree(name, store=folder / f"{name}.db") for name in ("digits", "letters"))
    a.add_round(SPACE, first, metric="acc", n=80, seed=1).run(progress=False)
    b.add_round({**SPACE, "extra": [1, 2]}, second, metric="loss", direction="minimize", n=80, seed=2).run(
        progress=False
    )
    yield a, b
    a.close()
    b.close()


@pytest.mark.slow
def test_what_behaves_alike_and_what_does_not(trees):
    a, b = trees
    found = a.compare(b)
    verdicts = {row.name: row.verdict for row in found.parameters}
    assert verdicts["lr"] == "alike"
    assert verdicts["dropout"] == "apart"
    assert verdicts["noise"] == "unknown"
    rows = {row.name: row for row in found.parameters}
    assert rows["dropout"].first.effect < -0.3 < 0.3 < rows["dropout"].second.effect  # by what is better
    assert rows["dropout"].first.best[0] < 0.1
    assert rows["dropout"].second.best[0] > 0.4
    assert found.parameters[0].name in ("lr", "act")
    assert found.parameters[-1].name == "noise"
    assert found.only == ((), ("extra",))
    text = str(found)
    assert "digits and letters" in text
    assert "only in letters: extra" in text
    assert "judged by acc maximize, letters by loss minimize" in text
    back = b.compare(a.rounds[0])
    assert {row.name: row.verdict for row in back.parameters} == verdicts
    assert [row.overlap for row in sorted(back.parameters)] == pytest.approx(
        [row.overlap for row in sorted(found.parameters)]
    )


@pytest.mark.slow
def test_one_picture(trees, tmp_path):
    ax = trees[0].compare(trees[1]).plot()
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        row.name for row in trees[0].compare(trees[1]).parameters
    ]
    ax.figure.savefig(tmp_path / "studies.png")
    assert (tmp_path / "studies.png").stat().st_size > 10_000


@pytest.mark.slow
def test_what_can_not_be_compared(trees, tmp_path):
    a, _ = trees
    with pytest.raises(AnalysisError, match="compare takes a tree or a round, got str"):
        a.compare("letters")
    with refine.Tree("other", store=tmp_path / "other.db") as other:
        with pytest.raises(AnalysisError, match="compare: tree other has no round with enough trials"):
            a.compare(other)
        other.add_round({"x": (0.0, 1.0, 20)}, lambda p: p["x"], n=20).run(progress=False)
        with pytest.raises(AnalysisError, match="no parameter in common"):
            a.compare(other)
