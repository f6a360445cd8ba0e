"""Wrong uses that people new to it make: each is refused, and nothing is run, decided, written or created."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from wrong import recorded

import refine
from refine.errors import AnalysisError, RefineError
from refine.tree.exchange.dataframe import read_table
from tests.reading import warnings_of


class Model:
    def __init__(self, params):
        self.params = params

    def train(self):
        return 0.5


def one_by_one(lr, dropout, optimizer, epochs):
    return lr


def by_name(params, *, key):
    return key


def two_by_two(lr, dropout):
    return lr


def keras_model(x_train, y_train, x_val, y_val, params):
    return None


def add(place, *arguments, **options):
    space, objective = [*arguments, *(place.space, place.objective)[len(arguments) :]]
    return place.tree.add_round(space, objective, **{"n": 5, "seed": 1, **options})


def adding(*arguments, **options):
    return lambda place: add(place, *arguments, **options)


def space_of(entry, *constraints):
    return lambda place: refine.Space({"dropout": entry, "act": ["relu", "elu"]}, list(constraints))


def running(**options):
    return lambda place: place.empty.run(**options)


def on(**options):
    return lambda place: place.empty.run(machine=refine.Machine(**options))


def opening(store, **options):
    return lambda place: refine.Tree(
        "question", store=store if store is None else place.folder / store, **options
    )


def framing(*arguments, **options):
    return lambda place: place.tree.add_runs(place.frame, *arguments, **options)


def editing(*arguments, **named):
    return lambda place: place.review.edit(*arguments, **named)


def accepting(**options):
    return lambda place: place.review.accept(**options)


def with_l2(**options):
    return lambda place: place.root.branch({**place.space, "l2": [0.0, 0.01]}, n=5, **options)


SPACES = {
    "a list of names": adding(["lr", "dropout"]),
    "objective first": lambda p: p.tree.add_round(p.objective, p.space, n=5),
    "by keyword": lambda p: refine.Space(lr=(0, 1)),
    "low above high": space_of((0.5, 0.2)),
    "a tuple of texts": space_of(("adam", "sgd")),
    "a set": space_of({"adam"}),
    "a dictionary": space_of({"low": 0, "high": 1}),
    "a kind alone": space_of(refine.Float),
    "texts in Float": lambda p: refine.Float("0", "1"),
    "log of zero": lambda p: refine.Float(0, 1, log=True),
    "log as third entry": space_of((0.001, 0.1, "log")),
    "a reserved name": adding({"seed": [1, 2]}),
    "constraint of a typo": space_of((0.0, 1.0), "drpout > 0.1"),
    "constraint without quotes": space_of((0.0, 1.0), "act == relu"),
    "constraint that none meets": lambda p: add(p, space_of((0.0, 1.0), "act == 'gelu'", "dropout < 0.9")(p)),
    "constraints that none meets": lambda p: add(
        p,
        space_of((0.0, 1.0), "dropout > 0.5", "dropout < 0.5")(p),
        n=None,
        plan=refine.Plan(downsample=0.5),
    ),
    "membership of one configuration": lambda p: p.root.space.contains(p.root.space.configuration(0)),
}

ROUNDS = {
    "objective as text": adding({"a": (0, 3)}, "objective"),
    "objective is a class": adding({"a": (0, 3)}, Model),
    "objective is an instance that can't be called": adding({"a": (0, 3)}, Model(None)),
    "objective without an argument": adding({"a": (0, 3)}, Model(None).train),
    "objective of parameters one by one": lambda p: add(p, p.space, one_by_one),
    "objective with an argument by name alone": lambda p: add(p, p.space, by_name),
    "a model function": lambda p: add(p, p.space, keras_model),
    "no size": adding(n=None),
    "n is a float": adding(n=5.0),
    "n is zero": adding(n=0),
    "n beyond the grid": adding(n=181),
    "downsample in percent": adding(n=None, plan=refine.Plan(downsample=10)),
    "n and a downsample": adding(plan=refine.Plan(downsample=0.1)),
    "downsample of nan": adding(n=None, plan=refine.Plan(downsample=float("nan"))),
    "seed as text": adding(seed="7"),
    "direction max": adding(direction="max"),
    "metric is a list": adding(metric=["acc"]),
    "metric without a name": adding(metric="max:"),
    "design of another library": adding(plan=refine.Plan(design="random")),
    "degenerate as text": lambda p: refine.Goal("acc", allow_degenerate="no"),
    "name is a number": adding(name=3),
    "a plan as a mapping": adding(plan={"design": "tpe"}),
    "two shares": accepting(exploit=0.3, plan=refine.Plan(exploit=0.5)),
    "belief in numbers": adding(plan=refine.Plan(belief=[1])),
    "objective_name": adding(objective_name="first"),
    "a tag is a path": adding(tag="1.2"),
    "note is a number": adding(note=3),
    "an option nobody knows": adding(directon="maximize"),
}

RUNS = {
    "no worker": on(workers=0),
    "workers and a larger n": running(workers="2", n=40),
    "objective in place of a size": lambda p: p.empty.run(len),
    "threads as text": on(threads="1"),
    "progress as text": on(progress="False"),
    "an executor's class": on(executor=ThreadPoolExecutor),
    "timeout as text": on(timeout="5"),
    "memory in gigabytes": on(memory=2),
    "rerun of a typo": running(rerun="fail"),
    "a design that is none": adding(plan=refine.Plan(design=True)),
    "an option of another library": running(n_jobs=2),
    "another objective": running(objective=two_by_two),
    "a function of the metrics without a name": adding(metric=partial(max)),
}

TREES = {
    "a tree without a name": lambda p: refine.Tree("", store=p.folder / "new.db"),
    "a store in no folder": opening("none/refine.db"),
    "a store that is a folder": opening(""),
    "a store that is no database": opening("text.db"),
    "no store": opening(None),
    "another database": lambda p: refine.Tree("question", store="mysql://host/db"),
    "two slashes": lambda p: refine.Tree("question", store="sqlite://refine.db"),
    "a store that is to exist": opening("new.db", create=False),
    "an id that is none": lambda p: p.tree["nothing"],
    "a round by number": lambda p: p.tree[0],
    "a tree gone through": lambda p: list(p.tree),
    "a tag that is an id": lambda p: p.tree.tag(p.root, p.empty.id),
    "a tag before its round": lambda p: p.tree.tag("paper", p.root),
    "a tag for another tree's round": lambda p: p.tree.tag(p.foreign, "paper"),
    "a story of another tree's round": lambda p: p.tree.report(p.folder / "story", winner=p.foreign),
    "a difference from nothing": lambda p: p.tree.diff(p.root, None),
    "a report into a file": lambda p: p.root.report(p.folder / "file"),
    "an export below a file": lambda p: p.tree.export(p.folder / "file" / "bundle"),
    "a report into a name too long": lambda p: p.root.report("a" * 300),
    "a report into a name with a zero byte": lambda p: p.root.report("a\0"),
    "a report nowhere": lambda p: p.root.report(None),
    "a store loaded": lambda p: refine.Tree.load(p.folder / "other.db", p.folder / "new.db"),
    "a page into a name with a zero byte": lambda p: p.tree.report("a\0.html"),
    "a folder of a name too long": lambda p: refine.Tree.load("a" * 20_000, p.folder / "new.db"),
    "a folder of a path too long": lambda p: refine.Tree.load("a/" * 10_000, p.folder / "new.db"),
    "a study in a name too long": lambda p: p.tree.add_runs("a" * 20_000),
    "a store in a name too long": lambda p: refine.Tree("question", store="a" * 20_000),
    "a store in a name of too many bytes": lambda p: refine.Tree("question", store="ü" * 200),
    "autopilot on a name": lambda p: refine.autopilot("question"),
    "autopilot that would fail after its first round": lambda p: refine.autopilot(p.empty, n="5"),
    "replay before run": lambda p: p.empty.replay(),
    "a model of no model": lambda p: p.root.best_model(),
}

IMPORTS = {
    "a path as a frame": lambda p: p.tree.add_runs("runs.csv"),
    "a column that is missing": framing(value="accu"),
    "a column by number": framing(value=2),
    "a parameter that is missing": framing({"lrr": (0.0, 2.0)}, value="acc"),
    "rows outside": framing({"lr": (0.15, 2.0, 3), "act": ["relu", "elu"]}, value="acc"),
    "a parameter that is nowhere": lambda p: p.tree.add_runs(p.frame.assign(lr=float("nan")), value="acc"),
    "a file that is missing": lambda p: read_table(str(p.folder / "runs.csv")),
    "a file with semicolons": lambda p: read_table(str(p.folder / "semicolons.csv")),
    "a file with a title twice": lambda p: read_table(str(p.folder / "twice.csv")),
}


def analysing(**options):
    return lambda p: refine.analyze(p.root.space, p.root.trials, **options)


REVIEWS = {
    "edit of a typo": editing(drpout=(0, 0.2)),
    "edit of a name alone": editing("dropout"),
    "edit in the wrong order": editing(dropout=(0.2, 0)),
    "edit of a range to text": editing(dropout="0-0.2"),
    "edit to a bound far away": editing(lr=(0.5, 1e308)),
    "edit of a choice to bounds": editing(optimizer=(0, 1)),
    "edit of a choice in other capitals": editing(optimizer="adam"),
    "reject of nothing": lambda p: p.review.reject(),
    "reject of a typo": lambda p: p.review.reject("drpout"),
    "reject of a list": lambda p: p.review.reject(["lr", "dropout"]),
    "accept with a number first": accepting(note=40),
    "accept by a number": accepting(author=3),
    "accept with too large an exploit share": accepting(exploit=1.5),
    "accept with shares that leave nothing": accepting(exploit=0.6, plan=refine.Plan(audit=0.5)),
    "risk in percent": lambda p: p.root.propose(risk=5),
    "a negative epsilon": lambda p: p.root.propose(epsilon=-1),
    "a seed as text": lambda p: p.root.propose(seed="1"),
    "propose before run": lambda p: p.empty.propose(),
    "analysis of a typo": lambda p: p.review.proposal.analysis["drpout"],
    "figure of a fixed parameter": lambda p: p.root.plot.levels("epochs"),
    "branch with a typo": with_l2(previous={"l_2": 0.0}),
    "branch with a value alone": with_l2(previous=0.0),
    "a frame proposed on": lambda p: refine.propose(p.frame),
    "a frame of another space": lambda p: refine.analyze(
        {"lr": (5.0, 6.0), "act": ["relu"]}, p.frame, value="acc"
    ),
    "an analysis of a value that is a list": lambda p: refine.analyze(p.root.space, p.frame, value=["acc"]),
    "a proposal out of a number": lambda p: refine.propose(p.review.proposal.analysis, outer=5),
    "an analysis with a number as earlier trials": analysing(earlier=5),
    "an analysis with other trials without a value": lambda p: analysing(
        earlier=p.root.trials.drop(columns="value")
    )(p),
    "an analysis with a number as trials read": analysing(read=5),
    "an analysis with a group": analysing(groups="a"),
    "an analysis with too few groups": analysing(groups=["a", "b"]),
    "an analysis with replicates without labels": analysing(replicates=[1, 2]),
    "an analysis with replicates that are a table": lambda p: analysing(replicates=p.frame)(p),
    "an analysis with text by row": analysing(by_row="x"),
    "a comparison with a value that is a number": lambda p: p.tree.ask("optimizer", better=3),
    "a goal subject to nothing": lambda p: refine.Goal("acc", subject_to=None),
    "a command in no folder": lambda p: refine.Command("ls", folder=True),
    "a command in no environment": lambda p: refine.Command("ls", environment=True),
    "frame and space swapped": lambda p: refine.analyze(p.frame, p.root.space),
}

USES = SPACES | ROUNDS | RUNS | TREES | IMPORTS | REVIEWS


TABLES = ("direction", "metric")


@pytest.mark.parametrize("option", TABLES)
def test_a_table_in_the_place_of_a_text_is_refused_by_the_name_of_the_option(place, option):
    with pytest.raises(AnalysisError, match=f"^{option} must be "):
        add(place, **{option: place.frame})


@pytest.mark.parametrize("name", USES)
def test_a_wrong_use_is_refused_with_its_text_before_anything_happens(place, name):
    rows = place.rows()
    files = place.files()
    with pytest.raises((RefineError, TypeError)) as caught:
        USES[name](place)
    text = f"{type(caught.value).__name__}: {caught.value}"
    assert text == place.said(recorded(__name__, name, place.words(text)))
    # Python's own error is right where Python checks: an argument that is missing or that nobody knows.
    assert isinstance(caught.value, RefineError) or type(caught.value) is TypeError
    assert place.rows() == rows
    assert place.files() == files


def test_a_whole_number_of_numpy_is_one(tmp_path, place):
    with refine.Tree("numpy", store=tmp_path / "numpy.db") as tree:
        round_ = tree.add_round(place.space, place.objective, n=np.int64(5), seed=np.int64(7))
        assert round_.id == tree.add_round(place.space, place.objective, n=5, seed=7).id
        assert len(tree) == 1


def test_a_list_of_two_numbers_shows_how_to_write_a_range():
    page = refine.Space({"dropout": [0, 0.5], "depth": [1, 2], "lr": (0, 0.5), "act": ["relu", 0.5]})._page()
    (hint,) = page.blocks[1:]
    assert hint.text.startswith("dropout: ")
    assert hint.text.endswith("(0, 0.5)")


def test_a_range_edited_to_two_choices_says_so(place):
    choices = place.review.edit(dropout=[0, 0.2])
    bounds = place.review.edit(dropout=(0, 0.2), epochs=[100, 200])
    hints = [[text for text in warnings_of(review) if "(0, 0.2)" in text] for review in (choices, bounds)]
    assert list(map(len, hints)) == [1, 0]


LONG = "a" * 20_000


@pytest.mark.parametrize(
    "use",
    [
        lambda p: p.root.space[LONG],
        lambda p: add(p, direction=LONG),
        lambda p: add(p, plan=refine.Plan(design=LONG)),
        lambda p: refine.Goal("acc", noise=LONG),
        lambda p: add(p, {"lr": (0.0, 1.0, 5)}, seed=[1] * 20_000),
        lambda p: refine.Float(LONG, 1),
        lambda p: refine.Space({"lr": (0.0, 1.0, 5)}, [LONG]),
        lambda p: p.tree.ask("lr", better=LONG),
    ],
)
def test_a_long_argument_is_quoted_in_part_between_the_rule_and_the_fix(place, use):
    with pytest.raises(RefineError) as caught:
        use(place)
    text = str(caught.value)
    assert len(text) < 2500
    assert "..." in text


def test_a_table_is_refused_as_the_name_of_a_parameter(place):
    with pytest.raises(KeyError):
        place.root.space[place.frame]


@pytest.mark.parametrize("name", ["drpout", 0, None])
def test_a_name_that_is_looked_up_in_vain_is_a_key_error_too(place, name):
    with pytest.raises(KeyError):
        place.root.space[name]
    assert place.root.space.get(name) is None
    assert name not in place.root.space
