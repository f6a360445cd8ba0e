"""Some inputs of every target of fuzz.py (nightly: REFINE_FUZZ of them), and its past findings."""

import json
import os
import warnings

import pytest

import refine
from refine.errors import SpaceError
from refine.space.encoding import DEEPEST, decode, freeze
from refine.space.files import read_space
from tests.elsewhere import library

fuzz = library("fuzz")  # which imports mcp


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    fuzzer = fuzz.Fuzz(tmp_path_factory.mktemp("fuzz"))
    yield fuzzer
    fuzzer.close()


@pytest.mark.slow
@pytest.mark.parametrize("target", fuzz.SHARES)
def test_odd_inputs_are_refused_and_change_nothing(begun, target):
    mark = fuzz.fingerprint(begun.tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for document in begun.sound[target][:3]:
            begun.tried(target, document)
        total = int(os.environ.get("REFINE_FUZZ", "0"))
        fuzz.batch(begun, target, None if total else 7, int(total * fuzz.SHARES[target]) or 25)
    assert begun.done[target] > begun.refused[target] > 0  # some are taken
    if target not in ("page", "protocol"):  # decisions and suggestions change the store
        assert fuzz.fingerprint(begun.tree) == mark


def test_a_value_nested_too_deep_is_refused_before_its_key_doubles(tmp_path):
    """The key of a value doubles with every level: forty of them were more than memory holds."""

    def nested(depth):
        return () if not depth else (nested(depth - 1),)

    assert refine.Space({"x": [nested(DEEPEST - 1), 1]}).size == 2
    for depth in (DEEPEST + 1, 400):
        with pytest.raises(SpaceError, match="nested 8 deep"):
            freeze(nested(depth))
    data = 1
    for _ in range(40):
        data = {"tuple": [data]}
    with pytest.raises(SpaceError, match="nested 8 deep"):
        decode(data)
    path = tmp_path / "space.json"
    path.write_text(json.dumps({"parameters": {"x": [1, json.loads("[" * 40 + "]" * 40)]}}))
    with pytest.raises(SpaceError, match="nested 8 deep"):
        read_space(str(path))


@pytest.mark.parametrize(
    "text",
    [*(f'{{"parameters": [{entry}]}}' for entry in ('"x"', "null", '["x", null]')), "[" * 10**5, "9" * 5000],
    ids=["texts", "null", "no parameter", "deep", "digits"],
)
def test_a_space_file_that_says_none_is_refused(tmp_path, text):
    path = tmp_path / "space.json"
    folder = tmp_path / "folder.json"
    folder.mkdir()
    with pytest.raises(SpaceError, match="can't be read"):
        read_space(str(folder))
    path.write_text(text)
    with pytest.raises(SpaceError, match=r"space .*space\.json: "):
        read_space(str(path))
