"""One piece of advice: every surface gives the same verdict, the same first call, and the same next round."""

import json
import random
import re
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

import refine
from refine.report.pages.headline import headline_of
from refine.review.review import advised_round_of
from refine.ui.assistant import Assistant
from refine.ui.cli import app
from refine.ui.web.session import Session
from refine.utils.display import to_html, to_text

pytestmark = pytest.mark.slow

SPACE = {"lr": (0.5, 5.0, 19), "optimizer": ["Adam", "Nadam", "SGD"], "dropout": (0.0, 0.5, 11)}


def settled(params):
    """A smooth score whose best region 24 trials find."""
    return 1 - 0.1 * (params["lr"] - 2) ** 2 - 0.2 * (params["optimizer"] == "SGD")


def rising(params):
    """A noisy score whose best values lie at an end of the space."""
    noise = random.Random(repr(sorted(params.items()))).gauss(0, 0.15)
    return params["lr"] * (1 - params["dropout"]) + noise


# Verdict -> a study that gets it.
STUDIES = {
    "STOP": (settled, {name: SPACE[name] for name in ("lr", "optimizer")}, 24),
    "CONTINUE": (rising, SPACE, 60),
}


@pytest.fixture(scope="module", params=STUDIES)
def study(request, tmp_path_factory):
    """The path of a store with one round that has run."""
    path = tmp_path_factory.mktemp(request.param) / "refine.db"
    objective, space, n = STUDIES[request.param]
    with refine.Tree("study", store=path) as tree:
        tree.add_round(space, objective, n=n, seed=3).run()
        assert tree.rounds[-1].propose(keep=False).worth().verdict == request.param
    return path


@pytest.fixture
def tree(study):
    with refine.Tree("study", store=study) as opened:
        yield opened


@pytest.fixture
def review(tree):
    return tree.rounds[-1].propose(keep=False)


def values(call, names):
    """The values of some options in a call as text, by name."""
    values_by_surface = {}
    for name, pattern in names.items():
        match = re.search(pattern, call)
        if match:
            values_by_surface[name] = float(match[1])
    return values_by_surface


PYTHON = {"n": r"\bn=(\d+)", "exploit": r"\bexploit=([\d.]+)"}
SHELL = {"n": r"--n (\d+)", "exploit": r"--exploit ([\d.]+)"}
TOOLS = {"n": r"trials (\d+)", "exploit": r"exploit ([\d.]+)"}


def advised(review):
    """Size and exploit share as calls write them: a share of 0 is left out."""
    plan = advised_round_of(review)
    return {"n": plan.n, **({"exploit": plan.exploit} if plan.exploit else {})}


def terminal(review, _):
    text = to_text(review._page(), width=2000)
    first = re.search(r"^Next +(.*)$", text, re.MULTILINE)[1]
    return text, first, values(re.search(r"review\.accept\([^)]*\)", text)[0], PYTHON)


def notebook(review, _):
    html = to_html(review._page())
    first = next(iter(review._page().calls))
    assert str(first) in html.replace("&#x27;", "'")
    return html, str(first), values(re.search(r"review\.accept\([^)]*\)", html)[0], PYTHON)


def page(review, tree):
    session = Session(tree.rounds[-1])
    content = session.handle({"type": "round", "round": review.round.id})["review"]
    message = {"round": review.round.id, "proposal": content["proposal"]}
    preview = session.handle({"type": "preview", **message})
    for plan in (content["plan"], preview["plan"]):
        assert {name: plan[name] for name in ("n", "exploit", "audit")} == asdict(advised_round_of(review))
    assert preview["outlook"] == content["outlook"]["key"]
    return json.dumps(content), content["first_call"], values(preview["code"].splitlines()[-1], PYTHON)


def shell(review, tree):
    text = CliRunner().invoke(app, ["propose", str(tree._url)]).stdout
    first = text.split("\nnext:\n")[1].splitlines()[0].strip()
    accept = next(line for line in text.splitlines() if line.strip().startswith("refine accept"))
    return text, first, values(accept, SHELL)


def assistant(review, tree):
    text = Assistant(lambda: refine.Tree("study", store=tree._url)).proposal()
    first = text.split("\nnext:\n")[1].splitlines()[0].strip()
    accept = next(line for line in text.splitlines() if line.strip().startswith("tool accept"))
    return text, first, values(accept, TOOLS)


SURFACES = (terminal, notebook, page, shell, assistant)
FIRST = {
    "STOP": ("tree.winner()", "refine winner", "tool winner"),
    "CONFIRM": ("tree.confirm(", "refine confirm", "tool judge"),
    "CONTINUE": ("review.accept(", "refine accept", "tool accept"),
}
"""Verdict -> how the surfaces spell the first call."""


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_gives_the_same_advice(surface, tree, review):
    text, first, plan = surface(review, tree)
    headline = headline_of(review)
    assert headline.text in text
    assert headline.reason in text
    assert first.startswith(FIRST[review.worth().verdict])
    assert plan == advised(review)


def test_the_calls_of_all_surfaces_create_the_same_round(tree, review):
    plan = advised_round_of(review)
    child = review.accept()
    assert (child.n, child._node.exploit, child._node.audit) == (plan.n, plan.exploit, plan.audit)
    called = review.accept(**{name: int(v) if name == "n" else v for name, v in advised(review).items()})
    assert called.id == child.id
    session = Session(tree.rounds[0])
    content = session.handle({"type": "round", "round": review.round.id})["review"]
    decided = session.handle(
        {"type": "decide", "kind": "accept", "round": review.round.id, "proposal": content["proposal"]}
    )
    assert decided["child"] == child.id
