"""The trials of a round on the page: list, single trial, exclusions, scale of values, and figures."""

import inspect
import json
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import refine
from refine.report.plots import Plots
from refine.review import checks
from refine.ui.web import trials
from refine.ui.web.content import PICTURES
from refine.ui.web.drawing import MISSING, axis, view_of
from refine.ui.web.session import Session
from refine.utils.format import score

SPACE = {"lr": refine.Float(0.001, 1.0, 10, log=True), "optimizer": ["Adam", "SGD"], "epochs": 3}


LAST_LINE = "from the first step on"


def train(p, trial):
    if p["lr"] > 0.5 and p["optimizer"] == "SGD":
        raise ValueError(f"the loss is NaN\n{LAST_LINE}")
    for epoch in range(1, 4):
        trial.report(epoch, {"val_loss": p["lr"] / epoch, "loss": p["lr"] / epoch / 2})
    return {"val_loss": p["lr"] / 3, "size": 10.0}


@pytest.fixture(scope="module")
def round_(tmp_path_factory):
    with refine.Tree("trials", store=tmp_path_factory.mktemp("trials") / "refine.db") as tree:
        goal = {"metric": "val_loss", "direction": "minimize"}
        yield tree.add_round(SPACE, train, n=20, seed=1, **goal).run()


@pytest.fixture(scope="module")
def ask(round_):
    session = Session(round_)
    target = {"round": round_.id}
    proposal = session.handle({"type": "round", **target})["review"]["proposal"]

    def asked(kind, **options):
        drawn = {"proposal": proposal} if kind in ("trials", "numbers", "figure") else {}
        answer = session.handle({"type": kind, **target, **drawn, **options})
        if not isinstance(answer, bytes):
            json.dumps(answer, allow_nan=False)
        return answer

    return asked


@pytest.mark.slow
def test_the_list_is_sorted_and_filtered_as_pandas_does_it(ask, round_):
    table = round_.trials
    head = ask("list")
    titles = [c["title"] for c in head["columns"]]
    columns = ("val_loss", "state", "origin", "seconds", "lr", "optimizer", "size", "loss")
    assert titles == list(columns)
    assert head["order"] == {"by": "value", "descending": False}  # the best first
    for descending in (False, True):
        part = ask("part", by="value", descending=descending, filters={})
        assert part["text"] == "20 trials"
        expected = table.sort_values("value", ascending=not descending, kind="stable").index
        # Those without a value come last both ways.
        assert [r["number"] for r in part["rows"]] == list(expected)
        assert [r["usable"] for r in part["rows"]] == [*[True] * 19, False]
    filters = {"lr": {"low": 0.01, "high": 0.3}, "optimizer": {"is": "SGD"}}
    filtered = ask("part", by="number", descending=True, filters=filters, offset=1)
    matching = table[table["lr"].between(0.01, 0.3) & (table["optimizer"] == "SGD")]
    assert (filtered["total"], filtered["text"]) == (len(matching), f"{len(matching)} of 20 trials")
    assert [r["number"] for r in filtered["rows"]] == list(matching.index[::-1][1:])
    first = filtered["rows"][0]
    cells_by_title = dict(zip(titles, first["cells"], strict=True))
    assert cells_by_title["val_loss"] == f"{table['value'][first['number']]:.4f}"
    assert (cells_by_title["state"], cells_by_title["optimizer"], cells_by_title["size"]) == (
        "complete",
        "SGD",
        "10.0000",
    )


def test_every_dot_says_which_trial_it_is(ask, round_):
    table = round_.trials
    numbers = np.frombuffer(ask("numbers"), "<u4")
    data = ask("trials")
    lr = np.frombuffer(data, "<u2", len(numbers))
    expected = round_.space["lr"].unit(table["lr"].to_numpy()[numbers])
    assert lr / (MISSING - 1) == pytest.approx(expected, abs=1e-4)


def test_the_card_of_a_trial_states_its_rank_values_and_curve(ask, round_):
    table = round_.trials
    best = int(table["value"].idxmin())
    card = ask("trial", number=best)
    assert (card["title"], card["rank"]) == (f"Trial {best}", "rank 1 of 19")
    assert card["value"] == f"val_loss {score(table['value'][best])}"
    texts = {f["name"]: f["text"] for f in card["configuration"]}
    assert texts == {"lr": f"{table['lr'][best]:.6g}", "optimizer": table["optimizer"][best], "epochs": "3"}
    assert card["curve"]["values"] == pytest.approx(table["lr"][best] / np.arange(1, 4))
    last = score(table["lr"][best] / 3)
    assert card["curve"]["short"].startswith(
        f"val_loss: from {score(table['lr'][best])} to {last} in 3 epochs"
    )
    assert card["facts"][2]["text"] == "space-filling"
    assert "error" not in card  # which would be that there is no such trial
    failed = ask("trial", number=int(table.index[table["state"] == "failed"][0]))
    assert failed["failure"] == LAST_LINE
    assert "rank" not in failed["rank"]
    assert failed["curve"] is None
    assert not failed["usable"]


