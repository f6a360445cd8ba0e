"""Anybody's finished runs as roots."""

import exchanged
import numpy as np
import pandas as pd
import pytest

import refine
from refine.errors import AnalysisError, DesignError, ObjectiveError, RefineWarning, SpaceError
from refine.tree.exchange.dataframe import read_table
from tests.elsewhere import library
from tests.recipes import recipe


@pytest.mark.slow
def test_a_frame_becomes_a_root_that_can_be_continued(tree, frame, tmp_path):
    root = tree.add_runs(frame, value="acc", objective=exchanged.trained, note="last year's")
    assert (root.space["rate"].log, root.space["units"].log) == (True, False)
    assert root.space["units"].grid == (8, 16, 32, 64)
    assert root.space["optimizer"].grid == ("Adam", "SGD")
    assert root.space["epochs"].fixed
    for text in ("float, log", "40 trials in a space of 80", "39 complete, 1 diverged", "round.failures"):
        assert text in str(root)
    assert np.allclose(root.trials["rate"], frame["rate"], rtol=1e-11)
    assert root.best["acc"] == frame["acc"].max()
    for run in (lambda: root.run(), lambda: root.replay(sample=2)):
        with pytest.raises(DesignError, match=r"run: .*round\.propose"):
            run()
    child = root.propose().accept(n=6, plan=refine.Plan(audit=0))
    assert (child._node.method, child._node.objective) == ("sobol", "exchanged.trained")
    child.run()
    assert set(child.trials["state"]) == {"complete"}
    text = root.report(tmp_path / "reports").read_text()
    assert "tree.add_runs(frame, space, metric='acc'" in text
    assert child.report(tmp_path / "reports").is_file()


def test_the_same_rows_are_the_same_root(tree, frame):
    root = tree.add_runs(frame, value="acc")
    assert tree.add_runs(frame.copy(), value="acc").id == root.id
    assert (len(tree), len(root.trials)) == (1, 40)
    changed = frame.assign(acc=frame["acc"] + 1e-3)
    assert tree.add_runs(changed, value="acc").id != root.id
    with refine.Tree("elsewhere", store="sqlite://") as other:
        assert other.add_runs(frame, value="acc").id == root.id


def test_the_first_objective_that_runs_an_imported_study_belongs_to_it(tree, frame, tmp_path):
    root = tree.add_runs(frame, value="acc")
    child = root.branch(root.space, n=4)
    with pytest.raises(ObjectiveError, match=r"round.run\(objective"):
        child.run()
    child.run(objective=exchanged.trained)
    with refine.Tree("question", store=tmp_path / "refine.db") as reopened:
        sibling = reopened[root.id].branch(root.space, n=4, seed=9)
        with pytest.raises(ObjectiveError, match=r"with 'exchanged.trained' .* got 'exchanged.another'"):
            sibling.run(objective=exchanged.another)
        sibling.run(objective=exchanged.trained)
        assert len(sibling.trials) == 4
    with_it = tree.add_runs(frame, value="acc", objective=exchanged.another)
    assert with_it.id != root.id


def test_a_space_may_be_given_with_levels_elsewhere(tree, frame):
    rate = refine.Float(1e-4, 0.1, log=True)
    space = refine.Space({"rate": rate, "units": (8, 64), "optimizer": ["Adam", "SGD"]})
    root = tree.add_runs(frame, space, value="acc", metric="val_acc", direction="maximize")
    assert root._value == "val_acc"
    assert root.trials["cell"].isna().any()
    assert "epochs" in root.trials  # a column of numbers that is no parameter is a metric
    narrow = space.replace({"units": (8, 32)})
    with pytest.raises(SpaceError, match=r"units: \d+ rows"):
        tree.add_runs(frame, narrow, value="acc")
    inside = frame[narrow.contains(frame)]
    assert len(tree.add_runs(inside, narrow, value="acc").trials) == len(inside)


