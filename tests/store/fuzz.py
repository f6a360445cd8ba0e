"""Hostile inputs: only a RefineError may result, and a refused input changes no store.

Every target begins with sound documents and changes parts of them: values outside floats or databases,
halves of letters, deep nesting, missing and unknown fields, bytes. Hypothesis draws the changes and shrinks
every finding.
"""

import asyncio
import hashlib
import json
import math
import shutil
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from mcp.server.mcpserver.exceptions import ToolError

import refine
from refine.errors import RefineError
from refine.proposal.forecast import cells_of
from refine.space.files import read_space
from refine.store.import_buffer import kept
from refine.store.load import load_rounds
from refine.store.schema import metadata
from refine.tree.exchange.dataframe import read_table
from refine.tree.exchange.folder import read_folder
from refine.ui.assistant import Assistant
from refine.ui.mcp import server_of
from refine.ui.web.messages import MESSAGES
from refine.ui.web.session import Session

NONE = object()  # what a target returns where refine was asked nothing: a document that says no file, say

LOOPS = ThreadPoolExecutor(1)  # a browser of other tests may leave a loop running in this thread
KEPT = Path(".hypothesis/fuzz")  # where what was found stays until it is mended and stands in test_fuzz.py

RENEWED = 200  # inputs until a store that takes inputs is made anew

SPACE = {"x": (0.0, 1.0, 11), "k": (1, 8), "c": ["a", "b"]}

ODD = (
    *(None, True, False, 0, 1, -1, 10**400, -(10**400), 2**31, 2**63, 10**10, int("9" * 4000)),
    *(0.0, -0.0, 0.5, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf),
    *("", "a\ud800", "a\0", "\x1b[31m", "9" * 5000, "=1+1", "1e400", "NaN", "complete", "x", "a", "\u202e"),
    *([], {}, json.loads("[" * 50 + "]" * 50), json.loads("[" * 500 + "]" * 500)),
)
COLUMNS = """
    "x": [0.0, 0.25, 0.5, 1.0, 0.1, 0.2], "k": [0, 1, 2, 3, 4, 5], "c": ["a", "b", "a", "b", "a", "b"],
    "acc": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]"""
SOUND = {
    "frame": f"""[
        {{"columns": {{{COLUMNS}}}, "parameters": null, "value": "acc"}},
        {{"columns": {{{COLUMNS}, "seconds": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "seed": [0, 1, 2, 3, 4, 5],
         "state": ["complete", "complete", "complete", "complete", "complete", "complete"],
         "origin": ["given", "given", "given", "given", "given", "given"]}},
         "parameters": ["x", "k", "c"], "value": "acc"}}]""",
    "csv": """[
        {"lines": [["x", "k", "c", "acc"], [0.0, 0, "a", 0.1], [0.5, 1, "b", 0.2], [1.0, 2, "a", "0.3"]],
         "between": ",", "end": "\\n"}]""",
    "edits": """[
        {"edits": {"x": [0.0, 0.5], "k": [1, 4], "c": ["a"]}}, {"edits": {"x": [0.5, 0.25], "c": "b"}}]""",
    "space": """[
        {"json": {"constraints": ["k > 1 or c == 'a'"], "parameters": {
            "x": {"low": 0.0, "high": 1.0, "levels": 5, "log": false}, "k": {"low": 1, "high": 8, "type":
        "integer", "within": [0, 9]},
            "c": ["a", "b"], "o": {"values": ["s", "m"], "ordered": true}, "f": 3}}},
        {"toml": "[parameters]\\nx = { low = 0, high = 1.5, levels = 4 }\\nc = ['a', 'b']\\n"}]""",
}
"""Target -> the documents that it begins with, where they are the same in every store."""

# Fields of the page's messages, and arguments of an assistant's calls.
MESSAGE = """{"round": "", "proposal": "", "risk": 0.05, "a": "x", "b": "k", "value": null,
    "edits": {"x": {"bounds": [0.0, 0.5]}, "c": {"keep": [0]}}, "rejected": ["k"], "n": 5, "exploit": 0.5,
        "audit": 0.1,
    "belief": {"x": {"near": 0.2, "within": 0.1}, "c": {"weights": [0.7, null]}}, "workers": 2, "hours":
        0.5, "trials": 3,
    "kind": "accept", "note": "", "do": "run", "point": 0}"""