@pytest.mark.slow
def test_exclusions_of_a_trial_are_stored(tmp_path, monkeypatch):
    tree = refine.Tree("notes", store=tmp_path / "refine.db")
    space = {"x": (0.0, 1.0, 12), "y": (0.0, 1.0, 2)}
    round_ = tree.add_round(space, lambda p: p["x"], n=24, name="f").run()
    session = Session(round_)
    message = {"round": round_.id}
    version = session.handle({"type": "round", **message})["version"]
    key = session.handle({"type": "trial", **message, "number": 3})["key"]

    def exclude(excluded=True, reason="", number=3):
        request = {**message, "number": number, "key": key, "excluded": excluded, "reason": reason}
        return session.handle({"type": "exclude", **request})

    reason = "on old data"
    assert "replaced" in exclude(reason=reason, number=4)["error"]
    assert "reason" in exclude()["error"]
    card = exclude(reason=reason)
    assert "excluded" in card["said"]
    assert card["excluded"]
    assert card["rank"].endswith(f": {reason}")
    answer = session.handle({"type": "round", **message})
    assert answer["version"] != version
    assert answer["review"]["trials"] == 23
    drawn = {**message, "proposal": answer["review"]["proposal"]}
    assert 3 not in np.frombuffer(session.handle({"type": "numbers", **drawn}), "<u4")
    assert round_.trials.loc[3, "state"] == "excluded"
    assert not exclude(False)["excluded"]
    assert session.handle({"type": "round", **message})["review"]["trials"] == 24
    checked = trials._check_number

    def meanwhile(*arguments):  # somebody removes another one between our look and our write
        if len(round_.trials) == 24:
            tree.delete(round_, [0])
        checked(*arguments)

    monkeypatch.setattr(trials, "_check_number", meanwhile)
    assert "excluded" in exclude(reason=reason)["said"]
    assert list(round_.trials.index[round_.trials["state"] == "excluded"]) == [2]


@pytest.mark.parametrize(
    ("kind", "options", "fault"),
    [
        ("trial", {"number": 20}, "trial 20;"),
        ("part", {"by": "lrr"}, "'lrr'.*'lr'"),
        ("part", {"filters": {"lr": {"is": "5"}}}, "lr: .* got 'is'"),
        ("part", {"filters": {"lr": {"low": "5"}}}, "filters.lr.low .* got '5'"),
        ("part", {"offset": -1}, "offset .* got -1"),
        ("figure", {"name": "cots"}, "'cots'.*'cost'"),
        ("figure", {"name": "pair", "about": ["lr"]}, "'pair' .* 2 .* got 1"),
        ("figure", {"name": "levels", "about": ["l"]}, "'l'.*'lr'"),
        ("beside", {}, "parent"),
    ],
)
def test_a_wrong_request_about_trials_is_refused(ask, kind, options, fault):
    assert re.search(fault, ask(kind, **options)["error"])


@pytest.mark.slow
def test_figures_are_drawn_from_the_analysis_at_hand(ask, round_, monkeypatch):
    source = inspect.getsource(checks)
    shown = {name for name in vars(Plots) if f'"{name}"' in source}  # what a check may name as its figure
    assert {"density", "cost", "best_so_far"} <= shown <= {*PICTURES}
    ask("numbers")
    monkeypatch.setattr(refine.Round, "analyze", None)  # a large round is not analysed again for a figure
    for name in ("failing", "curves"):
        drawn = ask("figure", name=name)
        assert ET.fromstring(drawn["svg"]).tag.endswith("svg")
        assert drawn["text"].endswith(".")


def test_a_child_is_compared_with_its_parent(tmp_path):
    tree = refine.Tree("family", store=tmp_path / "refine.db")
    root = tree.add_round({"x": (0.0, 1.0, 12)}, lambda p: p["x"], n=12, name="f").run()
    child = root.branch({"x": (0.5, 1.0, 6)}, n=5, note="higher").run()
    comparison = Session(child).handle({"type": "beside", "round": child.id})
    assert comparison["head"] == ["what", root.id, child.id, "levels"]
    assert comparison["rows"][0][:3] == ["x", "0 to 1", "0.5 to 1"]
    assert ["1.0000", "0.9000", ""] in [row[1:] for row in comparison["rows"]]
    turned = Session(root).handle({"type": "beside", "round": root.id, "other": child.id})
    assert turned["head"] == ["what", child.id, root.id, "levels"]


# The scale.


@pytest.mark.parametrize(
    ("ends", "options", "labels"),
    [
        ((0.912, 0.9871), {}, ["0.92", "0.94", "0.96", "0.98"]),
        ((0.95121, 0.95148), {}, ["0.9513", "0.9514"]),
        (
            (0.986, 0.996),
            {},
            ["0.9875", "0.99", "0.9925", "0.995"],
        ),  # no label is another number than its tick
        ((2e-15, 9e-15), {}, ["2e-15", "4e-15", "6e-15", "8e-15"]),
        ((0.01, 300), {"log": True}, ["0.01", "0.1", "1", "10", "100"]),
        ((0.3, 3), {"log": True}, ["0.5", "1", "2"]),
        ((5, 5), {}, ["5"]),
    ],
)
def test_ticks_are_distinct_round_numbers(ends, options, labels):
    assert [t["label"] for t in axis(*ends, **options)] == labels


def test_the_better_half_of_a_skewed_loss_is_drawn_to_scale(rng):
    loss = 0.1 + rng.uniform(-2, 2, 1000) ** 2 / 20 + rng.gamma(1, 0.02, 1000)
    loss[:50] *= 1e5  # never learned
    view = view_of(loss, "val_loss", "minimize")
    assert view["beyond"] >= 50
    assert view["middle"] == np.median(loss)
    assert all(view["low"] <= tick["value"] <= view["middle"] for tick in view["middle_ticks"])
    assert view["middle_text"] != view["text"]
