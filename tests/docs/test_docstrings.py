"""Examples of docstrings run in an empty folder, after those of `refine.Tree` (and `refine.Review`)."""

import doctest
import inspect
import re
import shutil

import pytest

import refine

METHODS = {
    "Tree": (
        "budget add_round add_runs add_runs tag diff winner confirm judge ask log calibration report export"
    ),
    "Round": ("run add trials best analyze checks propose optimism exclude branch report"),
    "Review": "edit reject options worth preview accept decline",
}
NAMES = [*refine.__all__, *(f"{kind}.{method}" for kind in METHODS for method in METHODS[kind].split())]
WRITES = re.compile(
    r"\.(run|add|add_\w+|accept|decline|branch|tag|exclude|confirm)\("
    r"|autopilot|budget ="
)


def examples_of(name):
    documented = refine
    for part in name.split("."):
        documented = getattr(documented, part)
    return doctest.DocTestParser().get_examples(inspect.getdoc(documented) or "", name)


def run(names_defined, *names):
    """The variables after the examples of these names, run one after the other."""
    examples = [example for name in names for example in examples_of(name)]
    test = doctest.DocTest(examples, names_defined, names[-1], None, None, None)
    printed = []
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(optionflags=options).run(test, out=printed.append, clear_globs=False)
    assert not printed, "".join(printed)
    return test.globs


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The store that the example of `refine.Tree` makes, and what is known after that of `refine.Review`."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder / "refine.db", run({"refine": refine, "__name__": "__main__"}, "Tree", "Review")


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_docstring_runs(name, study, tmp_path, monkeypatch):
    examples = examples_of(name)
    assert examples, f"refine.{name} has no example in its docstring"
    monkeypatch.chdir(tmp_path)
    store, names_defined = study
    if not any(WRITES.search(example.source) for example in examples):
        run(names_defined, name)
        return
    shutil.copy(store, tmp_path)  # of its own, in which going on from the others takes no time
    before = ["Tree", "Review"] if name.startswith("Review") else ["Tree"]
    run({"refine": refine, "__name__": "__main__"}, *before, name)