CALL = """{"round_id": "", "risk": 0.05, "edits": {"x": [0.0, 0.5], "k": [1, 4], "c": ["a"]}, "n": 5, "a":
        {"x": 0.5, "k": 2, "c": "a"},
    "b": null, "seeds": 2, "trials": 2, "reason": "why", "note": "why"}"""


def score(p):
    return {"acc": p["x"] + 0.01 * p["k"], "loss": -p["x"]}


# Letters of any kind, halves of letters among them; and anything that plain data can hold.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
VALUES = st.recursive(
    st.sampled_from(ODD) | st.integers(-(2**70), 2**70) | st.integers(-2, 12) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)


def places(data, path=()):
    """Paths at which plain data can change, except the root and levels nested deeper than Python may call."""
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*path, key)
        if isinstance(inner, dict | list) and len(path) < 60:
            yield from places(inner, (*path, key))


def own(data):  # a copy, which may be changed
    return json.loads(json.dumps(data))


@st.composite
def changed(draw, documents):
    out = own(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 3))):
        paths = list(places(out))
        if not paths:
            break
        *path, last = draw(st.sampled_from(paths))
        parent = out
        for key in path:
            parent = parent[key]
        change = draw(st.sampled_from(["other", "near", "elsewhere", "more", "less"]))
        if change == "other":
            parent[last] = own(draw(VALUES))
        elif change == "near":
            old = parent[last]
            number = isinstance(old, int | float) and not isinstance(old, bool)
            near = [[old], str(old), None, *([old + 1, -old, old * 1000] if number else [])]
            parent[last] = draw(st.sampled_from(near))
        elif change == "elsewhere":
            target = out
            for key in draw(st.sampled_from(paths)):
                target = target[key]
            parent[last] = own(target)
        elif change == "more" and isinstance(parent, dict):
            parent[draw(TEXTS)] = own(draw(VALUES))
        else:
            del parent[last]
    return out


def fingerprint(tree):
    mark = hashlib.sha256()
    with tree._context.store.engine.connect() as connection:
        for table in metadata.tables.values():
            for row in connection.execute(sa.select(table).order_by(*table.primary_key)):
                mark.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
    return mark.hexdigest()


