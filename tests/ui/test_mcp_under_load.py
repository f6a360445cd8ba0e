"""The HTTP server for assistants with many clients at once: slow ones, cut connections and wrong bodies."""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import objectives
import refine
from tests.elsewhere import library

library("mcp")

SPACE = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "SGD"], "junk": (1, 8)}
WRONG = (b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"x" * 5_000_000, b'{"id": 1e999}')
NUMBERS = itertools.count()  # of requests: a session may not use one twice


class Client:
    """One session of a client."""

    def __init__(self, url, key):
        name, _, bearer = key.partition(": ")
        self.connection = http.client.HTTPConnection(url.split("/")[2], timeout=120)
        self.headers = {
            name: bearer,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        about = {"name": "client", "version": "1"}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}
        self.send(message("initialize", hello))
        answer = self.connection.getresponse()
        answer.read()
        self.headers["mcp-session-id"] = answer.headers["mcp-session-id"]

    def send(self, body):
        self.connection.request("POST", "/mcp", body, self.headers)

    def status(self):
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def send_slowly(self, body):
        self.connection.putrequest("POST", "/mcp")
        for name, value in {**self.headers, "Content-Length": str(len(body))}.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        for i in range(0, len(body), 10):
            self.connection.send(body[i : i + 10])
            time.sleep(0.02)

    def looked(self, tool, **arguments):
        self.send(message("tools/call", {"name": tool, "arguments": arguments}))
        answer = self.connection.getresponse()
        lines = [line for line in answer.read().decode().splitlines() if line.startswith('data: {"')]
        return json.loads(lines[-1].removeprefix("data: "))["result"]


def message(method, parameters):
    content = {"jsonrpc": "2.0", "id": next(NUMBERS), "method": method, "params": parameters}
    return json.dumps(content).encode()


@pytest.fixture
def served(tmp_path):
    """Address and key of a server that may run 4 trials."""
    path = tmp_path / "refine.db"
    with refine.Tree("study", store=path) as tree:
        root = tree.add_round(
            SPACE, objectives.bowl, n=30, metric=refine.Goal("value", noise="retraining")
        ).run()
        root.branch(SPACE, n=20)
    server = subprocess.Popen(
        [sys.executable, "-m", "refine", "mcp", str(path), "--http", "0", "--budget", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    url = server.stdout.readline().strip()
    key = server.stdout.readline().strip()
    yield path, url, key
    server.send_signal(signal.SIGINT)
    _, log = server.communicate(timeout=60)
    assert "Traceback" not in log


@pytest.mark.slow
def test_twenty_clients_at_once_are_all_answered_within_one_budget(served):
    path, url, key = served

    def client(number):
        session = Client(url, key)
        request = message("tools/call", {"name": "tree", "arguments": {}})
        if number % 4 == 0:
            session.send(request)
            session.connection.close()  # the answer is never read
        elif number % 4 == 1:
            session.send_slowly(request)
            assert session.status() == 200
        elif number % 4 == 2:
            session.send(WRONG[number // 4])
            assert 400 <= session.status() < 500
            session.connection.close()
        run = session.looked("run", round_id="last", trials=2)
        shown = session.looked("tree")
        session.connection.close()
        return bool(run.get("isError")), "study" in shown["content"][0]["text"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(client, range(20)))
    assert all(shown for _, shown in answers)
    assert sum(refused for refused, _ in answers) >= 18  # four trials are two runs
    with refine.Tree("study", store=path) as tree:
        assert len(tree["last"].trials) == 4
