"""The session: messages in, answers out; whatever is wrong is an answer in words, and nothing is written."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pages import SPACE, score

import refine
from refine.errors import AnalysisError
from refine.report.pages.headline import headline_of
from refine.report.pages.preview import leaves_text, risks_text
from refine.report.pages.reasons import sentences
from refine.ui.web.drawing import MISSING
from refine.ui.web.session import Session
from refine.utils.display import to_text
from refine.utils.format import percent


@pytest.fixture(scope="session")
def first_round():
    """Its noise isn't known, so that the proposals differ by risk."""

    def first_look(tree):
        round_ = tree.add_round(
            SPACE, score, n=120, seed=3, note="first look", metric=refine.Goal("value", noise="retraining")
        )
        return round_.run()

    return first_look


@pytest.fixture
def session(root):
    return Session(root)


@pytest.fixture(scope="module")
def session_shown(tmp_path_factory, first_round, filled_store):
    """A session on such a round in which nothing is decided."""
    store = shutil.copy(filled_store(first_round), tmp_path_factory.mktemp("looked"))
    with refine.Tree("question", store=store) as tree:
        yield Session(first_round(tree))


def shown(session, round_=None, **options):
    """The answer about a round, by default the one that the session began with."""
    return session.handle({"type": "round", "round": (round_ or session.shown).id, **options})


def about(session, round_=None, **options):
    """A message about the drawn proposal of a round."""
    proposal = shown(session, round_)["review"]["proposal"]
    return {"round": (round_ or session.shown).id, "proposal": proposal, **options}


def ask(session, kind, round_=None, **options):
    return session.handle({"type": kind, **about(session, round_, **options)})


@pytest.mark.slow
def test_the_best_value_is_that_of_the_best_clause_and_the_chance_that_of_the_tile(session_shown):
    review = shown(session_shown)["review"]
    metric = session_shown.shown._goal.metric
    assert review["best"] == f"Best {metric} {review['best_value']}"
    assert review["best_value"].startswith(f"{session_shown.shown.best['value']:.4f} (")
    preview = ask(session_shown, "preview")
    assert preview["chance"] == f"risk {preview['tiles'][0]['number']}"
    rejected = [name for name, p in session_shown.shown.space.items() if p.size > 1]
    assert ask(session_shown, "preview", rejected=rejected)["chance"] == "nothing is cut off"


@pytest.mark.slow
def test_everything_is_json(session_shown):
    root = session_shown.shown
    json.dumps(
        [*map(session_shown.handle, ({"type": "tree"}, about(session_shown, type="round")))], allow_nan=False
    )
    assert session_shown.handle({"type": "start"})["shown"] == root.id
    assert session_shown.handle({"type": "tree"})["rounds"][0]["note"] == root._node.note != ""
    pulse = session_shown.handle({"type": "pulse"})
    assert pulse["progress"] == {root.id: {"ended": 120, "planned": 120, "text": "", "best": ""}}
    assert pulse["versions"] == {root.id: shown(session_shown)["version"]}


@pytest.mark.slow
def test_a_round_has_a_panel_per_parameter_the_clearest_first(session_shown):
    root = session_shown.shown
    review = shown(session_shown)["review"]
    analysis = root.analyze()
    assert [c["name"] for c in review["panels"]] == [e.name for e in analysis.ranked]
    by_name = {c["name"]: c for c in review["panels"]}
    proposal = root.propose().proposal
    assert review["proposal"] == proposal.digest
    assert by_name["dropout"]["proposed"] == [proposal.space["dropout"].low, proposal.space["dropout"].high]
    assert by_name["optimizer"]["proposed"] == [0, 1]
    assert (by_name["units"]["log"], by_name["units"]["edges"]) == (True, [3.5, 64.5])
    # Stops: levels, what is proposed, and beyond ends that are no natural limit; 0 is one for a rate.
    assert set(by_name["dropout"]["grid"]) <= set(by_name["dropout"]["stops"])
    assert by_name["dropout"]["stops"][0] == 0
    assert by_name["lr"]["stops"][-2:] == [9, 9.5]  # as far beyond the end as the range is wide
    assert by_name["units"]["stops"] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert by_name["lr"]["reason"].startswith(sentences(proposal["lr"].reasons))
    assert {c["key"] for c in review["checks"]} >= {"edges", "noise"}
    assert review["fixed"] == [{"name": "epochs", "value": "20"}]