class Fuzz:
    """Sound documents of each target, with the numbers of inputs given and refused."""

    def __init__(self, folder):
        self.folder = folder
        self.done = Counter()
        self.refused = Counter()
        self.scratch = None
        self.scratch_used = 0
        self.scratch_mark = ""
        self.store = folder / "refine.db"
        with refine.Tree("q", store=self.store) as tree:
            root = tree.add_round(
                SPACE,
                score,
                n=30,
                metric="acc",
                name="score",
                baseline={"x": 0.5, "k": 2, "c": "a"},
            )
            root.run()
            root.propose().edit(k=(1, 4)).accept("note", n=4).run()
            tree.tag(root, "first")
            tree.export(folder / "out")
            self.rounds = [round_.id for round_ in tree.rounds]
        shutil.copy(self.store, folder / "begun.db")
        self._open()
        self.sound = {name: json.loads(text) for name, text in SOUND.items()}
        self.sound |= {"folder": self._files(), "page": self._messages(), "protocol": self._calls()}

    def renew(self):
        self.close()
        self.scratch = None
        self._open()

    def _open(self):
        for path in self.folder.glob("refine.db*"):
            path.unlink()
        shutil.copy(self.folder / "begun.db", self.store)
        self.tree = refine.Tree("q", store=self.store)
        self.session = Session(self.tree.rounds[0])
        self.review = self.tree.rounds[0].propose(keep=False)
        self.watch = sqlite3.connect(self.store)

    def close(self):
        self.watch.close(), self.tree.close()
        if self.scratch is not None:
            self.scratch.close()

    def tried(self, target, document):
        """Gives a document to a target; a RefineError is an answer, and can be printed."""
        try:
            unchanged = getattr(self, f"on_{target}")(document) is NONE
        except RefineError as error:
            self.refused[target] += 1
            unchanged = False
            str(error).encode()
        self.done[target] += not unchanged

    def _entered(self, call):
        """Brings something into a store in memory that holds nothing, looks at it, and removes it."""
        if self.scratch is None or self.scratch_used >= RENEWED:
            if self.scratch is not None:
                self.scratch.close()
            self.scratch = refine.Tree("m", store=":memory:")
            self.scratch_used = 0
            self.scratch_mark = fingerprint(self.scratch)
        self.scratch_used += 1
        tree = self.scratch
        before = self._written()
        try:
            call(tree)
        except RefineError:
            if self._written() != before:  # it may have been taken back
                assert fingerprint(tree) == self.scratch_mark, "refused, and something was written"
            raise
        except BaseException:
            self.scratch = None  # whatever it is like now
            raise
        try:
            str(tree).encode(), str(tree.log()).encode()
            for round_ in tree.rounds:
                str(round_).encode(), round_.trials.to_csv().encode()
            assert len(tree.repair(dry_run=True)) == 0, str(tree.repair(dry_run=True))
            for round_ in [r for r in tree.rounds if r.parent is None]:
                tree.delete(round_, below=True)
            assert len(tree) == 0
            self.scratch_mark = fingerprint(tree)
        except BaseException as error:
            self.scratch = None
            if isinstance(error, RefineError):
                raise AssertionError("taken, and can't be looked at") from error
            raise

    def _written(self):
        assert self.scratch is not None
        with self.scratch._context.store.engine.connect() as connection:
            return int(connection.execute(sa.text("SELECT total_changes()")).scalar_one())

    # Targets: what each begins with, and what it does with a document.

    def _files(self):
        out = []
        for path in sorted((self.folder / "out").rglob("*.json*")):
            name = str(path.relative_to(self.folder / "out"))
            lines = path.read_text().splitlines()[:3] if path.suffix == ".jsonl" else [path.read_text()]
            out += [{"file": name, "line": i, "json": json.loads(line)} for i, line in enumerate(lines)]
            out += [{"file": name, "at": offset, "gone": 2, "put": "x"} for offset in (0, len(lines[0]) // 2)]
        return out

    def _file_of(self, document):
        names = {entry["file"] for entry in self.sound["folder"]}
        name = document.get("file")
        return self.folder / "out" / name if isinstance(name, str) and name in names else None

    def on_folder(self, document):
        path = self._file_of(document)
        if path is None:
            return NONE
        old = path.read_bytes()
        if "json" in document:
            lines = old.split(b"\n") if path.suffix == ".jsonl" else [old]
            line = document.get("line")
            offset = line % len(lines) if isinstance(line, int) else 0
            lines[offset] = json.dumps(document["json"]).encode()
            new = b"\n".join(lines)
        else:
            numbers = [document.get(k) for k in ("at", "gone")]
            offset, removed = (abs(n) % (len(old) + 1) if isinstance(n, int) else 0 for n in numbers)
            inserted = str(document.get("put")).encode("utf-8", "surrogatepass")
            new = old[:offset] + inserted + old[offset + removed :]
        try:
            path.write_bytes(new)
            self._entered(self._load)
        finally:
            path.write_bytes(old)
        return None

    def _load(self, tree):
        _, parts, _, answers = read_folder(self.folder / "out")
        with kept(parts) as sound:
            load_rounds(tree._context.store, tree._context.tree, sound)
        tree._context.store.add_answers(tree._context.tree, answers)

    def on_frame(self, document):
        columns = document.get("columns")
        if not isinstance(columns, dict):
            return NONE
        listed = {name: cells if isinstance(cells, list) else [cells] for name, cells in columns.items()}
        series = {name: pd.Series(cells, dtype=object) for name, cells in listed.items()}
        frame = pd.DataFrame(series).infer_objects()
        named = {key: document.get(key) for key in ("parameters", "value")}
        self._entered(lambda tree: tree.add_runs(frame, **named))
        return None

    def on_csv(self, document):
        lines, between, end = (document.get(key) for key in ("lines", "between", "end"))
        if not isinstance(lines, list):
            return NONE
        rows = [str(between).join(map(str, line if isinstance(line, list) else [line])) for line in lines]
        path = self.folder / "table.csv"
        path.write_bytes(str(end).join(rows).encode("utf-8", "surrogatepass"))
        frame = read_table(path)
        self._entered(lambda tree: tree.add_runs(frame, value="acc"))
        return None

    def on_edits(self, document):
        review = self.review.edit(document.get("edits"))
        review.space.describe().encode(), json.dumps(review.space.to_json(), allow_nan=False).encode()
        cells_of(review.proposal.analysis, review.space, 1, 0, most=20)  # what the review forecasts from

    def on_space(self, document):
        if "toml" in document:
            path = self.folder / "space.toml"
            path.write_bytes(str(document["toml"]).encode("utf-8", "surrogatepass"))
        else:
            path = self.folder / "space.json"
            path.write_text(json.dumps(document.get("json")))
        space = read_space(str(path))
        str(space.to_json()).encode(), str(space.describe()).encode()

    def _messages(self):
        drawn = self.session.handle({"type": "round", "round": self.rounds[0]})
        assert isinstance(drawn, dict)
        sound = {**json.loads(MESSAGE), "round": self.rounds[0], "proposal": drawn["review"]["proposal"]}
        messages = []
        for kind, fields in MESSAGES.items():
            names = {name.rstrip("?") for name in fields}
            messages.append({"message": {"type": kind, **{k: v for k, v in sound.items() if k in names}}})
        return messages

    def on_page(self, document):
        if len(self.tree) > 6:  # what was decided before this has made rounds
            self.renew()
        before = self._version()
        answer = self.session.handle(document.get("message"))
        if isinstance(answer, dict):
            json.dumps(answer, allow_nan=False)
            if "error" in answer:
                self.refused["page"] += 1
                assert "which it should not" not in str(answer["error"]), answer["error"]
                assert self._version() == before, "refused, and the store has changed"

    def _calls(self):
        self.server = server_of(Assistant(lambda: refine.Tree("q", store=self.store, create=False)))
        sound = {**json.loads(CALL), "round_id": self.rounds[0]}
        tools = LOOPS.submit(asyncio.run, self.server.list_tools()).result()
        takes = {tool.name: tool.input_schema["properties"] for tool in tools}
        return [{"name": n, "arguments": {k: sound[k] for k in takes[n] if k in sound}} for n in takes]

    def on_protocol(self, document):
        name = document.get("name")
        arguments = document.get("arguments")
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return NONE  # which the protocol itself refuses
        if self.done["protocol"] % RENEWED == RENEWED - 1:
            self.renew()  # suggestions are kept
        before = self._version()
        try:
            LOOPS.submit(asyncio.run, self.server.call_tool(name, arguments)).result()
        except ToolError as error:
            self.refused["protocol"] += 1
            if not any(
                refusal in str(error) for refusal in ("<study id=", "validation error", "Unknown tool")
            ):
                raise
            assert self._version() == before, "refused, and the store has changed"
        return None

    def _version(self):
        return int(self.watch.execute("PRAGMA data_version").fetchone()[0])


_SHARES = (0.5, 0.4, 0.03, 0.03, 0.02, 0.01, 0.01)
SHARES = dict(zip(("space", "edits", "csv", "frame", "folder", "page", "protocol"), _SHARES, strict=True))
"""Target -> its share of all inputs: those that cost little get most."""


def batch(fuzz, name, number, count):
    """Runs a number of inputs of a target; raises the smallest failing input and keeps it for later runs."""

    @settings(
        max_examples=count,
        deadline=None,
        database=DirectoryBasedExampleDatabase(KEPT / name),
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.reuse, Phase.generate, Phase.shrink],
    )
    @given(changed(fuzz.sound[name]))
    def one(document):
        fuzz.tried(name, document)

    (one if number is None else seed(number)(one))()