def test_states_seconds_seeds_and_repeats(tree):
    rows = [
        {"a": 1, "b": "x", "value": 0.5, "state": "COMPLETE", "seconds": 2.0, "seed": 7},
        {"a": 1, "b": "x", "value": 0.6, "state": "complete", "seconds": 3.0, "seed": 8},
        {"a": 2, "b": "y", "value": np.nan, "state": "FAIL", "seconds": np.nan, "seed": 9},
        {"a": 3, "b": "y", "value": np.inf, "state": "complete", "seconds": 1.0, "seed": 10},
    ]
    root = tree.add_runs(pd.DataFrame(rows))
    assert list(root.trials["state"]) == ["complete", "failed", "diverged"]
    assert list(root.trials["seed"]) == [7, 9, 10]
    assert list(root.replicates["value"]) == [0.6]
    assert root.n == 3
    for change, text in (
        ({"state": "running"}, "no row of the frame is a run that has ended"),
        ({"state": "odd"}, "state must be one of complete, failed"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seconds": -1.0}, "seconds must be >= 0"),
        ({"origin": "somewhere"}, "origin must be one of"),
    ):
        with pytest.raises(AnalysisError, match=text):
            tree.add_runs(pd.DataFrame([{**r, **change} for r in rows]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda f: f.assign(remark=[f"run {i}" for i in f.index]),
            "remark: all 40 texts differ, as names of runs",
        ),
        (lambda f: f.rename(columns={"units": "Unnamed: 0"}), "looks like row numbers"),
        (lambda f: f.assign(acc="high"), "'acc' must be a column of numbers"),
        (lambda f: f.iloc[:0], "at least one row"),
        (lambda f: f.assign(rate=np.inf), "rate: a parameter must be finite"),
        (lambda f: f.to_dict("list"), "a frame must be a table of pandas, polars"),
    ],
)
def test_frames_that_cannot_be_taken_say_why(tree, frame, change, text):
    with pytest.raises(refine.errors.RefineError, match=text):
        tree.add_runs(change(frame), value="acc")
    assert len(tree) == 0


def test_tables_of_other_libraries_are_the_same_root(tree, frame, tmp_path, monkeypatch):
    pl, pa = (library(name, ".venv-backends") for name in ("polars", "pyarrow"))
    frame = frame.assign(layers=[[8], [8, 8]] * 20, bias=[True, None] * 20)
    frame.loc[frame["optimizer"] == "SGD", ["units", "optimizer"]] = None  # missing among integers, and texts
    root = tree.add_runs(frame, value="acc")
    present = frame.astype(object).where(frame.notna(), None)
    polars_table = pl.from_dicts(present.to_dict("records"))
    polars_table, decimal = (
        polars_table.with_columns(pl.col("units").cast(kind)) for kind in (int, pl.Decimal(9, 2))
    )
    space = root.space
    for other in (polars_table, polars_table.lazy(), polars_table.to_arrow(), decimal):
        assert tree.add_runs(other, value="acc").id == root.id
        assert space.contains(other).tolist() == space.contains(frame).tolist()
    polars_table.write_parquet(tmp_path / "b.PARQUET")
    assert tree.add_runs(read_table(tmp_path / "b.PARQUET"), value="acc").id == root.id
    assert str(refine.analyze(space, polars_table, value="acc")) == str(
        refine.analyze(space, frame, value="acc")
    )
    with pytest.raises(AnalysisError, match="distinct names"):
        tree.add_runs(pa.Table.from_arrays([pa.array([1])] * 2, ["a", "a"]))
    monkeypatch.chdir(tmp_path)
    frame.drop(columns=["layers", "bias"]).to_csv("runs.csv", index=False)
    assert len(recipe("tools.md", "polars")["root"].trials) == 40
    (tmp_path / "c.parquet").write_text("a,b")
    with pytest.raises(AnalysisError, match="c.parquet"):
        read_table(tmp_path / "c.parquet")


def test_parameters_may_be_named(tree, frame):
    root = tree.add_runs(frame, value="acc", parameters=["rate", "optimizer"])
    assert list(root.space) == ["rate", "optimizer"]
    assert list(root.trials["units"]) == list(frame["units"])
    with pytest.raises(SpaceError, match="did you mean 'rate'"):
        tree.add_runs(frame, value="acc", parameters=["rates"])
    with pytest.raises(AnalysisError, match="got both"):
        tree.add_runs(frame, root.space, value="acc", parameters=["rate"])


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip", "tar", "GZ"])
def test_a_packed_table_is_not_unpacked(tmp_path, kind):
    """Ten kilobytes of one may hold gigabytes."""
    file = tmp_path / f"table.csv.{kind}"
    pd.DataFrame({"lr": [1, 2], "value": [3, 4]}).to_csv(file, index=False)
    with pytest.raises(AnalysisError, match="unpack it first"):
        read_table(file)


def test_metric_names_the_column_of_the_value(tree, frame):
    named = tree.add_runs(frame.rename(columns={"acc": "val_acc"}), metric="val_acc")
    assert named._value == "val_acc"
    assert named.best["val_acc"] == frame["acc"].max()
    renamed = tree.add_runs(frame, value="acc", metric="max:val_acc")
    assert renamed._value == "max:val_acc"


LR = [1e-3, 1e-2, 1e-1] * 8


def table(**columns):
    """24 runs that differ in value, with some more columns."""
    rng = np.random.default_rng(1)
    return pd.DataFrame({"lr": LR, "acc": rng.uniform(0.5, 0.9, 24), **columns})


