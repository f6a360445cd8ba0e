"""Every number that was recorded of old stores and studies is the same today: words may change, numbers may not.

What the posterior changed on purpose is not compared: proposed bounds and what follows from them, stated probabilities,
epsilon and the noise behind it, and p and q of the joined tests, with the order of parameters by them. Neither are analyses of
rounds with fewer than ten space-filling trials, which aren't tested on any more. What was stored then is compared in full.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache

import numpy as np
import pytest

import refine
from recorded import CLAIMS, STORES, VALUES, differences, opened, recorded
from refine.analysis.analysis import LEAST
from refine.design.samplers import DESIGNS
from refine.design.space_filling import draw, feasible
from refine.errors import AnalysisError
from refine.proposal.preview import preview_of
from refine.tree.reading import read_curves
from refine.ui.web.content import pair_content, review_content, trials_content

EVERY = [
    (store, tree, found)
    for store in STORES
    for tree, content in recorded(store)["trees"].items()
    for found in content["rounds"]
]
# The rounds of version 2 are those of version 3.
ONCE_ANALYSED = [
    case
    for case in EVERY
    if case[0] != "version2" and "analysis" in recorded(case[0])["trees"][case[1]]["rounds"][case[2]]
]
FEW = [
    case
    for case in ONCE_ANALYSED
    if recorded(case[0])["trees"][case[1]]["rounds"][case[2]]["analysis"]["n_even"] < LEAST
]
ANALYSED = [case for case in ONCE_ANALYSED if case not in FEW]
each = pytest.mark.parametrize("case", EVERY, ids="-".join)
each_of_few = pytest.mark.parametrize("case", FEW, ids="-".join)
each_analysed = pytest.mark.parametrize("case", ANALYSED, ids="-".join)

NO_NUMBERS = {
    "reason",
    "reason_numbers",
    "caution",
    "claim",
    "says",
    "says_numbers",
    "number",
    "number_numbers",
    "printed",
    "warning",
}
"""Sentences, and numbers that were found in sentences."""


VALUES_BACK = {now: then for then, now in VALUES.items()}

TESTS = {"p", "q", "seen_by", "matters", "piled_up"}
"""Of a parameter: the joined tests."""

CLAIMED = {"retention", "proposed_retention", "proposed_kept", "epsilon", "throws"}
"""Of a preview: what is claimed, what was proposed, and whether that loses more than epsilon."""

NEW = {"worth", "second"}
"""Checks that were not made then."""

JUDGED = {"goal", "edges", "enough", "noise", "luck"}
"""Checks that rest on the joined tests, on the noise, or on what is proposed."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Looks up a tree, a round, its draft and what was recorded of it; everything is made once."""
    folder = tmp_path_factory.mktemp("recorded")

    class Place:
        then = staticmethod(cache(recorded))
        tree = staticmethod(cache(lambda store, tree: opened(store, tree, folder)))

        @classmethod
        def of(cls, case):
            store, tree, found = case
            return cls.tree(store, tree)[found], cls.then(store)["trees"][tree]["rounds"][found]

        draft = staticmethod(cache(lambda case: Place.of(case)[0].propose(0.05, keep=False)))

    return Place


def without(then, names):
    if isinstance(then, dict):
        return {k: without(v, names) for k, v in then.items() if k not in names}
    return [without(v, names) for v in then] if isinstance(then, list) else then


@each
def test_a_round_and_its_trials(place, case):
    found, then = place.of(case)
    node = dict(then["node"])
    assert (found.n, found._stored.first) == (node.pop("n"), node.pop("first"))
    assert differences(found.node, node) == []
    space = dict(then["space"])
    assert differences(feasible(found.space), space.pop("feasible")) == []
    assert [len(v) for v in space.pop("levels").values()] == [p.size for p in found.space.values()]
    assert (space["size"], space["digest"]) == (found.space.size, found.space.digest)
    assert found.roles == then["roles"]
    columns = ("cell", "origin", "seed", "state", "value", "seconds")
    for frame, key in ((found.trials, "trials"), (found.replicates, "replicates")):
        assert differences(frame, [{k: row[k] for k in columns} for row in then[key]]) == []
        metrics = [row["metrics"] for row in then[key]]
        assert [sorted(m) for m in metrics] == [
            sorted(k for k in m if k in frame or f"{k} (metric)" in frame) for m in metrics
        ]
    assert differences(found.best, then["best"]) == []
    assert differences(found.holdout_results, without(then["openings"], {"runs", "created"})) == []
    assert differences(found._best_before(), then["best_before"]) == []


