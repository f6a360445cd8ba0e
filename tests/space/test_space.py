"""Space: size, cells, membership, relations, JSON."""

import importlib
import io
import json
import math
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine import Categorical, Float, Integer, Space
from refine.space.space import configuration_key

FAST = settings(max_examples=30, deadline=None)
FIVES = Space({f"p{i}": (0, 1.0, 5) for i in range(40)})


ends = some.floats(-1e3, 1e3).map(lambda v: round(v, 3))
widths = some.floats(0.01, 1e3)


@some.composite
def floats(draw):
    if draw(some.booleans()):
        low = draw(some.floats(1e-6, 10))
        return Float(low, low * draw(some.floats(1.1, 1e4)), draw(some.integers(2, 12)), log=True)
    low = draw(ends)
    return Float(low, low + draw(widths), draw(some.integers(2, 12)))


@some.composite
def ints(draw):
    low = draw(some.integers(-100, 100))
    width = draw(some.integers(1, 300))
    levels = draw(some.none() | some.integers(2, min(12, width + 1)))
    return Integer(low, low + width, levels, log=low > 0 and draw(some.booleans()))


plain = some.sampled_from([None, True, 1, -7, 0.5, "a ,'\"é", "", math.log, np.tanh, (3, "x")])


def choices():
    return some.lists(some.integers(-9, 9) | plain, min_size=1, max_size=6, unique_by=repr).map(Categorical)


names = some.text("abcdefgh_1", min_size=1, max_size=8).filter(str.isidentifier)
parameters = some.one_of(floats(), ints(), choices())


@some.composite
def spaces(draw):
    parameters_by_name = draw(some.dictionaries(names, parameters, min_size=1, max_size=6))
    numeric = [n for n, p in parameters_by_name.items() if p.ordered]
    constraints = []
    if numeric and draw(some.booleans()):
        name = draw(some.sampled_from(numeric))
        constraints = [f"{name} * 2 <= {draw(some.integers(-50, 2000))} or {name} != {name}"]
    return Space(parameters_by_name, constraints)


@pytest.mark.slow
@FAST
@given(spaces())
def test_json_and_back_is_the_identity(space):
    text = json.dumps(space.to_json(), allow_nan=False)
    decoded = Space.from_json(json.loads(text))
    assert decoded == space
    assert hash(decoded) == hash(space)
    assert decoded.digest == space.digest
    assert list(decoded) == list(space)
    assert json.dumps(decoded.to_json(), allow_nan=False) == text
    assert decoded.describe() == space.describe()
    assert not space.diff(decoded)


def test_the_digest_of_a_space_is_the_recorded_one():
    content = {"lr": Float(1e-4, 1, 5, log=True), "units": [4, 8], "n": (2, 30, 10)}
    space = Space({**content, "act": [math.log, None], "epochs": 150}, ["units > 4 or lr < 1"])
    assert space.digest[:16] == "7e893c8401c3b7cc"


def test_other_content_is_another_space():
    other_grids = [
        {"b": ["x", "y"], "a": (0, 3)},  # order of names is part of it: it is the order of cells
        {"a": (0, 3, 3), "b": ["x", "y"]},
        {"a": (0.0, 3.0, 4), "b": ["x", "y"]},
        {"a": (0, 3), "b": ["y", "x"]},
        {"a": (0, 3), "b": ["x", "y"], "c": 1},
        {"a": [0, 1, 2, 3], "b": ["x", "y"]},
        {"a": (0, 3)},
    ]
    spaces = [Space({"a": (0, 3), "b": ["x", "y"]}), *map(Space, other_grids)]
    assert len(set(spaces)) == len({space.digest for space in spaces}) == 8


def test_same_content_is_the_same_space():
    space = Space({"a": (0, 3), "b": ["x", "y"]})
    assert space == Space({"a": Integer(np.int64(0), 3.0), "b": np.array(["x", "y"])})
    assert space == Space(space)
    assert Space({"x": [f"c{i}" for i in range(100_000)]}).size == 100_000  # looked at once each
    assert space != {"a": (0, 3)}
    assert len({space, Space(space), Space(dict(space))}) == 1