def test_copied_rows_count_once(tree):
    noisy = table(lr=np.linspace(0.001, 0.1, 24))
    with pytest.warns(RefineWarning, match="3 runs of 27"):
        root = tree.add_runs(pd.concat([noisy, noisy.iloc[[4, 4, 7]]]), value="acc")
    assert root.id == tree.add_runs(noisy, value="acc").id
    assert not root.analyze().noise.deterministic


@pytest.mark.parametrize("column", ["seed", "seconds"])
def test_equal_results_under_another_seed_or_of_another_duration_are_repeats(tree, column):
    runs = table(acc=[0.1, 0.5, 0.3] * 8, **{column: range(24)})
    assert len(tree.add_runs(runs, value="acc").replicates) == 21


def test_state_of_wandb_is_read_in_any_case(tree):
    states = ["finished"] * 18 + ["Crashed"] * 3 + ["failed", "running", "running"]
    with pytest.warns(RefineWarning, match="2 runs"):
        root = tree.add_runs(table(State=states), value="acc", parameters=["lr"])
    counts = pd.concat([root.trials, root.replicates])["state"].value_counts().to_dict()
    assert counts == {"complete": 18, "crashed": 3, "failed": 1}


def test_numbers_that_are_written_as_texts_are_a_range(tree):
    texts = table(lr=[str(v) for v in LR], units=["8", "16"] * 12, warm=["True", "False"] * 12)
    with pytest.warns(RefineWarning, match="lr, units and warm"):
        root = tree.add_runs(texts, value="acc")
    assert root.space["lr"].grid == (1e-3, 1e-2, 1e-1)
    assert root.space["units"] == refine.Integer(8, 16, levels=[8, 16])
    assert root.space["warm"].grid == (False, True)


def test_spellings_of_one_choice_are_one_choice(tree):
    names = table(optimizer=["Adam", "Adam", "adam", "Adam ", "SGD", "SGD"] * 4)
    with pytest.warns(RefineWarning, match="optimizer: spellings"):
        root = tree.add_runs(names, value="acc")
    assert root.space["optimizer"].grid == ("Adam", "SGD")


def test_parameters_in_a_named_index_are_parameters(tree):
    root = tree.add_runs(table(units=[8, 16] * 12).set_index(["lr", "units"]), value="acc")
    assert list(root.space) == ["lr", "units"]
    counted = table().rename_axis("trial")
    assert list(tree.add_runs(counted, value="acc").space) == ["lr"]


def test_results_and_names_of_runs_are_no_parameters(tree):
    runs = table(
        units=[8, 16] * 12,
        val_loss=np.linspace(0.1, 1, 24),
        epoch_time=np.linspace(1, 2, 24),
        precision=[16, 32] * 12,
        timestamp=pd.Timestamp("2024-01-01"),
        run_id=[f"run {i}" for i in range(24)],
    )
    text = (
        "lr, units and precision are taken as parameters, acc as the value, val_loss and epoch_time as "
        "further results; timestamp and run_id are left out; to choose yourself, give parameters="
    )
    with pytest.warns(RefineWarning, match=text):
        root = tree.add_runs(runs, value="acc")
    assert list(root.space) == ["lr", "units", "precision"]
    assert {"val_loss", "epoch_time"} <= set(root.trials.columns)


def test_empty_rows_and_placeholders_are_no_runs(tree):
    runs = table()
    runs.loc[[3, 10], "acc"] = 9999.0
    runs.loc[[5, 6]] = np.nan
    with pytest.warns(RefineWarning, match="2 empty rows; 2 rows"):
        root = tree.add_runs(runs, value="acc")
    counts = pd.concat([root.trials, root.replicates])
    assert counts["state"].value_counts().to_dict() == {"complete": 20, "failed": 2}
    assert counts["value"].max() < 1


@pytest.mark.parametrize("name", ["time", "train_time", "crps", "runtime"])
def test_a_time_or_loss_needs_a_direction(tree, name):
    with pytest.raises(AnalysisError, match="to minimize"):
        tree.add_runs(table().rename(columns={"acc": name}), value=name)


def test_whole_numbers_next_to_an_empty_row_stay_whole(tree):
    rows = [{"units": 8 * (1 + i % 4), "depth": 1 + i % 3, "score": i / 40} for i in range(24)]
    with pytest.warns(UserWarning, match="1 empty row"):
        round_ = tree.add_runs(pd.DataFrame([*rows, {}]), metric="score", direction="maximize")
    assert [type(value) for value in round_._best_params.values()] == [int, int]


def test_a_reader_that_fails_without_a_word_is_named_by_its_error(tmp_path, monkeypatch):
    def fails(path, **options):
        raise pd.errors.ParserError

    monkeypatch.setattr(pd, "read_csv", fails)
    with pytest.raises(AnalysisError, match="ParserError"):
        read_table(tmp_path / "runs.csv")