@pytest.mark.slow
def test_the_proposals_by_risk_are_those_of_python(session_shown):
    root = session_shown.shown
    review = shown(session_shown)["review"]
    options = root.propose(keep=False).options()
    assert [(o["risk"], o["up_to"]) for o in review["options"]] == [(o.risk, o.up_to) for o in options.rows]
    assert [o["name"] for o in review["options"]] == [risks_text(o) for o in options.rows]
    assert review["option"] == options.rows.index(options.now)
    panels = {p["name"]: p for p in review["panels"]}
    for row, option in zip(review["options"], options.rows, strict=True):
        review_at_risk = shown(session_shown, risk=option.risk)["review"]
        proposed = {p["name"]: p["proposed"] for p in review_at_risk["panels"]}
        assert proposed == {name: row["proposed"][name] for name in panels}
        # Wherever the slider stands, its bounds are stops of the same axis.
        for name, panel in panels.items():
            if panel["kind"] == "range":
                assert set(row["proposed"][name]) <= set(panel["stops"])
                assert {p["name"]: p.get("stops") for p in review_at_risk["panels"]}[name] == panel["stops"]
    bold = review["options"][-1]
    last = options.rows[-1]
    assert bold["leaves"] == leaves_text(last)
    assert bold["text"] == f"{risks_text(last)}; drops {leaves_text(last)}"


@pytest.mark.slow
def test_the_difference_that_matters_is_kept_with_the_round(root, tree):
    session = Session(root, started=root.propose(epsilon=0.02, keep=False))
    before = shown(session)
    assert before["review"]["epsilon_given"] == 0.02
    assert shown(session, risk=0.1)["review"]["epsilon"] == 0.02
    answer = session.handle({"type": "epsilon", **about(session), "value": 0.05})
    assert (answer["review"]["epsilon_given"], answer["review"]["epsilon_text"]) == (0.05, "0.0500")
    assert answer["version"] != before["version"]
    assert root._epsilon == 0.05
    taken_back = session.handle({"type": "epsilon", "round": root.id, "value": None})["review"]
    assert taken_back["epsilon_given"] is None
    assert taken_back["epsilon"] == root.propose(keep=False).proposal.claim.epsilon
    for wrong, message in (
        (-1, "must be a number >= 0 in units of the metric"),
        (True, "value must be a number or null"),
    ):
        assert message in session.handle({"type": "epsilon", "round": root.id, "value": wrong})["error"]
    assert root._epsilon is None


@pytest.mark.slow
def test_the_packed_columns_hold_the_trials_of_the_table(session_shown):
    root = session_shown.shown
    review = shown(session_shown)["review"]
    data = ask(session_shown, "trials")
    n = review["trials"]
    names = [c["name"] for c in review["panels"]]
    assert len(data) == n * (2 * len(names) + 2 + 8 + 1)
    ranks = np.frombuffer(data, "<u2", n, 2 * n * len(names))
    values = np.frombuffer(data, "<f8", n, 2 * n * (len(names) + 1))
    flags = np.frombuffer(data, "u1", n, n * (2 * len(names) + 2 + 8))
    assert (np.argsort(ranks, kind="stable") == np.argsort(values, kind="stable")).all()
    table = root.trials
    assert (values == table["value"].to_numpy()).all()
    columns = np.frombuffer(data, "<u2", n * len(names)).reshape(len(names), n) / (MISSING - 1)
    label = np.asarray(["Adam", "Nadam", "SGD"])[np.floor(columns[names.index("optimizer")] * 3).astype(int)]
    assert (label == table["optimizer"].to_numpy()).all()
    assert [(flags & bit > 0).sum() for bit in (1, 2)] == [24, 0]
    assert values[flags & 1 == 1].min() >= np.sort(values)[-24]


@pytest.mark.slow
def test_a_preview_on_the_page_equals_the_preview_in_python(session_shown):
    root = session_shown.shown
    edits = {
        "dropout": {"bounds": [0, 0.3]},
        "optimizer": {"keep": [0]},
        "lr": {"bounds": [0.5, 2.5]},
    }
    message = about(session_shown, edits=edits, rejected=["units"], n=40, note="a note")
    answer = session_shown.handle({"type": "preview", **message})
    review = root.propose().edit(dropout=(0, 0.3), optimizer=["Adam"], lr=(0.5, 2.5)).reject("units")
    expected = review.preview(n=40)
    assert (answer["n"], answer["left"]) == (expected.n, expected.left)
    facts = {entry["name"]: entry["text"] for entry in answer["facts"]}
    assert f"Round       {facts['Round']}" in to_text(expected._page(), width=1000)
    risks = {entry["name"]: entry["text"] for entry in answer["risks"]}
    assert all(f"{name:<12}{text}" in to_text(review._page(), width=1000) for name, text in risks.items())
    assert facts["Space"].startswith(percent(expected.volume_kept))
    assert answer["code"] == (
        f'review = tree["{root.id}"].propose(risk=0.05)\n'
        "review = review.edit(dropout=(0, 0.3), optimizer=['Adam'], lr=(0.5, 2.5))\n"
        "review = review.reject('units')\n"
        "child = review.accept(note='a note', n=40, exploit=0.3)"
    )


