"""The studies of `refine.datasets` are small and complete, and their script reproduces the first one."""

import doctest
import sys
from pathlib import Path

from refine import datasets

FOLDER = Path(datasets.__file__).parent
MOST_BYTES = 100_000


def test_all_data_files_together_are_small():
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.suffix in (".gz", ".zip")}
    assert set(sizes) == {"breast_cancer.csv.gz", "digits.zip"}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def test_the_digits_study_has_two_rounds_with_replicates_and_a_decision(tmp_path):
    with datasets.digits() as tree:
        first = tree["first"]
        second = tree["second"]
        assert (first.n, second.n) == (150, 100)
        assert second.parent.id == first.id
        assert len(first.replicates) > 0
        assert len(second._decisions) == 0
        assert "small networks are cheap" in str(tree)
    for _ in range(2):  # a store that has the study is opened
        with datasets.digits(tmp_path / "digits.db") as tree:
            assert len(tree.rounds) == 2


def test_the_table_of_runs_is_new_at_each_call():
    runs = datasets.breast_cancer()
    assert runs.shape == (1800, 13)
    runs["val_acc"] = 0.0
    assert datasets.breast_cancer()["val_acc"].max() > 0.9


def test_a_study_packed_again_has_the_same_bytes(tmp_path, monkeypatch):
    sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
    import study

    with datasets.digits() as tree:
        tree.export(tmp_path / "exported", reports=False)
    packed = []
    for name in ("one.zip", "two.zip"):
        monkeypatch.setattr(study, "DATA", tmp_path / name)
        study.pack(tmp_path / "exported")
        packed.append((tmp_path / name).read_bytes())
    assert packed[0] == packed[1]
    assert len(packed[0]) < MOST_BYTES


def test_the_examples_of_the_docstrings_run():
    assert doctest.testmod(datasets).failed == 0
