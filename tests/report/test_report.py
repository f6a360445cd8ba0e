"""Reports: golden bytes, relative links, escapes, no clock."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from refine.analysis.analysis import analyze
from refine.analysis.learning_curves import trial_curves
from refine.analysis.reason import Reason
from refine.proposal.proposal import Change, Claim, EvidenceSummary, Proposal
from refine.report.markdown.facts import ORIGIN_WORDS
from refine.report.markdown.rendering import (
    Raw,
    code,
    escape,
    fence,
    quote,
    rendered,
    slug,
    table,
    values_table,
)
from refine.report.markdown.round import RoundReportInputs, best_trials, round_report, what_ran
from refine.review.checks import ChecksContext, checks_of
from refine.review.decision import Decision, decided_space
from refine.review.worth import worth_of
from refine.space.categorical import Categorical
from refine.space.parameters import Float, Integer
from refine.space.space import Space
from refine.trials.metric import Metric
from refine.trials.round_record import Node
from refine.utils.display import Grid

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pictures")]  # one report, drawn with its figures

GOLDEN = Path(__file__).parent / "golden" / "round.md"

SPACE = Space(
    {
        "lr": Float(0.5, 5, 10),
        "first_neuron": [4, 8, 16, 32],
        "dropout": (0, 0.5, 5),
        "optimizer": ["Adam", "Nadam"],
        "batch_size": Integer(2, 30, 8),
        "epochs": 150,
    },
    constraints=["lr < 5 or dropout < 0.5"],
)


def trials(space=SPACE, n=80):
    # Arithmetic instead of a generator's stream: the same frame with every NumPy.
    i = np.arange(n)
    roots = np.sqrt([2, 3, 5, 7, 11, 13, 17])
    rows = np.stack([((i * roots[j]) % 1 * p.size).astype(int) for j, p in enumerate(space.values())], axis=1)
    frame = pd.DataFrame(space.columns(rows[space.valid(rows)]))
    i = np.arange(len(frame))
    noise = (i * 37 % 101) / 101 - 0.5
    lr = np.asarray(frame.iloc[:, 0], dtype=float)
    dropout = np.asarray(frame.iloc[:, 2], dtype=float)
    frame["state"] = np.where(i % 17 == 5, "failed", np.where(i == 30, "diverged", "complete"))
    frame["value"] = np.round(0.97 - 0.012 * (lr - 0.7) ** 2 - 0.04 * dropout + 0.01 * noise, 4)
    frame.loc[frame["state"] != "complete", "value"] = np.nan
    frame["seconds"] = np.round(10 + 5 * noise, 3)
    frame["origin"] = "space_filling"
    frame["error"] = None
    frame.loc[frame["state"] == "failed", "error"] = (
        "Traceback (most recent call last):\n  File '/home/me/model.py', line 3\nValueError: a | b < `c`"
    )
    return frame


def depends(name):
    return Reason("depends_on", {"parameter": "dropout", "partners": [name]})


def curves():
    """Of five trials: the first overfits, the last reported too few epochs."""
    drawn = []
    for rank, n in enumerate((40, 40, 40, 20, 5), start=1):
        i = np.arange(n)
        decay = 0.75**i
        noise = ((i * 37 + rank) % 101 / 101 - 0.5) / 100
        late = np.maximum(0, i - n // 2) / n * (rank == 1)
        curve = {
            "loss": list(0.1 + 0.5 * decay - 0.1 * late + noise),
            "val_loss": list(0.12 + 0.5 * decay + 0.4 * late + noise),
            "acc": list(np.round(1 - 0.3 * decay, 3)),
            "val_acc": list(np.round(0.97 - 0.3 * decay + noise / 10, 4)),
        }
        drawn.append(trial_curves(rank, 0.974 - 0.001 * rank, curve, Metric("val_acc"), "maximize", 0.004))
    return tuple(curve_of_trial for curve_of_trial in drawn if curve_of_trial is not None)


@pytest.fixture(scope="module")
def facts():
    node = Node(
        None, SPACE, "sobol", 7, "examples.model:model", data="3f9a12c4", metric="val_acc", created=1.7e9
    )
    frame = trials()
    analysis = analyze(SPACE, frame, metric="val_acc", read={"batch_size": 0.0})
    # A proposal by hand: how it is found is tested elsewhere, and may change without changing this file.
    new = SPACE.replace({"lr": Float(0.5, 2, 7), "optimizer": Categorical(["Nadam"])})
    kinds = {"lr": "narrow", "optimizer": "drop"}
    changes = tuple(
        Change(
            name=n,
            kind=kinds.get(n, "keep"),
            old=SPACE[n],
            new=new[n],
            volume_kept=SPACE[n].volume_kept(new[n]),
            q=0.01,
            reasons=(depends(n),),
        )
        for n in SPACE.varied
    )
    claim = Claim(0.962, 0.0031, "residuals", 60)
    volume = SPACE.volume_kept(new)
    proposal = Proposal(
        old=SPACE,
        space=new,
        changes=changes,
        volume_kept=volume,
        claim=claim,
        risk=0.05,
        evidence=EvidenceSummary("c0ffee12", metric="val_acc", n=74, tested=73),
    )
    space, edits = decided_space(proposal, {"dropout": (0, 0.25)}, ("optimizer",))
    decision = Decision(
        kind="edited",
        proposal=proposal.digest,
        space=space,
        edits=edits.changed,
        rejected=("optimizer",),
        child="0123456789ab",
        note="Low dropout only.\nNadam may matter | later.",
        author="Ann",
        n=40,
        probability=0.943,
        volume_kept=0.1667,
    )
    worth = worth_of(analysis, claim.epsilon, new, 200)
    inputs = ChecksContext(
        proposal=proposal,
        goal="",
        curves=curves(),
        before=0.9701,
        allow_degenerate=False,
        worth=worth,
    )
    return RoundReportInputs(
        tree="breast_cancer",
        node=node,
        ancestors=(),
        n=80,
        analysis=analysis,
        proposal=proposal,
        decisions=(decision,),
        table=frame,
        codes=("aaaa1111", "bbbb2222"),
        environment={"numpy": "2.0.0", "keras": "3.9.0"},
        reproduce='import refine\n\nprint("hello")\n',
        store="sqlite:////home/ann/work/refine.db",
        curves=curves(),
        checks=checks_of(node.id, analysis, inputs),
    )


@pytest.fixture(scope="module")
def written(facts, tmp_path_factory, pictures):
    return round_report(facts, tmp_path_factory.mktemp("reports"))


def shown(*parts):
    """Parts of a report, with the names of pictures, which are not drawn."""
    return rendered(parts, lambda picture: Raw(f"![]({picture.name})"))


def test_the_report_is_the_golden_one(written):
    """Set REFINE_GOLDEN=1 to write the file anew, and read the difference before committing it."""
    text = written.read_text(encoding="utf-8")
    end = "<details><summary>Checks"
    assert end in text  # pages of checks and proposals are read elsewhere
    if os.environ.get("REFINE_GOLDEN"):
        GOLDEN.write_text(text.split(end)[0], encoding="utf-8")
    assert text.split(end)[0] == GOLDEN.read_text(encoding="utf-8")


def test_two_writes_are_equal_bytes_and_links_lead_to_every_picture(facts, written, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    later = replace(facts, node=replace(facts.node, created=2.0e9))
    second_report = round_report(later, tmp_path / "somewhere" / "else")
    assert written.read_bytes() == second_report.read_bytes()
    folder = written.parent / facts.node.id
    picture_link = r"!\[[^\]]*\]\(([^)]+)\)"
    links = set(re.findall(picture_link, written.read_text(encoding="utf-8")))
    details = (folder / "details.md").read_text(encoding="utf-8")
    links |= {f"{facts.node.id}/{name}" for name in re.findall(picture_link, details)}
    assert {f"{facts.node.id}/correlation.png", f"{facts.node.id}/density-lr.png"} < links
    assert links == {f"{facts.node.id}/{p.name}" for p in folder.iterdir() if p.suffix == ".png"}
    for name in ("details.md", "trials.csv"):
        assert (folder / name).read_bytes() == (second_report.parent / facts.node.id / name).read_bytes()
    for link in links:
        picture = (written.parent / link).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert picture == (second_report.parent / link).read_bytes(), link


def test_a_report_names_no_absolute_path_and_no_password(facts, written):
    text = written.read_text(encoding="utf-8")
    assert str(written.parent) not in text
    assert "/home/ann" not in text
    team = "postgresql://ann:secret@db.example.org:5432/rounds?sslmode=require"
    text = shown(what_ran(replace(facts, store=team)))
    assert "secret" not in text
    assert "`db.example.org/rounds`" in text


@pytest.mark.parametrize("failed", [False, True])
def test_a_round_without_values(facts, tmp_path, failed):
    table = facts.table.assign(state="failed", value=np.nan) if failed else facts.table.iloc[:0]
    bare = replace(facts, analysis=None, proposal=None, decisions=(), table=table, codes=(), curves=())
    text = round_report(bare, tmp_path).read_text(encoding="utf-8")
    assert "No trial has a value yet." in text
    assert "Nothing has been proposed." in text
    assert "![" not in text
    assert ("| failed |" in text) == failed


def test_an_error_of_several_lines_is_named_by_its_last_line(facts, tmp_path):
    error = "the process of this trial died; details below\nBrokenProcessPool: killed\n  +-----\n"
    table = facts.table.assign(error=facts.table["error"].where(facts.table["state"] != "diverged", error))
    text = round_report(replace(facts, table=table), tmp_path).read_text(encoding="utf-8")
    assert "`BrokenProcessPool: killed`" in text
    assert "died" not in text


def test_values_cannot_break_the_markdown(facts, tmp_path):
    nasty = "a|b`c`<img src=x>\n# head $x$ [l](http://e) *b*"
    names = {"lr": "l|r", "first_neuron": "__n__"}
    space = Space({names.get(n, n): p for n, p in SPACE.items()}).replace({"optimizer": [nasty, "Nadam"]})
    frame = trials(space)
    node = Node(None, space, "sobol", 7, "m:`f|g`", note="- <b>\n1. no list", metric="val_acc")
    analysis = analyze(space, frame, metric="val_acc")
    bare = replace(
        facts,
        node=node,
        table=frame,
        analysis=analysis,
        proposal=None,
        decisions=(),
        reproduce="'```'\n",
        curves=(),
        checks=None,
        tree="t_|_t",
    )
    text = round_report(bare, tmp_path).read_text(encoding="utf-8")
    assert "<img" not in text
    assert "<b>" not in text
    assert re.search(r"(?<!\\)\]\(http", text) is None
    assert re.search(r"^# head", text, flags=re.MULTILINE) is None
    assert "````python\n'```'\n````" in text
    for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line.replace("\\\\", ""))) for line in block.splitlines()}
        assert len(widths) == 1, block
    assert (tmp_path / node.id / "density-l-r.png").exists()


def test_the_report_counts_trials_by_origin(facts):
    """Counts by origin, and a column in the table of the best trials."""
    frame = facts.table.copy()
    frame.loc[[1, 2, 3], "origin"] = "exploit"
    frame.loc[[8], "origin"] = "audit"
    mixed = replace(facts, table=frame)
    drawn = rf"\| drawn \| {len(frame) - 4} [^,]+, 3 exploit, 1 audit \|"
    assert re.search(drawn, shown(what_ran(mixed)))
    rows = [line.split(" | ") for line in shown(best_trials(mixed)).splitlines() if line.startswith("| ")]
    assert rows[0][-2:] == ["drawn", "time |"]
    best = mixed.finished["origin"].map(ORIGIN_WORDS)[:5]
    assert [row[-2] for row in rows[2:]] == list(best)


def test_texts_are_escaped_for_markdown():
    assert escape("first_neuron") == "first_neuron"
    assert escape("__init__ a_ _b") == r"\_\_init\_\_ a\_ \_b"
    assert escape("a|b\nc") == r"a\|b c"
    assert escape("<x> & `y`") == r"&lt;x&gt; &amp; \`y\`"
    assert escape(escape("a|b")) == r"a\|b"
    assert escape("a\x1b[31mred\x00") == r"a\\x1b\[31mred\\x00"  # a terminal would obey the raw one
    assert code("a\x1bb") == r"`a\x1bb`"
    assert fence("a\x1bb\n\tc") == "```\na\\x1bb\n\tc\n```"
    assert quote("a\x07\nb") == r"> a\\x07<br>b"
    assert code("a`b") == "``a`b``"
    assert code("`") == "`` ` ``"
    assert code("a|<b>") == "<code>a&#124;&lt;b&gt;</code>"
    assert fence("```", "python") == "````python\n```\n````"
    assert quote("1. one\n# two") == r"> 1\. one<br>\# two"
    assert quote("- a") == r"> \- a"
    assert values_table(["a"], [["x|y"], [""]]) == "| a |\n| --- |\n| x\\|y |\n| - |"


def test_names_of_files_are_safe_and_distinct():
    slugs = set()
    assert [slug(n, slugs) for n in ("lr", "LR", "l/r", "../x", "||", "가")] == [
        "lr",
        "LR-2",
        "l-r",
        "x",
        "parameter",
        "parameter-2",
    ]


def test_arrows_and_empty_heads_are_readable_in_markdown():
    grid = Grid(("", "risk"), (("lr", "-> 1 to 2"), ("x > 1", "")))
    lines = table(grid).splitlines()
    assert lines[0] == "|  | risk |"
    assert lines[2:] == ["| lr | -> 1 to 2 |", "| x &gt; 1 | - |"]
    assert escape("1 -> 2") == "1 -> 2"
    assert escape("> quoted") == "&gt; quoted"