@pytest.mark.slow
def test_the_code_makes_the_same_child(session, root, tree):
    edits = {"dropout": {"bounds": [0, 0.3]}, "optimizer": {"keep": [0, 2]}, "units": {"bounds": [4, 16]}}
    plan = {"exploit": 0.5, "audit": 0.1, "workers": 2, "hours": 0.5, "trials": 30}
    message = about(session, edits=edits, rejected=["lr"], n=40, note='it\'s "low"', **plan)
    code = session.handle({"type": "preview", **message})["code"]
    child = tree[session.handle({"type": "decide", "kind": "accept", **message})["child"]]
    calls, last = code.rsplit("\n", 1)
    assert last == "child.run(trials=30, machine=refine.Machine(workers=2, hours=0.5))"
    namespace = {"tree": tree, "refine": refine}
    exec(calls, namespace)
    assert namespace["child"].id == child.id == session.child.id
    assert len(tree) == 2
    (decision,) = root._decisions
    assert (decision.kind, decision.note, decision.rejected) == ("edited", 'it\'s "low"', ("lr",))
    assert child.space["optimizer"].labels == ("Adam", "SGD")
    assert (child._node.exploit, child._node.audit, child.n) == (0.5, 0.1, 40)
    off = ask(session, "preview", n=40, exploit=0.0, audit=0.0)
    assert off["code"].endswith("review.accept(n=40, exploit=0.0, plan=refine.Plan(audit=0.0))")


@pytest.mark.slow
def test_the_recommendation_is_about_the_edited_space_and_its_plan(session_shown):
    root = session_shown.shown
    review = shown(session_shown)["review"]
    before = ask(session_shown, "preview")
    assert before["outlook"] == review["outlook"]["key"]
    edits = {"lr": {"bounds": [4, 5]}}
    after = ask(session_shown, "preview", edits=edits)
    assert after["outlook"] != before["outlook"]
    answer = ask(session_shown, "outlook", edits=edits)
    edited = root.propose(keep=False).edit(lr=(4, 5))
    headline = headline_of(edited)
    assert answer["key"] == after["outlook"]
    assert answer["verdict"] == edited.worth().verdict
    assert (answer["text"], answer["reason"]) == (headline.text, headline.reason)
    larger = ask(session_shown, "outlook", edits=edits, n=7)
    assert larger["key"] not in (after["outlook"], before["outlook"])


WRONG = r"""
{"edits": {"drpout": {"bounds": [0, 1]}}} => edit: .*'drpout'.*'dropout'
{"edits": {"dropout": {"bounds": [0.4, 0.1]}}} => edit: dropout: .* got \(0.4, 0.1\)
{"edits": {"optimizer": {"keep": []}}} => edit: optimizer: keep .* got \[\]
{"rejected": ["x"]} => reject: .*'x'.*: lr, dropout, units, optimizer, epochs
{"n": 0} => message 'decide': n .* got 0
{"edits": {"dropout": {"as": "started"}}} => edit: dropout: .*reload
{"note": "\ud800"} => note .*'\\ud800'
{"round": "abc"} => round 'abc'
{"explore": 0.5} => message 'decide': .*'explore'.*'exploit'
{"exploit": 2} => exploit .* got 2;
{"hours": 0} => hours .* got 0;
"""
"""Part of a message => the field at fault in the error, and its value or the nearest name."""


@pytest.mark.slow
@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_a_wrong_decision_is_refused_and_not_written(session_shown, line):
    root = session_shown.shown
    request, fault = line.split(" => ")
    message = {"type": "decide", "kind": "accept", **about(session_shown)}
    assert re.search(fault, session_shown.handle(message | json.loads(request))["error"])
    assert [r["id"] for r in session_shown.handle({"type": "tree"})["rounds"]] == [root.id]
    assert root._decisions == ()


