"""One spelling for every value: rounding, references, hashes, seeds."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from refine.errors import SpaceError
from refine.space.encoding import (
    Reference,
    decode,
    digest,
    dumps,
    encode,
    freeze,
    refer,
    round_significant,
    seed_of,
    thaw,
    value_key,
)

FAST = settings(max_examples=40, deadline=None)


class Outer:
    class Inner:
        """Found by its qualified name."""

    def method(self):
        """Bound methods are refused."""


def at_top(x):
    return x


values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(some.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
    | some.sampled_from([math.log, np.tanh, Outer.Inner, at_top]),
    lambda inner: some.lists(inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@FAST
@given(values)
def test_frozen_values_survive_json(value):
    frozen = freeze(value)
    assert freeze(frozen) == frozen
    decoded = decode(json.loads(dumps(encode(frozen))))
    assert decoded == frozen
    assert value_key(decoded) == value_key(frozen)
    assert hash(decoded) == hash(frozen)


def test_numbers_are_rounded_to_twelve_digits():
    assert round_significant(0.1 + 0.2) == 0.3
    assert round_significant(1 / 3) == 0.333333333333
    assert math.copysign(1, round_significant(-0.0)) == 1
    assert freeze([np.float64(0.1) + np.float64(0.2), (np.int16(4), None)]) == (0.3, (4, None))


def test_keys_tell_values_apart_but_not_spellings():
    assert value_key(4) == value_key(4.0)
    assert value_key((4, (1,))) == value_key((4.0, (1.0,)))
    keys = [
        value_key(freeze(v)) for v in (1, True, "1", None, "None", "null", 1.5, (1,), math.log, "math.log")
    ]
    assert len(set(keys)) == len(keys)


# References.


def test_a_class_is_named_by_its_shortest_public_path(lookalike):
    adam = refer(lookalike.optimizers.Adam)
    assert adam.path == "lookalike.optimizers.Adam"
    assert adam.label == "Adam"
    assert refer(lookalike.losses.logcosh).path == "lookalike.losses.logcosh"
    assert Reference("lookalike.optimizers.Adam").resolve() is lookalike.optimizers.Adam


def test_a_public_name_of_another_object_is_passed_over(lookalike, monkeypatch):
    monkeypatch.setattr(sys.modules["lookalike.optimizers"], "Adam", object())
    assert refer(lookalike.optimizers.Nadam).path == "lookalike.optimizers.Nadam"
    assert refer(lookalike.optimizers.__dict__["Adam"]).path == "lookalike.src.optimizers.impl:Adam"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (math.log, "math.log"),
        (int, "builtins.int"),
        (np.tanh, "numpy.tanh"),
        (Outer.Inner, f"{__name__}:Outer.Inner"),
        (Outer.method, f"{__name__}:Outer.method"),
        (at_top, f"{__name__}.at_top"),
    ],
)
def test_paths_lead_back(target, path):
    assert refer(target).path == path
    assert Reference(path).resolve() is target
    assert thaw((Reference(path), 1)) == (target, 1)


# Hashes. These texts are in every stored file: they must never change.


def test_hashes_of_content_are_the_recorded_ones():
    assert dumps({"b": [1, 2.5, None], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.5,null]}'
    assert digest({"b": [1, 2.5, None], "a": "é"}) == "84afbf1d4853"
    assert digest([], 64) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert seed_of("node", "key", 0) == 74810421


def test_a_missing_import_path_names_the_fix():
    message = (
        "no_such_package.Adam: a stored class or function must be importable, but No module named "
        "'no_such_package'; install"
    )
    with pytest.raises(SpaceError, match=message):
        Reference("no_such_package.Adam").resolve()
    with pytest.raises(SpaceError, match="'math'.*'logg'"):
        Reference("math:logg").resolve()
