"""Changes of code that change its fingerprint, and changes that must not."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refine.errors import RefineWarning
from refine.run.fingerprint import fingerprint
from refine.run.identity import objective_code, objective_name
from refine.trials.goal import Goal

ROOT = Path(__file__).parents[2]

FILES = {
    "study.py": """
import functools
import json

import numpy_like
import parts.layers
from parts import deep
from parts.layers import block, Base, WIDTH

RATE = 0.1
OPTIONS = {"act": "relu", "sizes": {3, 1, 2}}
CACHE = []
CHOSEN = functools.partial(block, depth=2)


class Net(Base):
    units = 4

    def build(self):
        return deep.even(self.units)


def decorate(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args)

    return wrapper


@decorate
def helper(x):
    return x if "a" in {"a", "b", "c"} else parts.layers.late(x)


def unused(x):
    return 1


def model(params):
    from parts import inside

    CACHE.append(1)
    rows = [helper(v) for v in params]
    return json.dumps([str(v) for v in [rows, RATE, OPTIONS, Net().build(), CHOSEN, WIDTH, numpy_like.array]])


def factory(width, keep):
    def made(params):
        return width, keep

    return made


made = factory(3, [])
bound = Net().build
partial = functools.partial(model, 5, name="x")
""",
    "parts/__init__.py": "",
    "parts/layers.py": """
WIDTH = 8
DEPTH = 1


class Base:
    def grow(self):
        return DEPTH


def block(x, depth=1):
    return x


def late(x):
    return 3


def other(x):
    return 4
""",
    "parts/deep.py": """
def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)
""",
    "parts/inside.py": "DROPOUT = 0.5\n",
    "lib/python/site-packages/numpy_like.py": "def array(x):\n    return x\n",
}

PRINT = """
import os, sys
from refine.run.fingerprint import fingerprint, _assignments, _is_own
for folder in sys.argv[1:]:
    os.chdir(folder)
    sys.path[:0] = ["lib/python/site-packages", "."]
    import study
    targets = [study.model, study.made, study.bound, study.partial, study.Net]
    first = [fingerprint(t) for t in targets]
    study.model([])
    assert first == [fingerprint(t) for t in targets]
    print(*first)
    del sys.path[:2]
    for name in [n for n in sys.modules if n.partition(".")[0] in ("study", "parts", "numpy_like")]:
        del sys.modules[name]
    sys.path_importer_cache.clear()
    _assignments.cache_clear(), _is_own.cache_clear()
