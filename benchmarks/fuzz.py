"""Inputs made to break things, until the time is over: nothing but a RefineError, and no store changed by what is refused.

    python benchmarks/fuzz.py                                 a minute
    python benchmarks/fuzz.py --minutes 10 --seed 3
    python benchmarks/fuzz.py --only folder csv

Every target begins with something sound and changes parts of it: values that no float or database holds, halves of
letters, deep nesting, missing and unknown fields, bytes. Hypothesis draws them, and makes what it finds small.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import logging
import math
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import refine
from refine.errors import RefineError
from refine.space.files import read_space
from refine.store.rows import from_plain
from refine.store.schema import metadata
from refine.tree.exchange.bundle_files import read_folder
from refine.tree.exchange.dataframe import read_table
from refine.ui.web.session import Session

BATCH = 200
"""Inputs of one target at a time."""

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**31, 2**63, -1, 10**10, int("9" * 4000)]),
    st.floats(),
    st.sampled_from([1e308, -1e308, 5e-324, math.nan, math.inf]),
    st.text(st.characters(codec=None), max_size=8),
    st.sampled_from(
        ["", "a\ud800", "a\0", "\x1b[31m", "9" * 5000, "=1+1", "1e400", "NaN", "complete", "x", "a"]
    ),
    st.binary(max_size=6).map(lambda b: b.decode("latin-1")),
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
DEEP = st.integers(1, 3).map(lambda n: json.loads("[" * (10**n // 2) + "]" * (10**n // 2)))


def score(p: dict[str, Any]) -> dict[str, float]:
    return {"acc": p["x"] + 0.01 * p["k"], "loss": -p["x"]}


SPACE = {"x": (0.0, 1.0, 11), "k": (1, 8), "c": ["a", "b"]}


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where plain data can be changed."""
    below = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, value in below for found in places(value, (*path, key)))]


@st.composite
def changed(draw: Any, data: Any) -> Any:
    """Plain data with one to three changes."""
    out = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(out)[1:] or [("x",)]))
        at = out
        for key in path:
            at = at[key]
        how = draw(st.sampled_from(["put", "put", "put", "drop", "add"]))
        if how == "put" or not isinstance(at, dict):
            at[last] = draw(VALUES | DEEP)
        elif how == "drop":
            at.pop(last, None)
        else:
            at[draw(st.text(max_size=5))] = draw(VALUES)
    return out