@pytest.mark.slow
@pytest.mark.parametrize("risk", ["much", 3, True, 0, 10**400])
def test_a_risk_that_is_none_is_refused(session_shown, risk):
    root = session_shown.shown
    message = {"type": "decide", "kind": "accept", **about(session_shown), "risk": risk}
    refused = (
        "risk must be a probability from 0.01 to below 1, got",
        "message 'decide': risk must be a number, got",
    )
    assert session_shown.handle(message)["error"].startswith(refused)
    assert root._decisions == ()
    with pytest.raises(AnalysisError, match="^risk must"):
        Session(root, risk)


def test_a_round_that_is_too_small_to_analyse(tree):
    small = tree.add_round(SPACE, score, n=5, seed=8).run()
    answer = shown(Session(small), small)
    assert answer["review"] is None
    assert "least 10" in answer["why"]


@pytest.mark.slow
def test_a_review_begins_with_its_edits(session_shown):
    root = session_shown.shown
    review = root.propose(risk=0.1, keep=False).edit(dropout=(0, 0.3), optimizer=["SGD"]).reject("lr")
    answer = Session(root, started=review).handle({"type": "start"})
    assert (answer["risk"], answer["rejected"]) == (0.1, ["lr"])
    assert answer["edits"] == {"dropout": {"bounds": [0.0, 0.3]}, "optimizer": {"keep": [2]}}


class Lion:
    """A class that is chosen."""


EDITS = (
    ("dropout", (0.0, 0.2, 7), "0 to 0.2"),
    ("lr", refine.Float(0.5, 2.0, 3, log=True), "0.5 to 2"),
    ("units", [8, 16, 48], "8, 16, 48"),
    ("optimizer", ["Adam", Lion], "Adam, Lion"),
    ("epochs", 30, "30"),
)


@pytest.mark.slow
def test_an_edit_without_a_form_on_the_page_passes_through_unchanged(root):
    proposed = root.propose()
    for name, value, text in EDITS:
        review = proposed.edit({name: value})
        session = Session(root, started=review)
        edit = session.handle({"type": "start"})["edits"][name]
        json.dumps(edit, allow_nan=False)
        assert (edit["as"], edit["text"]) == ("started", text)
        digest = review.proposal.digest
        message = {"round": root.id, "proposal": digest, "edits": {name: edit}, "n": 6}
        sentence = session.handle({"type": "preview", **message})["facts"][-1]["text"]
        assert sentence.startswith(percent(review.preview().volume_kept))
        answer = session.handle({"type": "decide", "kind": "accept", **message})
        assert session.child.id == answer["child"]
        assert session.child.space == review.space


@pytest.mark.slow
def test_every_root_is_judged_by_its_own_metric(tree, root):
    other = tree.add_round(
        {"x": (0.0, 1.0, 30)},
        lambda p: {"loss": p["x"]},
        metric="loss",
        direction="minimize",
        n=24,
        name="f",
    ).run()
    session = Session(root)
    answer = shown(session, other)
    assert (answer["metric"], answer["direction"]) == ("loss", "minimize")
    rounds = {r["id"]: r for r in session.handle({"type": "tree"})["rounds"]}
    assert rounds[other.id]["about"] == "24/24 · best 0.0000"
    child = session.handle({"type": "decide", "kind": "accept", **about(session, other, n=4)})["child"]
    assert (tree[child]._value, tree[child]._direction) == ("loss", "minimize")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["replicates", "rerun"])
def test_runs_again_are_other_evidence(tree, root, way):
    calls = []

    def flaky(p, trial):
        calls.append(1)
        if p["x"] > 0.8 and len(calls) <= 24:
            raise ValueError("not now")
        return p["x"] + 0.1 * (trial.seed % 7)

    round_ = tree.add_round({"x": (0.0, 1.0, 30)}, flaky, n=24, name="f").run()
    session = Session(round_)
    pulse = session.handle({"type": "pulse"})
    message = {"type": "decide", "kind": "accept", **about(session, round_, n=4)}
    if way == "rerun":
        round_.run(rerun=["failed"])
    else:
        round_.add(repeat=5, seeds=3).run()
    assert session.handle({"type": "pulse"})["versions"] != pulse["versions"]
    assert round_.id in session.handle(message)["error"]
    assert round_._decisions == ()
    digest = shown(session, round_)["review"]["proposal"]
    assert digest == round_.propose().proposal.digest != message["proposal"]