"""


def written(folder, *changes):
    for name, text in FILES.items():
        for file, old, new in changes:
            assert file != name or old in text
            text = text.replace(old, new) if file == name else text
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def prints(*folders, python=sys.executable, seed="0"):
    environ = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    words = [python, "-c", PRINT, *folders]
    done = subprocess.run(words, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_every_process_and_every_version_of_python_agrees(tmp_path):
    base = written(tmp_path)
    expected = prints(base)
    assert prints(base, seed="17") == expected
    for name in (f"python3.{n}" for n in (11, 12, 13, 14)):
        for python in {shutil.which(name), shutil.which(name, path="/usr/bin")} - {None}:
            if not subprocess.run([python, "-c", ""], capture_output=True).returncode:
                assert prints(base, python=python) == expected


MODEL, MADE, BOUND, PARTIAL, NET = range(5)
CHANGES = [
    ("study.py", "rows, RATE", "RATE, rows", {MODEL, PARTIAL}),
    ("study.py", "return x if", "return x + 1 if", {MODEL, PARTIAL}),  # under a decorator
    ("study.py", "return f(*args)", "return f(*args, 1)", {MODEL, PARTIAL}),  # the decorator
    ("study.py", "RATE = 0.1", "RATE = 0.2", {MODEL, PARTIAL}),
    ("study.py", '"relu"', '"elu"', {MODEL, PARTIAL}),
    ("study.py", "units = 4", "units = 5", {MODEL, BOUND, PARTIAL, NET}),
    ("study.py", "depth=2", "depth=3", {MODEL, PARTIAL}),
    ("study.py", "factory(3", "factory(4", {MADE}),
    ("study.py", "model, 5", "model, 6", {PARTIAL}),
    ("study.py", 'name="x"', 'name="y"', {PARTIAL}),
    ("parts/layers.py", "return x", "return x + 1", {MODEL, PARTIAL}),
    ("parts/layers.py", "DEPTH = 1", "DEPTH = 2", {MODEL, BOUND, PARTIAL, NET}),  # of a base class
    ("parts/layers.py", "WIDTH = 8", "WIDTH = 9", {MODEL, PARTIAL}),
    ("parts/layers.py", "return 3", "return 5", {MODEL, PARTIAL}),  # by its module's name
    ("parts/deep.py", "n != 0 and", "n > 0 and", {MODEL, BOUND, PARTIAL, NET}),  # one calls the other
    ("parts/inside.py", "0.5", "0.6", {MODEL, PARTIAL}),  # imported when it runs
    ("parts/layers.py", "return 4", "return 6", set()),  # nobody calls it
    ("study.py", "return 1", "return 2", set()),
    ("lib/python/site-packages/numpy_like.py", "return x", "return 2 * x", set()),
    ("study.py", "made = factory", "# a note\nmade = factory", set()),
]


def test_a_fingerprint_changes_with_the_code_and_not_with_its_layout(tmp_path):
    folders = [written(tmp_path / str(i), change) for i, (*change, _) in enumerate(CHANGES)]
    base, *prints_now = prints(written(tmp_path / "base"), *folders)
    for (*change, changed), prints_after in zip(CHANGES, prints_now, strict=True):
        assert {i for i in range(5) if prints_after[i] != base[i]} == changed, change


class Called:
    """An objective that is an object."""

    def __call__(self, params):
        return _inner(params)


def _inner(params):
    return params


def test_objects_and_functions_typed_at_a_prompt():
    assert fingerprint(Called()) == fingerprint(Called) != fingerprint(_inner)
    fingerprints = []
    for body in ("helper(1)", "helper(1)", "helper(2)", "{1, 2, 'a', 'b'} and helper(1)"):
        space = {"__name__": "__main__"}
        exec(f"RATE = 3\ndef helper(x): return x * RATE\ndef f(p): return {body}", space)
        fingerprints.append(fingerprint(space["f"]))
    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 3
    space = {"__name__": "__main__"}
    exec("RATE = 4\ndef helper(x): return x * RATE\ndef f(p): return helper(1)", space)
    assert fingerprint(space["f"]) != fingerprints[0]
    assert fingerprint(len) == fingerprint(functools.partial(len))


def test_a_lambda_keeps_its_name():
    # Part of the ids of rounds that are stored.
    assert objective_name(lambda p: 1).endswith("<lambda>-" + objective_name(lambda p: 1)[-8:])
    first = lambda p: 1  # noqa: E731
    assert objective_name(first).rpartition("-")[2] not in objective_code(first)


def test_a_lambda_with_inner_code_or_a_set_of_texts_has_one_name_in_every_process(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from refine.run.identity import objective_name\n"
        "print(objective_name(lambda p: sum(v for v in p.values())))\n"
        "print(objective_name(lambda p: p['act'] in {'relu', 'gelu', 'tanh', 'elu'}))\n"
    )
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        names = subprocess.run([sys.executable, script], env=environment, capture_output=True, check=True)
        outputs.add(names.stdout)
    assert len(outputs) == 1


def test_running_a_finished_round_with_edited_code_warns_that_nothing_runs(tree):
    def first(p):
        return p["x"]

    def edited(p):
        return p["x"] + 1

    first.name = edited.name = "score"
    space = {"x": (1, 9)}
    tree.add_round(space, first, n=5, seed=1, metric=Goal("value", noise="retraining")).run()
    tree.add_round(space, first, n=5, seed=1).run()  # the same code: nothing to say
    again = tree.add_round(space, edited, n=5, seed=1)
    with pytest.warns(RefineWarning, match="nothing runs"):
        again.run()
    assert (again.trials["value"] == again.trials["x"]).all()
