"""The same page in a notebook: the widget's messages, a real kernel, and JupyterLab in Chromium."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from pages import drag, settled, until

import refine

SETUP = """
import refine


def score(p):
    slow = 0.1 * (p["optimizer"] == "SGD")
    return 1 - 0.05 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - slow


tree = refine.Tree("question", store="refine.db")
space = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}
root = tree.add_round(space, score, n=100, seed=3).run(progress=False)
"""


class Sent(list):
    """What a widget sends, in place of a kernel's connection."""

    def __call__(self, content, buffers=None):
        self.append((content, buffers))


@pytest.mark.slow
def test_the_widget_answers_the_front_end(root, monkeypatch):
    review = root.propose(risk=0.1).edit(dropout=(0, 0.3))
    widget = review.show()
    shown = widget._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    assert "application/vnd.jupyter.widget-view+json" in data
    assert (data["text/plain"], data["text/html"]) == (str(review), review._repr_html_())
    sent = Sent()
    monkeypatch.setattr(widget, "send", sent)

    def ask(message):
        widget._handle_custom_msg({"number": len(sent), "message": message}, [])
        return sent[-1]

    content, _ = ask({"type": "start"})
    assert content["number"] == 0
    assert content["answer"]["edits"] == {"dropout": {"bounds": [0.0, 0.3]}}
    shown = ask({"type": "round", "round": root.id, "risk": 0.1})[0]["answer"]
    json.dumps(shown, allow_nan=False)
    drawn = {"round": root.id, "risk": 0.1, "proposal": shown["review"]["proposal"]}
    content, buffers = ask({"type": "trials", **drawn})
    assert "answer" not in content
    assert len(buffers[0]) == shown["review"]["trials"] * (2 * len(shown["review"]["panels"]) + 2 + 9)
    assert widget.child is None
    answer = ask({"type": "decide", "kind": "accept", **drawn, "n": 30})[0]["answer"]
    assert widget.child.id == answer["child"]
    assert "error" in ask("nonsense")[0]["answer"]


def test_without_anywidget_it_says_what_to_do(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "refine.ui.web.widget", raising=False)
    with pytest.raises(
        refine.errors.ReviewError, match=r"show needs anywidget, .*refine-hpo\[notebook\]'; in a browser"
    ):
        root.propose().show()


@pytest.mark.slow
def test_a_kernel_shows_it(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    cells = [SETUP, "view = root.propose().show()\nview", "print(view.child)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = notebook.cells[1].outputs[0].data
    assert "application/vnd.jupyter.widget-view+json" in shown
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    model = state[shown["application/vnd.jupyter.widget-view+json"]["model_id"]]
    assert model["state"]["_esm"] == (Path(refine.__file__).parent / "ui/web/static/review.js").read_text()
    assert notebook.cells[2].outputs[0].text == "None\n"
    # What is seen where nobody answers: in a saved notebook, or an exported one.
    assert "<table" in shown["text/html"]
    assert model["state"]["glance"] == shown["text/html"]
    assert "dropout" in shown["text/plain"]


@pytest.fixture
def lab(tmp_path):
    """A running JupyterLab: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = {**os.environ, **{name: str(tmp_path / name) for name in folders}}
    options = (
        f"--no-browser --allow-root --port={port} --ip=127.0.0.1 --IdentityProvider.token={token} "
        f"--ServerApp.root_dir={tmp_path} --LabApp.news_url= --LabApp.check_for_updates_class="
    )
    command = [sys.executable, "-m", "jupyterlab", *options.split()]
    with (tmp_path / "lab.log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{base}/api?token={token}", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "lab.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.3)
        yield base, token
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.nightly
@pytest.mark.slow
def test_in_jupyterlab_a_bound_is_dragged_and_accepted(browser, lab, tmp_path):
    import nbformat

    base, token = lab
    cells = [
        SETUP,
        "view = root.propose().show()\nview",
        "print('child', view.child.id, view.child.space['dropout'].high)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "review.ipynb")
    context = browser.new_context(viewport={"width": 1500, "height": 1300})
    page = context.new_page()
    page.goto(f"{base}/lab/tree/review.ipynb?token={token}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
    page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=90_000)
    page.locator(".jp-CodeCell").nth(0).click()
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".refine-notebook .refine-numbers [data-number]", state="attached", timeout=90_000)
    settled(page)
    page.get_by_label("Accepted risk of the proposal").press("End")
    until(page, "document.querySelector('.refine-python pre').textContent.includes('risk=0.3')")
    settled(page)
    page.locator('[data-parameter="dropout"]').scroll_into_view_if_needed()
    drag(page, "dropout", "upper", 120)
    high = float(
        page.locator('[data-parameter="dropout"] [data-side="upper"]').get_attribute("aria-valuenow")
    )
    page.locator(".refine-accept").click()
    page.wait_for_selector(".refine-said.good")
    with refine.Tree("question", store=tmp_path / "refine.db", create=False) as tree:
        assert len(tree) == 2
        assert tree.rounds[1].space["dropout"].high == high
        assert tree.rounds[0].decisions[0].kind == "edited"
        child = tree.rounds[1].id
    page.locator(".jp-CodeCell").nth(2).click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(f"text=child {child} {high}")
    context.close()
