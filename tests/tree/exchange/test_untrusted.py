"""Stored content is data: no part runs, breaks a page, names a file, or shows a password."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import objectives
import refine
from refine.store.rows import parts_of
from refine.tree.exchange.optuna import to_study
from refine.ui.cli import app

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pictures")]

MODULE = (
    "import pathlib\npathlib.Path({mark!r}).write_text('ran')\ndef chosen():\n    return 1\ndef "
    "other():\n    return 2\n"
)


def test_a_stored_import_path_is_followed_by_a_run_only(tree, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "side_effect.py").write_text(MODULE.format(mark=str(mark)))
    monkeypatch.syspath_prepend(folder)
    import side_effect

    space = {"f": [side_effect.chosen, side_effect.other], "x": (0.0, 1.0, 20)}
    root = tree.add_round(space, lambda p: p["x"] + p["f"](), n=30, name="f").run()
    root.propose().accept(n=4)
    tree.export(tmp_path / "out", reports=False)
    mark.unlink()
    monkeypatch.delitem(sys.modules, "side_effect")
    with refine.Tree.load(tmp_path / "out", tmp_path / "l.db") as loaded:
        root, child = loaded.rounds
        for call in (str, refine.Tree.log, refine.Tree.calibration):
            str(call(loaded))
        for call in (str, refine.Round.analyze, refine.Round.propose):
            str(call(root))
        assert root.best is not None
        root.report(tmp_path / "reports")
        to_study(root)
        loaded.export(tmp_path / "again", reports=False)
        refine.Tree.load(tmp_path / "out", tmp_path / "l.db").close()
        assert "side_effect" not in sys.modules
        assert not mark.exists()
        child.run(objective=objectives.named(lambda p: p["x"] + p["f"](), "f"))
        assert mark.read_text() == "ran"
        assert set(child.trials["state"]) == {"complete"}


NAMES = ("../x", "a|b", "<script>alert(1)</script>", "`tick`", "/etc/passwd", "[link](x)")


def test_names_and_values_break_no_page_and_no_path(tmp_path):
    rows = [
        {**{n: (i * (j + 3)) % 7 for j, n in enumerate(NAMES)}, "kind": NAMES[i % 6], "value": i % 11}
        for i in range(60)
    ]
    with refine.Tree("<b>../q</b>|", store=tmp_path / "r.db") as tree:
        root = tree.add_runs(pd.DataFrame(rows), note="<img src=x> | ../..")
        root.propose()
        tree.tag(root, "../../tag<script>")
        tree.export(tmp_path / "box" / "out")
        with refine.Tree.load(tmp_path / "box" / "out", tmp_path / "l.db") as loaded:
            assert loaded.rounds[0].trials.equals(root.trials)
        study = to_study(root)
        assert set(study.trials[0].params) == {*NAMES, "kind"}
    assert [p.name for p in (tmp_path / "box").iterdir()] == ["out"]
    files = [p for p in (tmp_path / "box").rglob("*") if p.is_file()]
    assert len(files) > 8
    for path in files:
        for part in path.relative_to(tmp_path).parts:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", part), path
    text = (tmp_path / "box" / "out" / root.id / f"{root.id}.md").read_text()
    page = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for raw in ("<script", "<b>", "<img"):
        assert raw not in page
    assert not re.search(r"(?<!\\)\]\(x\)", page)
    for block in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_a_password_is_shown_and_stored_nowhere(tree, tmp_path, monkeypatch):
    """The URL of a store as reports, exports and prints show it; the database itself is an SQLite file."""
    root = tree.add_round({"x": (0.0, 1.0, 20)}, lambda p: p["x"], n=12, name="f").run()
    import sqlalchemy as sa

    secret = sa.make_url("postgresql+psycopg://ann:hunter2@db.example/refine?password=hunter2")
    monkeypatch.setattr(tree._context.store, "url", secret)
    shown = [str(tree), repr(tree), tree._url, str(root), repr(root), str(root.propose())]
    root.report(tmp_path / "reports")
    tree.export(tmp_path / "out")
    study = to_study(root)
    shown += [str(t.user_attrs) for t in study.trials] + [study.study_name]
    for part in parts_of(tree._context.store, tree._context.tree):
        shown.append(repr((part.row, [list(rows) for rows in part.rows.values()])))
    for open_store in (
        lambda url: refine.Tree("q", store=url),
        tree.add_runs,
        lambda url: to_study(root, url),
    ):
        with pytest.raises(refine.errors.StoreError) as caught:
            open_store("postgresql://ann:hunter2@127.0.0.1:1/none")
        shown.append(str(caught.value))
        assert "ann:***" in shown[-1]
    paths = [p for f in ("reports", "out") for p in Path(tmp_path / f).rglob("*")]
    shown += [p.read_bytes().decode("latin-1") for p in paths if p.is_file()]
    assert not [text for text in shown if "hunter2" in text]


EVIL = "x\x1b[31m\x9b2J\u202egnp\u2028fake\nroot-of-evil 99/99\r\u2605"
"""Colours, a cleared screen, letters from right to left, and a faked line of a printed tree."""


def obeyed(text):
    """Parts of a text that a terminal would obey, or a person would take for a line of refine."""
    controls = re.findall("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)
    return controls + re.findall(r"^\W*root-of-evil.*", text, flags=re.MULTILINE)


@pytest.mark.nightly
def test_names_notes_and_labels_are_seen_and_do_nothing(tmp_path, rng):
    kinds = rng.choice(["a" + EVIL, "b" + EVIL], 40)
    rows = pd.DataFrame({"p" + EVIL: kinds, "k": rng.integers(0, 30, 40), "acc": rng.random(40)})

    def fails(p):
        raise ValueError("e" + EVIL)

    with refine.Tree("t" + EVIL, store=tmp_path / "r.db") as tree:
        root = tree.add_runs(rows, value="acc", note="n" + EVIL)
        tree.tag(root, "tag" + EVIL)
        review = root.propose()
        child = review.edit(k=(0, 60)).accept("n" + EVIL, n=4, author="au" + EVIL)
        options = {"name": "o" + EVIL.replace("/", " of "), "note": "n" + EVIL}
        other = tree.add_round({"p" + EVIL: ["a" + EVIL, "b"]}, fails, n=2, **options)
        with pytest.raises(refine.errors.RoundStoppedError) as caught:
            other.run()
        printed = [tree, root, child, other, root.analyze(), review, root.checks(), tree.calibration()]
        printed += [tree.winner(), tree.diff(root, child), review.preview(n=4), caught.value]
        for value in printed:
            assert obeyed(str(value)) == [], type(value)
            if hasattr(value, "_repr_html_"):
                assert obeyed(value._repr_html_()) == [], type(value)
        for value in (root, child, other, tree, tree.winner()):
            value.report(tmp_path / "reports")
        tree.report(tmp_path / "reports", html=True)
    pages = [p for p in (tmp_path / "reports").rglob("*") if p.suffix in (".md", ".html")]
    assert len(pages) == 11  # seven reports, and the details of four
    for path in pages:
        assert obeyed(path.read_text()) == [], path
    two_rounds = f"{root.id} {child.id}"
    for words in (
        "show",
        "show --log",
        f"show {root.id}",
        f"analyze {root.id}",
        "winner",
        f"diff {two_rounds}",
    ):
        command, *round_words = words.split()
        for flags in ([], ["--json"]):
            result = CliRunner().invoke(app, [command, str(tmp_path / "r.db"), *round_words, *flags])
            assert result.exit_code == 0, result.output
            assert obeyed(result.output) == [], command
    tree_data = json.loads(CliRunner().invoke(app, ["show", str(tmp_path / "r.db"), "--json"]).output)
    assert tree_data["name"] == "t" + EVIL  # for programs it is what it is