@each
def test_cells(place, case):
    found, then = place.of(case)
    exist = feasible(found.space).low
    for name, numbers in then["design"].items():
        if name in DESIGNS and isinstance(numbers, list):
            rows = draw(DESIGNS[name], found.space, min(10, exist), found.node.design_seed)
            assert [str(found.space.number(row)) for row in rows] == numbers
    if isinstance(then["design"]["cells"], list):
        assert [str(cell) for cell in found.cells()[:20]] == then["design"]["cells"]


@each
def test_decisions(place, case):
    found, then = place.of(case)
    for decision, was in zip(found.decisions, then["decisions"], strict=True):
        forecast, ends = was["forecast"], was["interval_90"]
        rest = {k: v for k, v in was.items() if k not in ("forecast", "interval_90", "created")}
        assert differences(decision, without(rest, {"space", "edits"})) == []
        assert (decision.forecast is None) == (forecast is None)
        if forecast is not None:
            assert differences({w: decision.forecast.interval(w, 0.9) for w in ends}, ends) == []


@each_of_few
def test_few_space_filling_trials_are_not_tested_on(place, case):
    round_, then = place.of(case)
    inside = then["analysis"]["own"]
    if inside < LEAST or inside == then["analysis"]["n_even"]:
        with pytest.raises(AnalysisError, match="at least 10 finished space-filling trials"):
            round_.analyze()
    else:
        assert not round_.analyze().tested


@each_analysed
def test_analysis(place, case):
    analysis, then = place.draft(case).analysis, dict(place.of(case)[1]["analysis"])
    assert sorted(e.name for e in analysis.ranked) == sorted(then.pop("ranked"))
    assert differences(analysis.outside["value"], then.pop("outside")) == []
    assert len(analysis.table) == then.pop("own")
    assert differences(analysis.X.mean(axis=0), then.pop("X_means")) == []
    assert len(np.unique(analysis.X, axis=0)) == then.pop("permutations")
    names = [e.name for e in analysis.parameters]
    pairs = [{**p._asdict(), "i": names[p.i], "j": names[p.j]} for p in analysis.pairs]
    was = then.pop("pairs")
    if all(e.read in (0, 1) for e in analysis.parameters):
        assert differences(pairs, was) == []
    else:  # a pair is judged by the trials that read both, and a parameter isn't paired with what it is read under
        assert {(p["i"], p["j"]) for p in pairs} <= {(p["i"], p["j"]) for p in was}
    measured = then.pop("parameters")
    for e in analysis.parameters:
        condition = measured[e.name].pop("condition")
        assert bool(condition) == (e.condition is not None)
        # Importance counts where a parameter is read, and those beside it within what else decides that.
        changed = TESTS | {"importance"} if condition else TESTS
        was = {k: v for k, v in measured[e.name].items() if k not in changed}
        assert differences(e, was, at=e.name) == []
        assert [(edge.side, pytest.approx(q)) for edge, q in e.piled_up] == [
            (p["side"], p["q"]) for p in measured[e.name]["piled_up"]
        ]
    assert (
        differences(analysis, {k: v for k, v in then.items() if k not in ("caution", "X_sha", "noise")}) == []
    )


@each_analysed
def test_proposal(place, case):
    proposal, then = place.draft(case).proposal, dict(place.of(case)[1]["proposal"])
    changes = then.pop("changes")
    assert [c.name for c in proposal.changes] == list(changes)
    for change in proposal.changes:
        assert differences(change.old, changes[change.name]["old"]) == []
    kept = {k: v for k, v in then.items() if k in ("risk", "n", "evidence", "metric")}
    assert differences(proposal, kept, CLAIMS) == []