@pytest.mark.slow
def test_trials_that_are_left_out_or_deleted_are_other_evidence(session, root, tree):
    def best():
        return session.handle({"type": "tree"})["rounds"][0]["about"]

    first = best()
    number = int(root.best.name)
    pulse = session.handle({"type": "pulse"})
    assert pulse["versions"].keys() == {root.id}
    message = {"type": "decide", "kind": "accept", **about(session, n=4)}
    root.exclude([number], "other data")
    assert session.handle({"type": "pulse"})["versions"] != pulse["versions"]
    # The side shows no trial that counts no more.
    assert best() == f"120/120 · best {root.best['value']:.4f}" != first
    assert root.id in session.handle(message)["error"]
    root.exclude([number], undo=True)
    assert best() == first
    message |= about(session)
    tree.delete(root, [0])  # one that was not the last
    assert root.id in session.handle(message)["error"]
    assert root._decisions == ()


@pytest.mark.slow
def test_answers_are_about_the_drawn_proposal_after_new_trials(session, root):
    drawn = about(session)
    before = session.handle({"type": "trials", **drawn})
    root.run(n=130)
    shown(session)
    assert session.handle({"type": "trials", **drawn}) == before
    assert len(ask(session, "trials")) > len(before)


@pytest.mark.slow
def test_looking_stores_nothing_and_deciding_stores_the_proposal(session, root, tree):
    stored = lambda: list(tree._context.store.proposals(root._stored.pk))  # noqa: E731
    for n in (121, 122, 123):
        shown(session, risk=0.2)
        root.run(n=n)
    message = {"type": "decide", "kind": "decline", **about(session)}
    assert stored() == []
    declined = {"child": None, "text": "Declined: the space is unchanged.", "warning": ""}
    assert session.handle(message) == declined
    assert (root._decisions[0].kind, len(tree)) == ("declined", 1)
    assert stored() == [message["proposal"]] == [root._decisions[0].proposal]


def test_an_internal_error_is_answered_in_words(session, root, monkeypatch, caplog):
    monkeypatch.setattr(Session, "_best", None, raising=False)
    monkeypatch.setattr(session, "_top", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in session.handle({"type": "tree"})["error"]


@pytest.mark.slow
def test_names_that_are_not_identifiers_are_printed_as_a_mapping(tree):
    space = {"lambda": (0.0, 1.0, 6), "a b": (0.0, 1.0, 6)}
    round_ = tree.add_round(space, lambda p: p["lambda"], n=30, name="f").run()
    session = Session(round_)
    message = about(session, round_, edits={"lambda": {"bounds": [0, 0.4]}}, n=5)
    code = session.handle({"type": "preview", **message})["code"]
    assert "review.edit({'lambda': (0, 0.4)})" in code
    namespace = {"tree": tree}
    exec(code, namespace)
    assert namespace["child"].space["lambda"].high == 0.4


@pytest.mark.slow
def test_the_size_of_a_round_is_limited_to_the_configurations_left(session_shown):
    edits = {"dropout": {"bounds": [0, 0.1]}, "optimizer": {"keep": [0]}, "lr": {"bounds": [0.5, 1.0]}}
    message = about(session_shown, edits=edits, n=5000)
    answer = session_shown.handle({"type": "preview", **message})
    assert answer["n"] == answer["left"] < 5000
    assert f"(n={answer['n']}, " in answer["code"]


@pytest.mark.slow
def test_many_ask_at_once(session, root, tree):
    message = {"type": "decide", "kind": "accept", **about(session, n=30)}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(session.handle, [message] * 16))
    assert (len({a["child"] for a in answers}), len(tree)) == (1, 2)


@pytest.mark.slow
def test_the_tile_of_top_trials_says_whether_those_cut_off_are_better(session, root):
    answer = ask(session, "preview")
    review = root.propose()
    preview = review.preview()
    kept_tile = answer["tiles"][1]
    assert kept_tile["number"] == f"{10 - len(preview.lost)} of 10"
    tie = preview.expected is not None and preview.expected.loss <= 0
    assert (";" in kept_tile["text"]) != tie  # values of the trials cut off, unless none is better


def test_a_store_that_closes_under_an_analysis_is_logged_only_while_the_page_is_served(
    session, monkeypatch, caplog
):
    def closed(message):
        raise RuntimeError("the store is closed")

    monkeypatch.setattr(session, "_round", closed)
    assert "the store is closed" in shown(session)["error"]
    assert len(caplog.records) == 1
    session.stop()
    assert "error" in shown(session)
    assert len(caplog.records) == 1
