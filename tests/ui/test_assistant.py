"""An assistant on a tree: it looks, suggests, runs within its budget, and doesn't decide. By the SDK's own client."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import objectives
import refine
from refine.errors import RefineError, RefineWarning, ReviewError
from refine.ui.assistant import Assistant

mcp = pytest.importorskip("mcp")

TESTS = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path, space):
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        # Its noise isn't known, so that runs under new seeds have something to tell.
        tree.add_round(space, objectives.bowl, n=60, seed=1).run(n=30, progress=False, check_noise=False)
        tree.add_round(space, objectives.bowl, n=60, seed=2)
    return path


def session(store, steps, *options):
    """Runs the server as a process and a client's steps against it."""
    code = f"import sys; sys.path[:0] = [{str(TESTS)!r}]; from refine.ui.cli import main; main()"
    at = mcp.StdioServerParameters(
        command=sys.executable, args=["-c", code, "mcp", str(store), *options], env=dict(os.environ)
    )

    async def play():
        async with mcp.Client(at) as client:

            async def call(name, **arguments):
                found = await client.call_tool(name, arguments)
                return ("error: " if found.is_error else "") + found.content[0].text

            return await steps(client, call)

    # In a thread of its own: a browser that other tests drive keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(lambda: asyncio.run(asyncio.wait_for(play(), 240))).result()


@pytest.mark.slow
def test_a_session(store):
    with refine.Tree("study", store=store) as tree:
        first, second = (r.id for r in tree.rounds)

    async def steps(client, call):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"tree", "proposal", "menu", "preview", "suggest", "run", "accept"} <= set(tools)
        assert all(tools[name].description for name in tools)
        assert first in await call("tree")
        assert "The proposed space keeps" in await call("proposal", round_id=first, risk=0.15)
        assert "What more or less risk would buy" in await call("menu", round_id=first)
        looked = await call("preview", round_id=first, edits={"dropout": [0, 0.2]})
        assert "If you accept this" in looked
        refused = await call("accept", round_id=first, edits={}, note="yes")
        assert refused.startswith("error: ")
        assert "accepting stays with a person" in refused
        assert "a suggestion needs a reason" in await call(
            "suggest", round_id=first, edits={"dropout": [0, 0.2]}, reason=" "
        )
        told = await call(
            "suggest",
            round_id=first,
            edits={"dropout": [0, 0.2]},
            reason="less regularised nets won elsewhere",
        )
        assert "stored as a suggestion of agent:ann" in told
        assert "did you mean 'dropout'" in await call(
            "suggest", round_id=first, edits={"droput": [0, 1]}, reason="x"
        )
        assert "20 trials ran; 0 left of the budget" in await call("run", round_id=second, trials=20)
        assert "more than the 0 left of a budget of 20" in await call("run", round_id=second, trials=1)
        assert "no round or tag" in await call("round", round_id="nothing")
        assert "agent:ann" in await call("round", round_id=first)

    session(store, steps, "--agent", "ann", "--budget", "20")
    with refine.Tree("study", store=store) as tree:
        assert len(tree) == 2
        assert len(tree[second].trials) == 20
        (kept,) = tree[first].decisions
        assert (kept.kind, kept.author, kept.child) == ("suggested", "agent:ann", None)
        assert kept.note == "less regularised nets won elsewhere"
        assert kept.edits["dropout"][1].high == 0.2
        assert kept.probability is not None
        assert kept.volume_kept < 1
        report = tree[first].report(store.parent / "reports").read_text()
        assert "Suggested by agent:ann" in report
        assert "The suggested space keeps" in report
        assert "The proposed one keeps" in report


@pytest.mark.slow
def test_a_person_may_let_it_decide(store):
    with refine.Tree("study", store=store) as tree:
        first = tree.rounds[0].id

    async def steps(client, call):
        return await call("accept", round_id=first, edits={"dropout": [0, 0.2]}, note="go on", n=12)

    assert "12 configurations" in session(store, steps, "--may-accept")
    with refine.Tree("study", store=store) as tree:
        assert tree.rounds[-1].space["dropout"].high == 0.2
        assert tree[first].decisions[-1].author == "agent:assistant"


@pytest.mark.slow
def test_runs_under_new_seeds_that_fail_count_against_the_budget(tmp_path, space):
    store = tmp_path / "noisy.db"

    def noisy(params, trial):
        return objectives.bowl(params) + random.Random(trial.seed).gauss(0, 0.1)

    def broken(params, trial):
        raise ValueError("no disk")

    with refine.Tree("study", store=store) as tree:
        first = tree.add_round(space, noisy, n=30, seed=1).run(progress=False, check_noise=False)
        name = first.node.objective
        worst = {n: first.trials.sort_values("value").iloc[0][n] for n in first.space}
    given = {"objective": broken, "name": name}
    assistant = Assistant(lambda: refine.Tree("study", store=store), budget=2, objective_of=lambda _: given)
    with pytest.raises(RefineError), pytest.warns(RefineWarning, match="another version of the objective"):
        assistant.judge("best", worst, seeds=2)
    assert assistant.ran > 0
    with pytest.raises(ReviewError, match="left of a budget of 2"):
        assistant.judge("best", worst, seeds=2)


def test_a_suggestion_differs_from_the_proposal(store):
    with (
        refine.Tree("study", store=store) as tree,
        pytest.raises(ReviewError, match="must differ from the proposal"),
    ):
        tree.rounds[0].propose(keep=False).suggest("as proposed")


def asked(url, *headers):
    """Status of the answer to a client that says hello, with some headers."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    request = urllib.request.Request(url, json.dumps(hello).encode(), dict(headers))
    request.add_header("Content-Type", "application/json")
    request.add_header("Accept", "application/json, text/event-stream")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    return refused.value.code, refused.value.read()


@pytest.mark.slow
def test_on_loopback_for_who_has_the_token(store):
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    server = subprocess.Popen(
        [sys.executable, "-m", "refine", "mcp", str(store), "--http", "0", "--agent", "ann"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        url, key = (server.stdout.readline().strip() for _ in range(2))
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mcp", url)
        name, _, bearer = key.partition(": ")
        assert re.fullmatch(r"Bearer \S{40,}", bearer)
        if sys.platform == "linux":
            port = int(url.split(":")[2].split("/")[0])
            listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            assert {c[1] for c in listening if c[3] == "0A" and c[1].endswith(f":{port:04X}")} == {
                f"0100007F:{port:04X}"
            }
        for wrong in ([], [(name, bearer[:-1])], [(name, bearer.split()[1])], [(name, "Bearer ")]):
            assert asked(url, *wrong) == (401, b"")
        assert asked(url, (name, bearer), ("Host", "refine.example"))[0] in (400, 403, 421)

        async def play():
            async with (
                httpx2.AsyncClient(headers={name: bearer}, timeout=120) as http,
                mcp.Client(streamable_http_client(url, http_client=http)) as client,
            ):
                looked = await client.call_tool("tree", {})
                refused = await client.call_tool("run", {"round_id": "last", "trials": 1})
                return looked.content[0].text, refused.content[0].text

        with ThreadPoolExecutor(1) as alone:
            looked, refused = alone.submit(lambda: asyncio.run(asyncio.wait_for(play(), 240))).result()
        assert "study" in looked
        assert "more than the 0 left of a budget of 0" in refused
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)
        server.stdout.close()