@each_analysed
def test_previews(place, case):
    review = place.draft(case)
    allow = review.round.node.allow_degenerate
    for then in place.of(case)[1]["previews"]:
        space = refine.Space.from_json(then["space"])
        seen = preview_of(review.proposal, review.analysis, space, 20, 2, allow)
        rest = {
            k: v
            for k, v in then.items()
            if not k.startswith("review_") and k not in ("edits", "rejected", "unknown")
        }
        # What exists and is left counts what differs in what is read, since conditions are honoured.
        conditional = any(e.condition for e in review.analysis.parameters)
        counts = {"exist", "left", "n", "hit", "seconds"} if conditional else set()
        assert differences(seen, without(rest, NO_NUMBERS | CLAIMED | counts)) == []
        assert differences(review.proposal.old.volume_kept(space), then["review_kept"]) == []


@each_analysed
def test_checks(place, case):
    found, then = place.of(case)
    review = place.draft(case)
    for checks, was in (
        (review.checks(), then["gate"]),
        (found.checks(review.analysis), then["gate_without_proposal"]),
    ):
        cards = {card["key"]: card for card in was["cards"]}
        for check in checks.checks:
            if check.key in NEW:
                continue
            card = cards.pop(VALUES_BACK.get(check.key, check.key))
            if card["key"] in JUDGED:
                continue
            assert check.verdict.lower() == card["verdict"], card["key"]
            assert differences(check, {k: card[k] for k in ("key", "value", "about", "picture")}) == []
        assert cards == {}


@each
def test_optimism_and_curves(place, case):
    found, then = place.of(case)
    if "no_optimism" in then:
        with pytest.raises(AnalysisError):
            found.optimism()
    else:
        assert differences(found.optimism(), without(then["optimism"], {"expected"})) == []
    noise = (then["analysis"]["noise"]["sd"] or math.nan) if "analysis" in then else None
    curves = read_curves(*found._judged, noise)
    assert differences(curves, then["curves"]) == []


@each_analysed
def test_the_review_page(place, case):
    review, then = place.draft(case), place.of(case)[1]["page"]
    content = review_content(review, review.checks(), review.options())
    dots = trials_content(review.analysis, review.round.node.allow_degenerate)
    start, column = 2 * len(review.analysis.table) * len(content["panels"]), 2 * len(review.analysis.table)
    sha = hashlib.sha256(dots[:start] + dots[start + column :]).hexdigest()  # ranks were none of it then
    if [panel["name"] for panel in content["panels"]] == [card["name"] for card in then["cards"]]:
        assert sha[:16] == then["trials_sha"]  # its columns are in the order of the panels
    pairs = [pair_content(review.analysis, p["a"], p["b"]) for p in content["pairs"][:2]]
    assert differences(pairs, then["pair"]) == []
    assert differences(content, {"view": then["view"], "trials": then["trials"]}) == []
    numbers = ("name", "kind", "log", "edges", "grid", "density")
    panels = {panel["name"]: panel for panel in content["panels"]}
    for card in then["cards"]:
        was = {k: card[k] for k in numbers if k in card}
        assert differences(panels[card["name"]], was, at=card["name"]) == []
    assert [(p["a"], p["b"]) for p in content["pairs"]] == [(p["a"], p["b"]) for p in then["pairs"]]


@pytest.mark.parametrize("case", sorted({case[:2] for case in EVERY}), ids="-".join)
def test_a_tree(place, case):
    tree, then = place.tree(*case), place.then(case[0])["trees"][case[1]]
    assert tree.tags == then["tags"]
    assert differences(tree.best(), then["best"]) == []
    calibration, was = tree.calibration(), then["ledger"]
    for entry, old in zip(calibration.entries, was["entries"], strict=True):
        for call in ("realised", "percentile"):
            assert differences({w: getattr(entry, call)(w) for w in old[call]}, old[call]) == []
        assert differences(entry.power(), old["power"]) == []
        rest = without(old, {"realised", "percentile", "power", "state", "verdict"})
        assert differences(entry, rest) == []
    if calibration.scored:
        assert differences(calibration.coverage(), was["coverage"]) == []
    for parent, child in ((r.parent, r) for r in tree.rounds if r.parent is not None):
        comparison = dict(then["rounds"][child.id]["comparison_with_parent"])
        comparison.pop("verdict")
        assert differences(tree.diff(parent, child), comparison) == []
