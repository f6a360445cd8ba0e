"""What was stored is data: nothing of it runs, breaks a page, names a file, or shows a password."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

import refine
from refine.store.rows import parts_of

MODULE = "import pathlib\npathlib.Path({mark!r}).write_text('ran')\ndef chosen():\n    return 1\ndef other():\n    return 2\n"


def test_a_stored_import_path_is_followed_by_a_run_only(tmp_path, monkeypatch):
    mark, folder = tmp_path / "mark", tmp_path / "code"
    folder.mkdir()
    (folder / "side_effect.py").write_text(MODULE.format(mark=str(mark)))
    monkeypatch.syspath_prepend(folder)
    import side_effect

    space = {"f": [side_effect.chosen, side_effect.other], "x": (0.0, 1.0, 20)}
    with refine.Tree("q", store=tmp_path / "r.db") as tree:
        root = tree.add_round(space, lambda p: p["x"] + p["f"](), n=30, name="f").run(progress=False)
        root.propose().accept(n=4)
        tree.export(tmp_path / "out")
    mark.unlink()
    monkeypatch.delitem(sys.modules, "side_effect")
    with refine.Tree.load(tmp_path / "out", tmp_path / "l.db") as loaded:
        root, child = loaded.rounds
        (
            str(loaded),
            str(root),
            str(root.analyze()),
            str(root.propose()),
            root.best,
            loaded.log(),
            str(loaded.calibration()),
        )
        root.report(tmp_path / "reports")
        root.to_optuna()
        loaded.export(tmp_path / "again")
        loaded.merge(tmp_path / "out")
        assert "side_effect" not in sys.modules
        assert not mark.exists()
        child.run(objective=lambda p: p["x"] + p["f"](), name="f", progress=False)
        assert mark.read_text() == "ran"
        assert set(child.trials["state"]) == {"complete"}


NAMES = ("../x", "a|b", "<script>alert(1)</script>", "`tick`", "/etc/passwd", "[link](x)")


def test_names_and_values_break_no_page_and_no_path(tmp_path):
    rows = [
        {**{n: (i * (j + 3)) % 7 for j, n in enumerate(NAMES)}, "kind": NAMES[i % 6], "value": i % 11}
        for i in range(60)
    ]
    with refine.Tree("<b>../q</b>|", store=tmp_path / "r.db") as tree:
        root = tree.add_frame(pd.DataFrame(rows), note="<img src=x> | ../..")
        root.propose()
        tree.tag(root, "../../tag<script>")
        tree.export(tmp_path / "box" / "out")
        with refine.Tree.load(tmp_path / "box" / "out", tmp_path / "l.db") as loaded:
            assert loaded.rounds[0].trials.equals(root.trials)
        study = root.to_optuna()
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


def test_a_password_is_shown_and_stored_nowhere(tmp_path, monkeypatch):
    """The URL of a store as a report, an export and a print see it; the database behind it is an SQLite file."""
    with refine.Tree("q", store=tmp_path / "r.db") as tree:
        root = tree.add_round({"x": (0.0, 1.0, 20)}, lambda p: p["x"], n=12, name="f").run(progress=False)
        import sqlalchemy as sa

        secret = sa.make_url("postgresql+psycopg://ann:hunter2@db.example/refine?password=hunter2")
        monkeypatch.setattr(tree._context.store, "url", secret)
        shown = [str(tree), repr(tree), tree.store, str(root), repr(root), str(root.propose())]
        root.report(tmp_path / "reports")
        tree.export(tmp_path / "out")
        study = root.to_optuna()
        shown += [str(t.user_attrs) for t in study.trials] + [study.study_name]
        shown.append(repr(list(parts_of(tree._context.store, tree._context.tree))))
    shown += [
        p.read_bytes().decode("latin-1")
        for f in ("reports", "out")
        for p in Path(tmp_path / f).rglob("*")
        if p.is_file()
    ]
    assert not [text for text in shown if "hunter2" in text]
    with pytest.raises(refine.errors.StoreError) as caught:
        refine.Tree("q", store="postgresql://ann:hunter2@127.0.0.1:1/none?password=hunter2")
    assert "hunter2" not in str(caught.value)
