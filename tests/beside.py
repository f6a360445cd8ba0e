"""The review page and an assistant at work while their store is disturbed; used by ``make chaos``."""

import contextlib
import json
import random
import subprocess
import sys
import threading
import urllib.request
from collections import Counter

import refine
from refine.errors import RefineError


class Beside:
    """A page or an assistant, a process of its own that is asked in a thread while rounds are disturbed.

    Attributes:
        answers: How many there were of each kind; ``"refused"`` are errors in words.
        wrong: What should not have been answered.
        excluded: Round and key of a trial -> whether the page confirmed an exclusion or an inclusion; trials
            whose message was refused are absent.
    """

    def __init__(self, kind, url, first, runs, seed):
        self.kind = kind
        self.url = url
        self.draw = random.Random(seed)
        self.done = threading.Event()
        self.answers = Counter()
        self.wrong = []
        self.excluded = {}
        words = {"page": ["review", url, first, "--no-open"], "assistant": ["mcp", url, "--budget", "99999"]}
        command = [sys.executable, "-m", "refine", *words[kind], *runs]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if kind == "page":
            self.address = self.process.stdout.readline().strip()
        else:
            client = {"capabilities": {}, "clientInfo": {"name": "chaos", "version": "1"}}
            self._called("initialize", protocolVersion="2024-11-05", **client)
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def close(self):
        self.done.set()
        self.thread.join()
        self.process.terminate()
        self.process.communicate()

    def _work(self):
        try:
            while not self.done.wait(self.draw.uniform(0, 0.5)):
                with contextlib.suppress(RefineError):  # the store is away just now
                    self._page() if self.kind == "page" else self._assistant()
        except Exception as error:  # whatever it is, it is what is looked for
            self.wrong.append(f"{self.kind}: {error!r}; its process: {self.process.poll()}")

    def _called(self, method, **params):
        message = {"jsonrpc": "2.0", "id": self.answers.total(), "method": method, "params": params}
        print(json.dumps(message), file=self.process.stdin, flush=True)
        while (answer := json.loads(self.process.stdout.readline())).get("id") != message["id"]:
            pass
        return answer["result"]

    def _assistant(self):
        with refine.Tree("chaos", store=self.url, create=False) as tree:
            target = {"round_id": self.draw.choice(tree.rounds).id}
        edits = {**target, "edits": {"x": [0.0, self.draw.choice([0.5, 0.75])]}}
        calls = {name: {} for name in ("tree", "winner", "calibration")}
        calls |= dict.fromkeys(("round", "analysis", "proposal", "menu", "checks"), target)
        calls |= {"ask": {"question": "x <= 0.5"}}
        calls |= {"preview": edits, "suggest": {**edits, "reason": "there"}, "run": {**target, "trials": 2}}
        name = self.draw.choice(list(calls))
        answer = self._called("tools/call", name=name, arguments=calls[name])
        self._counted(name, bool(answer.get("isError")), answer["content"][0]["text"], "<study id=")

    def _counted(self, name, refused, text, marked=""):
        """An answer; one that was not foreseen says so, or lacks the mark of data."""
        self.answers["refused" if refused else name] += 1
        if marked not in text or "Unexpected error" in text:
            self.wrong.append(f"{name}: {text}")

    def _asked(self, kind, **fields):
        """The page's answer; an error is one without fields."""
        headers = {"Content-Type": "application/json", "Origin": self.address.rsplit("/", 2)[0]}
        body = json.dumps({"type": kind, **fields}).encode()
        request = urllib.request.Request(self.address + "ask", body, headers)
        with urllib.request.urlopen(request, timeout=300) as response:
            answer = json.load(response)
        self._counted(kind, "error" in answer, answer.get("error", ""))
        return {} if "error" in answer else answer

    def _page(self):
        if not (ids := list(self._asked("pulse").get("progress", ()))):
            return
        target = {"round": self.draw.choice(ids)}
        self._asked(self.draw.choice(["round", "list", "beside"]), **target)
        state = self.draw.choice(["complete", "excluded"])
        rows = self._asked("part", **target, by="number", filters={"state": {"is": state}}).get("rows")
        if rows and (trial := self._asked("trial", **target, number=self.draw.choice(rows)["number"])):
            excluded = not trial["excluded"]
            identity = (target["round"], trial["key"])
            self.excluded.pop(identity, None)
            request = {
                "number": trial["number"],
                "key": trial["key"],
                "excluded": excluded,
                "reason": "chaos",
            }
            if self._asked("exclude", **target, **request):
                self.excluded[identity] = excluded
