"""The review page with its data in one read-only file, which opens without a server or a network."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import time
from base64 import b64encode
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from refine._version import VERSION
from refine.errors import ReviewError, shown
from refine.space.literals import python_text
from refine.ui.web.session import Session
from refine.ui.web.trials import part_content
from refine.utils.plain import plain

if TYPE_CHECKING:
    from refine.tree.tree import Tree

_FILE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; img-src data:">
<title>{name} · refine</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body class="refine-body">
<p class="refine-copy">A copy of {name}, made by refine {version} on {day}. <span>Try edits freely: the \
study stays unchanged, and the page shows the Python to type.</span></p>
<div id="refine"></div>
<noscript>The page needs JavaScript.</noscript>
<script type="text/plain" id="refine-data">{data}</script>
<script type="text/plain">{licences}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def _answers(session: Session) -> dict[str, Any]:
    """Answers to the messages of a page about a study, by type, round and further fields of the message."""
    risk = session.risk
    last = session.shown
    answers = dict[str, Any]()

    def keep(kind: str, *key: object, **message: object) -> Any:
        answer: Any = session.handle({"type": kind, **message})
        if isinstance(answer, bytes):
            answer = {"bytes": b64encode(answer).decode()}
        elif "error" in answer and kind != "figure":  # a round may have no figures
            raise ReviewError(answer["error"])
        answers[" ".join(map(str, (kind, *key)))] = answer
        return answer

    for kind in ("start", "pulse", "tree"):
        keep(kind)
    winner = session.handle({"type": "winner", "round": last.id})
    for key in last._context.nodes:
        keys = {"round": key}
        round_ = session._found({"round": key})
        sheet = session._sheet(keys)
        for kind in ("track", "points"):
            keep(kind, key, **keys)
        answers[f"winner {key}"] = winner
        rows = list[Any]()
        n = keep("list", key, **keys)["n"]
        for i in range(n):
            if i % 100 == 0:
                rows += part_content(sheet, {"by": "number", "offset": i})["rows"]
            keep("trial", key, i, **keys, number=i)
        values = {c.name: plain(sheet.frame[c.name].tolist()) for c in sheet.shown if c.kind == "number"}
        answers[f"rows {key}"] = {"rows": rows, "values": values}
        if round_._node.parent is not None:
            keep("beside", key, round_._node.parent, **keys, other=round_._node.parent)
        if session.other is not None:  # each round is compared with the last round of the other study
            last_other = session.other.shown
            for other in last_other._context.nodes if key == last.id else (last_other.id,):
                keep("beside", key, other, **keys, other=other, across=True)
        if len(round_._goals) > 1:
            keep("front", key, **keys)
        review = keep("round", key, risk, **keys, risk=risk)["review"]
        drawn = {**keys, "risk": risk, "proposal": review and review["proposal"]}
        keep("figure", key, "best_so_far", **drawn, name="best_so_far")
        if review is None:
            continue
        for kind in ("trials", "numbers"):
            keep(kind, key, **drawn)
        other_risks = [o["risk"] for o in review["options"] if not o["risk"] <= risk <= o["up_to"]]
        for proposal_risk in (risk, *other_risks):
            shown = review
            if proposal_risk != risk:
                shown = keep("round", key, proposal_risk, **keys, risk=proposal_risk)["review"]
            for panel in (p for p in shown["panels"] if p["kind"] == "choice"):
                panel["spelt"] = [python_text(value) for value in round_.space[panel["name"]].grid]
            if shown["outlook"]["step"]["do"] not in ("accept", "winner"):
                shown["outlook"]["step"] = {"do": ""}  # the call is printed instead of a button
            keep("preview", key, proposal_risk, **keys, risk=proposal_risk, proposal=shown["proposal"])
    return answers


def saved_page(tree: Tree, risk: float, second_tree: Tree | None) -> str:
    """The rounds of a tree as an HTML page: see :meth:`refine.Tree.report`."""
    other = None
    if second_tree is not None:
        other = Session(second_tree._at_once().rounds[-1], risk)
    session = Session(tree._at_once().rounds[-1], risk, other=other)
    answers = [_answers(study) for study in (session, other) if study is not None]
    static = files("refine.ui.web") / "static"
    names = ("review.css", "review.js", "LICENSES.txt")
    style, script, licences = ((static / name).read_text(encoding="utf-8") for name in names)
    definitions, _, name = script.rpartition("export{")  # a page in one file has nowhere to import it from
    opened = 'open(document.getElementById("refine"), document.getElementById("refine-data").textContent);'
    script = f"{definitions}{name.split()[0]}.{opened}"
    return _FILE.format(
        name=html.escape(shown(" and ".join(study["start"]["tree"] for study in answers))),
        version=VERSION,
        day=time.strftime("%Y-%m-%d"),
        hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        script=script,
        licences=licences,
        data=b64encode(gzip.compress(json.dumps(answers, allow_nan=False).encode(), mtime=0)).decode(),
    )