def test_loading_a_space_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "refine_space_not_loaded.py").write_text("class Adam: pass\nclass Nadam: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    paths = [{"import": f"refine_space_not_loaded.{n}"} for n in ("Adam", "Nadam")]
    parameters = [["opt", {"type": "categorical", "values": paths}]]
    stored = {"parameters": parameters, "constraints": ["opt == 'Nadam'"]}
    space = Space.from_json(stored)
    assert space.describe().startswith(
        "opt  categorical: Adam, Nadam\n     constraint: opt == 'Nadam'\n2 conf"
    )
    assert space.contains(pd.DataFrame({"opt": ["Adam", "Nadam"]})).tolist() == [False, True]
    assert space.to_json() == stored
    adam, nadam = (configuration_key(space.frozen(space.configuration(cell))) for cell in (0, 1))
    assert adam != nadam
    assert "refine_space_not_loaded" not in sys.modules


def test_size_is_exact():
    assert FIVES.size == 5**40
    assert Space({f"p{i}": (0, 1.0, 7) for i in range(200)}).size == 7**200
    assert type(FIVES.size) is int
    assert Space({"a": 1, "b": "x"}).size == 1
    assert Space({"a": 1, "b": (0, 3), "c": [1, 2, 3]}).size == 12


@FAST
@given(spaces(), some.data())
def test_cells_and_permutations_are_inverse(space, data):
    cell = data.draw(some.integers(0, space.size - 1))
    assert space.cell(space.configuration(cell)) == cell
    assert space.cell(space.frozen(space.configuration(cell))) == cell


def test_the_last_parameter_is_the_fastest():
    space = Space({"a": (0, 2), "b": ["x", "y"]})
    assert "".join("{a}{b}".format(**space.configuration(i)) for i in range(6)) == "0x0y1x1y2x2y"
    assert space.configuration(np.int64(5)) == {"a": 2, "b": "y"}
    assert FIVES.configuration(5**40 - 1) == dict.fromkeys(FIVES, 1.0)
    assert FIVES.number(FIVES.indices(5**40 - 2)) == FIVES.cell(FIVES.configuration(5**40 - 2)) == 5**40 - 2


def test_keys_of_configurations_are_those_of_their_content():
    assert configuration_key({"a": 4, "b": "x"}) == configuration_key({"b": "x", "a": 4.0})
    keys = [configuration_key({"a": v}) for v in (1, True, "1", None, "None", 1.5, (1, 2), (2, 1))]
    assert len(set(keys)) == len(keys)
    assert configuration_key({"a": 4}) == "ee6a4a9e1553a80e"  # in every stored file: must never change


def test_contains_is_bounds_choices_and_constraints():
    space = Space({"x": (0, 1.0, 3), "n": (1, 5), "c": ["a", "b"], "e": 150}, ["x < 1 or c == 'a'"])
    rows = [
        (0.0, 1, "a", 150, True),
        (0.33, 3, "b", 150, True),  # off the levels
        (1.0, 3, "b", 150, False),  # the constraint
        (1.0, 3, "a", 150.0, True),
        (1.1, 3, "a", 150, False),
        (0.5, 6, "a", 150, False),
        (0.5, 5, "c", 150, False),
        (0.5, 5, "a", 151, False),
        (math.nan, 5, "a", 150, False),
    ]
    frame = pd.DataFrame(rows, columns=["x", "n", "c", "e", "expected"])
    mask = space.contains(frame)
    assert mask.dtype == np.bool_
    assert mask.tolist() == frame["expected"].tolist()
    assert space.contains(frame[["e", "c", "n", "x"]].iloc[::-1]).tolist() == frame["expected"].tolist()[::-1]
    assert space.contains(frame.iloc[:0]).tolist() == []


@pytest.mark.slow
@FAST
@given(spaces(), some.data())
def test_the_grid_lies_inside_even_after_a_csv(space, data):
    cells = data.draw(some.lists(some.integers(0, space.size - 1), min_size=1, max_size=8))
    indices = np.array([space.indices(c) for c in cells])
    valid = space.valid(indices).tolist()
    frame = pd.DataFrame(space.columns(indices))
    assert space.contains(frame).tolist() == valid
    objects = pd.DataFrame({n: pd.Series([space.at(row)[n] for row in indices], dtype=object) for n in space})
    assert space.contains(objects).tolist() == valid
    as_text = pd.read_csv(io.StringIO(frame.to_csv(index=False)), dtype=str, keep_default_na=False)
    assert space.contains(as_text).tolist() == valid


def test_a_plain_csv_is_read_back():
    space = Space({"x": (0, 0.3, 4), "n": [4, 8.5], "c": [None, "a"], "b": [True, False], "m": [None, 1, 2]})
    frame = pd.DataFrame(space.columns(np.array([space.indices(c) for c in range(space.size)])))
    reread = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    assert reread["c"].isna().any()  # pandas reads None as missing
    assert space.contains(reread).all()
    assert not space.contains(reread.assign(c="b")).any()
    assert not Space({"c": ["a", "b"]}).contains(pd.DataFrame({"c": [None]})).any()


def test_diff_lists_the_changes_between_two_spaces():
    first = Space({"a": (0, 3), "b": ["x", "y"], "c": 1}, ["a > 0"])
    second = Space({"a": (0, 2), "b": ["x", "y"], "d": 2}, ["a < 2"])
    diff = first.diff(second)
    assert (list(diff.added), list(diff.removed), list(diff.changed)) == (["d"], ["c"], ["a"])
    assert diff.changed["a"] == (Integer(0, 3), Integer(0, 2))
    assert (diff.constraints_added, diff.constraints_removed) == (("a < 2",), ("a > 0",))
    assert str(diff) == (
        "+ d: fixed: 2\n"
        "- c: fixed: 1\n"
        "~ a: integer: 0, 1, 2, 3  ->  integer: 0, 1, 2\n"
        "+ constraint: a < 2\n"
        "- constraint: a > 0"
    )
    assert diff
    assert not first.diff(first)
    assert first.diff(first.replace({"c": True})).changed  # 1 and True are not the same


def test_share_kept_is_a_product_over_the_axes():
    old = Space({"x": (0, 1.0), "lr": Float(1e-4, 1, 5, log=True), "c": ["a", "b", "c", "d"], "e": 150})
    new = old.replace({"x": (0, 0.5), "lr": Float(1e-2, 1, 3, log=True), "c": ["a"]})
    assert old.volume_kept(new) == pytest.approx(0.5 * 0.5 * 0.25)
    assert old.volume_kept(old.replace({"x": (5, 6.0)})) == 0
    assert old.volume_kept(old.replace({"e": 100, "extra": (0, 1.0)})) == 1


def test_a_space_prints_its_levels_and_its_code():
    ranges = {"lr": Float(1e-4, 1, 5, log=True), "n": (1, 3)}
    space = Space({**ranges, "first_neuron": [4, 8], "opt": [math.log, None], "epochs": 150}, ["lr>1"])
    assert space.describe() == (
        "lr            float, log: 0.0001, 0.001, 0.01, 0.1, 1\n"
        "n             integer: 1, 2, 3\n"
        "first_neuron  ordered categorical: 4, 8\n"
        "opt           categorical: log, None\n"
        "epochs        fixed: 150\n"
        "              constraint: lr > 1\n"
        "60 configurations before constraints"
    )
    assert str(space) == space.describe()
    assert repr(Space({"a": (0, 3), "b": "x"}, ["a > 1"])) == (
        "Space({'a': Integer(0, 3, levels=4), 'b': Categorical(['x'])}, constraints=['a > 1'])"
    )
    assert FIVES.describe().endswith("9,094,947,017,729,282,379,150,390,625 configurations")


def test_the_document_gives_exactly_180_000(lookalike):
    losses = lookalike.losses
    optimizers = lookalike.optimizers
    activations = lookalike.activations
    p = {
        "lr": (0.5, 5, 10),
        "first_neuron": [4, 8, 16, 32, 64],
        "hidden_layers": [0, 1, 2],
        "batch_size": (2, 30, 10),
        "epochs": [150],
        "dropout": (0, 0.5, 5),
        "weight_regulizer": [None],
        "emb_output_dims": [None],
        "shape": ["brick", "long_funnel"],
        "optimizer": [optimizers.Adam, optimizers.Nadam, optimizers.RMSprop],
        "losses": [losses.logcosh, losses.binary_crossentropy],
        "activation": [activations.relu, activations.elu],
        "last_activation": [activations.sigmoid],
    }
    space = Space.from_talos(p)
    assert space.size == 180_000
    for name in ("lr", "dropout"):
        low, high, steps = p[name]
        assert space[name].grid == pytest.approx(np.arange(low, high, (high - low) / steps))
    assert space["batch_size"].grid == tuple(np.arange(2, 30, 2.8).astype(int))
    assert space["optimizer"].labels == ("Adam", "Nadam", "RMSprop")
    assert space["losses"].grid[0].path == "lookalike.losses.logcosh"
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space
    assert Space(p).size == 180_000  # as many levels, but both ends among them
    assert Space(p)["dropout"].grid == (0, 0.125, 0.25, 0.375, 0.5)
    assert space.configuration(179_999)["last_activation"] is activations.sigmoid
