"""The recorded session in docs/teams.md: a scripted assistant, and a person in the shell.

``REFINE_GOLDEN=1`` writes it into the page anew.
"""

import asyncio
import json
import os
import re
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest
from recorder import Terminal
from test_sessions import DOCS, compare, files_of

import refine
from tests.elsewhere import library

pytestmark = pytest.mark.slow

mcp = library("mcp")

_LINES = {"tree": 0, "preview": 0, "judge": 0, "calibration": 40}
"""Of an answer, so many lines are shown, and of others 8; a call with none isn't shown at all."""


def _wrapped(line):
    """A line of the page, in parts that its column has room for."""
    return textwrap.wrap(line, 110, subsequent_indent="    ", break_long_words=False) or [""]


class Session(Terminal):
    """A terminal, and the calls of an assistant beside what is typed."""

    def called(self, name, arguments, answer):
        """Notes a call and the beginning of its answer."""
        arguments_shown = ", ".join(f"{k}={json.dumps(v)}" for k, v in arguments.items())
        lines = [line.rstrip() for line in re.sub(r"</?study id=\w+>\n?", "", answer).splitlines()]
        max_lines = _LINES.get(name, 8)
        if not max_lines:
            return
        shown = [*lines[:max_lines], *(["..."] if len(lines) > max_lines else [])]
        self.said.append(f"ann> {name}({arguments_shown})")
        wrapped = [part for line in [f"ann> {name}({arguments_shown})", *shown] for part in _wrapped(line)]
        self.text += "\n".join(wrapped) + "\n\n"


@pytest.mark.nightly
def test_an_assistant_and_a_person_work_on_one_study(tmp_path):
    folder = tmp_path / "study"  # which names the tree
    folder.mkdir()
    session = Session(folder)
    for name, content in files_of("shell.md").items():
        (folder / name).write_text(content)
    session.run(
        "refine run study.db --space space.toml --objective objective.py:score --n 60 "
        "--set round.seed=7 --quiet"
    )
    session.text = ""
    session.said = []
    with refine.Tree("study", store=folder / "study.db") as tree:
        root = tree.rounds[0].id
    (line,) = re.findall(r"^refine (mcp .*)$", (DOCS / "teams.md").read_text(), re.M)
    arguments = ["-m", "refine", *line.split()]
    server = mcp.StdioServerParameters(
        command=sys.executable,
        args=[*arguments, "--objective", "objective.py:score"],
        cwd=str(folder),
        env=dict(os.environ),
    )

    async def play():
        async with mcp.Client(server) as client:

            async def call(name, **arguments):
                answer = await client.call_tool(name, arguments)
                session.called(name, arguments, answer.content[0].text)
                return ("error: " if answer.is_error else "") + answer.content[0].text

            assert root in await call("tree")
            assert "Risk  " in await call("proposal", round_id=root)
            edits = {"optimizer": ["Adam"], "dropout": [0, 0.2]}
            await call("preview", round_id=root, edits=edits)
            suggestion = await call(
                "suggest", round_id=root, edits=edits, reason="SGD and dropout never won here"
            )
            assert "agent:ann" in suggestion
            refused = await call("accept", round_id=root, edits=edits, note="go on")
            assert refused.startswith("error: ")
            # The person looks, and decides otherwise.
            await asyncio.to_thread(session.run, f"refine accept study.db {root} --note 'wider' --n 40")
            child = [r.id for r in refine.Tree("study", store=folder / "study.db").rounds][-1]
            assert re.search(r"\b20 trials\b.*\b0 left\b", await call("run", round_id=child, trials=20))
            assert re.search(r"\b0 left\b.*\b20\b", await call("run", round_id=child, trials=1))
            assert re.search(r"^(KEEP|CONFIRM|DISCARD)\b", await call("judge", a=child), re.MULTILINE)
            assert "agent:ann" in await call("calibration")
            return child

    with ThreadPoolExecutor(1) as alone:
        child = alone.submit(lambda: asyncio.run(asyncio.wait_for(play(), 280))).result()
    with refine.Tree("study", store=folder / "study.db") as tree:
        assert len(tree[child].trials) == 20
        (suggested,) = tree.calibration().suggestions
        assert (suggested.decision.author, suggested.taken) == ("agent:ann", ())
    compare("teams.md", session)