class Fuzz:
    """What everything begins with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused = 0
        self.done = 0
        self.store = folder / "refine.db"
        with refine.Tree("q", store=self.store) as tree:
            root = tree.add_round(
                SPACE, score, n=30, metric="acc", name="score", baseline={"x": 0.5, "k": 2, "c": "a"}
            )
            root.run(progress=False)
            root.propose().edit(k=(1, 4)).accept("note", n=4).run(
                objective=score, name="score", progress=False
            )
            tree.tag(root, "first")
            tree.export(folder / "out")
            self.rounds = [found.id for found in tree.rounds]
        self.rows = self._rows()
        self.tree = refine.Tree("q", store=self.store)
        self.session = Session(self.tree.rounds[0])

    def _rows(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for key in self.rounds:
            node = json.loads((self.folder / "out" / key / "node.json").read_text())
            found += [("decision", d) for d in node["decisions"]] + [("run", r) for r in node["environments"]]
            for path in (self.folder / "out" / key).glob("*.jsonl"):
                found += [(path.stem, json.loads(line)) for line in path.read_text().splitlines()[:3]]
        return found

    def fingerprint(self) -> str:
        """Everything that the store holds."""
        mark = hashlib.sha256()
        with self.tree._context.store.engine.connect() as connection:
            for table in metadata.tables.values():
                for row in connection.execute(sa.select(table).order_by(*table.primary_key)):
                    mark.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
        return mark.hexdigest()

    def tried(self, call: Callable[[], Any]) -> None:
        """Calls; a RefineError is an answer, and can be printed."""
        try:
            call()
        except RefineError as error:
            self.refused += 1
            str(error).encode()

    # Targets: each takes what Hypothesis draws from.

    def row(self, data: st.DataObject) -> None:
        name, row = data.draw(st.sampled_from(self.rows))
        self.tried(lambda: from_plain(name, data.draw(changed(row)), "line 1"))

    def folder_(self, data: st.DataObject) -> None:
        files = sorted(p for p in (self.folder / "out").rglob("*") if p.suffix in (".json", ".jsonl"))
        path = data.draw(st.sampled_from(files))
        text = path.read_text()
        lines = text.splitlines() if path.suffix == ".jsonl" else [text]
        at = data.draw(st.integers(0, len(lines) - 1))
        if data.draw(st.integers(0, 4)):
            lines[at] = json.dumps(data.draw(changed(json.loads(lines[at]))))
            new = "\n".join(lines).encode()
        else:
            cut = data.draw(st.integers(0, len(text)))
            new = (
                text.encode()[:cut]
                + data.draw(st.binary(max_size=5))
                + text.encode()[cut + data.draw(st.integers(0, 9)) :]
            )
        try:
            path.write_bytes(new)
            self.tried(lambda: read_folder(self.folder / "out"))
            if not data.draw(st.integers(0, 9)):
                self.tried(self._merged)
        finally:
            path.write_text(text)

    def _merged(self) -> None:
        with refine.Tree("m", store=":memory:") as other:
            try:
                other.merge(self.folder / "out")
            except RefineError:
                assert len(other) == 0, "refused, and something was written"
                raise
            str(other), other.log()
            for found in other.rounds:
                str(found.trials), str(found)
            assert len(other.damage()) == 0, str(other.damage())

    def frame(self, data: st.DataObject) -> None:
        n = 12
        columns: dict[str, Any] = {
            "x": list(np.linspace(0, 1, n)),
            "k": list(range(n)),
            "c": ["a", "b"] * (n // 2),
        }
        columns["acc"] = list(np.linspace(0, 1, n))
        for name in data.draw(
            st.lists(
                st.sampled_from(["x", "k", "c", "acc", "seconds", "seed", "state", "origin", "m"]), max_size=3
            )
        ):
            old = columns.get(name, [0] * n)
            some = data.draw(st.lists(ODD, min_size=1, max_size=4))
            columns[name] = [*some, *old[len(some) :]]
        if data.draw(st.booleans()):
            columns[data.draw(st.text(st.characters(codec=None), max_size=4))] = [data.draw(ODD)] * n
        given_names = data.draw(st.sampled_from([None, ["x", "k", "c"], ["x"]]))
        self._added(
            pd.DataFrame({k: pd.Series(v, dtype=object).infer_objects() for k, v in columns.items()}),
            given_names,
        )

    def _added(self, frame: pd.DataFrame, names: Any = None) -> None:
        def call() -> None:
            with refine.Tree("f", store=":memory:") as tree:
                found = tree.add_frame(frame, value="acc", parameters=names)
                str(tree).encode(), str(found).encode(), found.trials.to_csv().encode(), tree.log()
                assert len(tree.damage()) == 0, str(tree.damage())

        self.tried(call)

    def csv(self, data: st.DataObject) -> None:
        cells = st.one_of(
            ODD.map(str),
            st.text(st.characters(codec=None), max_size=6),
            st.sampled_from(['"', ",", "\n", "0.5", "7"]),
        )
        lines = ["x,k,c,acc", *(f"{i / 9},{i},a,{i / 9}" for i in range(9))]
        for _ in range(data.draw(st.integers(1, 3))):
            row = data.draw(st.integers(0, len(lines) - 1))
            parts = lines[row].split(",")
            parts[data.draw(st.integers(0, len(parts) - 1))] = data.draw(cells)
            lines[row] = ",".join(parts)
        path = self.folder / "table.csv"
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + data.draw(st.binary(max_size=3)))
        found: list[pd.DataFrame] = []
        self.tried(lambda: found.append(read_table(str(path))))
        for frame in found:
            self._added(frame)

    def study(self, data: st.DataObject) -> None:
        import optuna
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        number = st.floats(allow_nan=False, allow_infinity=False)
        simple = st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(st.characters(codec=None), max_size=5),
            st.just(10**400),
        )
        kinds: dict[str, Any] = {}
        try:
            for name in data.draw(
                st.lists(
                    st.text(st.characters(codec=None), max_size=4) | st.just("seed"),
                    min_size=1,
                    max_size=3,
                    unique=True,
                )
            ):
                which = data.draw(st.sampled_from("fic"))
                low, high = sorted((data.draw(number), data.draw(number)))
                whole = sorted((data.draw(st.integers()), data.draw(st.integers())))
                if which == "f":
                    kinds[name] = FloatDistribution(low, high)
                elif which == "i":
                    kinds[name] = IntDistribution(*whole)
                else:
                    kinds[name] = CategoricalDistribution(data.draw(st.lists(simple, min_size=1, max_size=4)))
            study = optuna.create_study()
            for _ in range(data.draw(st.integers(1, 6))):
                params = {}
                for name, kind in kinds.items():
                    if isinstance(kind, CategoricalDistribution):
                        params[name] = data.draw(st.sampled_from(kind.choices))
                    else:
                        params[name] = data.draw(st.sampled_from([kind.low, kind.high]))
                value = data.draw(st.floats(allow_nan=False))
                steps = data.draw(st.dictionaries(st.integers(0, 4), st.floats(), max_size=3))
                trial = optuna.trial.create_trial(
                    params=params, distributions=kinds, value=value, intermediate_values=steps
                )
                study.add_trial(trial)
        except (ValueError, TypeError, OverflowError, KeyError, UnicodeError):
            return  # Optuna takes no such study

        def call() -> None:
            with refine.Tree("s", store=":memory:") as tree:
                found = tree.add_study(study)
                str(tree).encode(), str(found).encode(), found.trials.to_csv().encode()
                assert len(tree.damage()) == 0, str(tree.damage())

        self.tried(call)

    def space(self, data: st.DataObject) -> None:
        sound = {
            "constraints": ["k > 1 or c == 'a'"],
            "parameters": {
                "x": {"low": 0.0, "high": 1.0, "levels": 5, "log": False},
                "k": {"low": 1, "high": 8, "type": "int", "within": [0, 9]},
                "c": ["a", "b"],
                "o": {"values": ["s", "m"], "ordered": True},
                "f": 3,
            },
        }
        path = self.folder / "space.json"
        text = json.dumps(data.draw(changed(sound)))
        path.write_text(text)
        if not data.draw(st.integers(0, 9)):
            path = self.folder / "space.toml"
            path.write_bytes(
                data.draw(st.binary(max_size=30))
                + b"[parameters]\nx = { low = 0, high = "
                + data.draw(st.binary(max_size=6))
                + b" }\n"
            )
        self.tried(lambda: [str(read_space(str(path)).to_json()).encode(), read_space(str(path)).describe()])

    def page(self, data: st.DataObject) -> None:
        kind = data.draw(
            st.sampled_from(
                ["start", "pulse", "tree", "round", "trials", "pair", "preview", "epsilon", "decide"]
            )
        )
        sound = {
            "type": kind,
            "round": self.rounds[0],
            "risk": 0.05,
            "a": "x",
            "b": "k",
            "value": 0.01,
            "edits": {"x": {"bounds": [0.0, 0.5]}, "c": {"values": ["a"]}},
            "rejected": ["k"],
            "n": 5,
            "what": "accept",
            "note": "",
        }
        message = data.draw(changed(sound))
        if (
            isinstance(message, dict)
            and message.get("type") in ("decide", "epsilon")
            and message.get("round") != sound["round"]
        ):
            message["round"] = "nowhere"  # what decides would make the store another one
        before = self.fingerprint()
        answer = self.session.handle(message)
        if isinstance(answer, dict):
            json.dumps(answer, allow_nan=False)
            if "error" in answer:
                self.refused += 1
                assert "which it should not" not in str(answer["error"]), answer["error"]
                assert self.fingerprint() == before, "refused, and the store has changed"


TARGETS = {
    "row": Fuzz.row,
    "folder": Fuzz.folder_,
    "frame": Fuzz.frame,
    "csv": Fuzz.csv,
    "study": Fuzz.study,
    "space": Fuzz.space,
    "page": Fuzz.page,
}


def batch(fuzz: Fuzz, name: str, number: int, count: int) -> None:
    """So many inputs of one target."""

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        fuzz.done += 1
        TARGETS[name](fuzz, data)

    one()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in ("refine", "optuna"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    counts, refused, found = dict.fromkeys(options.only, 0), dict.fromkeys(options.only, 0), {}
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder))
        end, number = time.monotonic() + 60 * options.minutes, options.seed
        while time.monotonic() < end:
            for name in options.only:
                before, done = fuzz.refused, fuzz.done
                try:
                    batch(fuzz, name, number, BATCH)
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else [error]:
                        frames = [
                            f for f in traceback.extract_tb(each.__traceback__) if "/refine/" in f.filename
                        ]
                        at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
                        found.setdefault(f"{name}: {type(each).__name__}{at}: {str(each)[:200]}", number)
                refused[name] += fuzz.refused - before
                counts[name] += fuzz.done - done
            number += 1
        fuzz.tree.close()
    print(f"seeds {options.seed} to {number - 1}")
    print(pd.DataFrame({"inputs": counts, "refused": refused}).to_string())
    print(f"{sum(counts.values()):,} inputs, {len(found)} findings")
    for text, at in found.items():
        print(f"seed {at}: {text!r}")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
