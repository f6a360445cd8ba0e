"""The same page in a notebook: the widget's messages, and a real kernel."""

import json
import sys
from pathlib import Path

import pytest

import refine

SETUP = """
import refine


def score(p):
    slow = 0.1 * (p["optimizer"] == "SGD")
    return 1 - 0.05 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"] - slow


tree = refine.Tree("question", store="refine.db")
space = {"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6), "optimizer": ["Adam", "Nadam", "SGD"]}
root = tree.add_round(space, score, n=40, seed=3).run(machine=refine.Machine(progress=False))
"""


class Sent(list):
    """Messages of a widget, in place of a kernel's connection."""

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


def test_show_without_anywidget_names_the_package_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "refine.ui.web.widget", raising=False)
    text = r"show needs anywidget, .*refine-hpo\[notebook\]'; in a browser"
    with pytest.raises(refine.errors.ReviewError, match=text):
        root.propose().show()


@pytest.mark.nightly
def test_a_kernel_shows_it(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    cells = [SETUP, "view = root.propose().show()\nview", "print(view.child)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    shown = notebook.cells[1].outputs[0].data
    assert "application/vnd.jupyter.widget-view+json" in shown
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    model = state[shown["application/vnd.jupyter.widget-view+json"]["model_id"]]
    assert model["state"]["_esm"] == (Path(refine.__file__).parent / "ui/web/static/review.js").read_text()
    assert notebook.cells[2].outputs[0].text == "None\n"
    # What is seen where nobody answers: in a saved notebook, or an exported one.
    printed = notebook.cells[1].outputs[1].data
    assert "<table" in model["state"]["glance"]
    assert (
        printed["text/html"] == f'<div class="{model["state"]["fallback"]}">{model["state"]["glance"]}</div>'
    )
    assert "dropout" in printed["text/plain"]


@pytest.mark.browser
@pytest.mark.nightly
def test_an_exported_notebook_shows_the_review_without_a_network(browser, tmp_path):
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    cells = [SETUP, "root.propose().show()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    written = tmp_path / "notebook.html"
    written.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(written.as_uri(), wait_until="domcontentloaded")
    shown = page.locator(".jp-OutputArea").last.inner_text()
    context.close()
    for text in ("then run", "dropout", "Claim"):
        assert text in shown


@pytest.mark.browser
def test_a_drawn_widget_hides_the_printed_review_below_it(browser):
    """The front end of a notebook, drawn by hand: its model answers nothing, as in a saved notebook."""
    static = Path(refine.__file__).parent / "ui/web/static/review.js"
    model = (
        "{get: name => ({glance: '<b>glance</b>', fallback: 'refine-fallback-1'})[name],"
        " send() {}, on() {}, off() {}}"
    )
    context = browser.new_context()
    page = context.new_page()
    page.set_content("<div id=widget></div><p class=refine-fallback-1>printed</p><p>below</p>")
    page.evaluate(
        "async code => {"
        " const url = URL.createObjectURL(new Blob([code], {type: 'text/javascript'}));"
        " const module = await import(url);"
        f" module.default.render({{model: {model}, el: document.getElementById('widget')}}); }}",
        static.read_text(encoding="utf-8"),
    )
    assert page.get_by_text("glance").is_visible()
    assert page.get_by_text("below").is_visible()
    assert page.get_by_text("printed").is_hidden()
    context.close()
