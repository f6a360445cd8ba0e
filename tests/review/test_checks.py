"""The gate: every card has cases that pass, warn and fail, and says the number that decided."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import refine
from refine.analysis.learning_curves import trial_curves
from refine.errors import AnalysisError
from refine.report.pages.checks import figure, question, says, subject
from refine.review.checks import Known, checks_of
from refine.stats import CurveCheck
from refine.trials.metric import Metric
from refine.utils.action import Action

SPACE = refine.Space({"x": (0.5, 5.0, 10), "kind": ["a", "b", "c"], "depth": (1, 4)})


def trials(value, n=120, space=SPACE, seed=0, **columns):
    """A table of an space-filling round whose value is a function of its columns and a generator."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame([space.configuration(int(c)) for c in rng.integers(0, space.size, n)])
    frame["value"] = value(frame, rng)
    return frame.assign(**columns)


def middle(frame, rng):
    return 1 - 0.05 * (frame["x"] - 2.5) ** 2 - 0.1 * (frame["kind"] == "c") + rng.normal(0, 0.01, len(frame))


def checks(frame, space=SPACE, direction="maximize", *, fresh=None, analysis=None, **known):
    found = analysis or refine.analyze(space, frame, direction=direction, fresh=fresh)
    rest = {
        "proposal": None,
        "roles": {},
        "goal": "",
        "curves": (),
        "before": math.nan,
        "allow_degenerate": False,
    }
    return checks_of("abc", found, Known(**{**rest, **known}))


def nuisance(**roles):
    return {**dict.fromkeys(SPACE, "nuisance"), **roles}


@pytest.mark.slow
def test_the_goal_is_a_note_or_a_scientific_parameter():
    frame = trials(middle)
    assert checks(frame)["goal"].verdict == "warn"
    assert says(checks(frame, goal="low dropout?")["goal"]) == "It explores: low dropout?"
    asked = checks(frame, roles=nuisance(kind="scientific"))["goal"]
    assert (asked.verdict, figure(asked)) == ("pass", "1 scientific parameter, 2 nuisance")
    analysis = refine.analyze(SPACE, frame)
    proposal = refine.propose(analysis)
    assert proposal["kind"].kind == "drop"
    deciding = checks(frame, roles=nuisance(kind="scientific"), analysis=analysis, proposal=proposal)["goal"]
    assert deciding.verdict == "warn"
    assert deciding.call == Action("round.plot.isolation", "kind")


@pytest.mark.slow
def test_edges():
    assert checks(trials(middle))["edges"].verdict == "pass"
    rising = trials(lambda f, rng: f["x"] + rng.normal(0, 0.2, len(f)), n=300)
    analysis = refine.analyze(SPACE, rising)
    found = checks(rising, analysis=analysis)["edges"]
    # The pile and the best trial are at the same end.
    assert (found.verdict, found.picture, figure(found)) == ("fail", "edges", "1 open end")
    assert "x (high)" in says(found)
    proposal = refine.propose(analysis)
    assert proposal["x"].kind == "widen"
    widened = checks(rising, analysis=analysis, proposal=proposal)["edges"]
    assert (widened.verdict, figure(widened)) == ("warn", "1 open end")
    assert "x = 5" in says(widened)
    # A rate of 0 is a natural limit: nothing lies beyond it.
    space = refine.Space({"rate": (0.0, 0.5, 6), "kind": ["a", "b"]})
    falling = trials(lambda f, rng: -f["rate"] + rng.normal(0, 0.01, len(f)), n=200, space=space)
    assert checks(falling, space=space)["edges"].verdict == "pass"


def test_a_second_region_that_is_cut_off_is_named():
    space = refine.Space({"a": (0.0, 1.0, 11), "b": (0.0, 1.0, 11), "kind": ["x", "y", "z"]})

    def peaks(f, rng):
        broad = np.exp(-((f["a"] - 0.25) ** 2 + (f["b"] - 0.3) ** 2) / 0.08)
        narrow = 1.1 * np.exp(-((f["a"] - 0.8) ** 2 + (f["b"] - 0.8) ** 2) / 0.02)
        return np.maximum(broad, narrow) + rng.normal(0, 0.03, len(f))

    frame = trials(peaks, n=100, space=space)
    analysis = refine.analyze(space, frame)
    kept = checks(frame, space=space, analysis=analysis)["second"]
    assert (kept.verdict, kept.code) == ("unknown", "nothing_cut")
    bold = refine.propose(analysis, risk=0.7)
    found = checks(frame, space=space, analysis=analysis, proposal=bold)["second"]
    assert (found.verdict, found.code) == ("warn", "plausible")
    seen = dict(found.values)
    assert found.value == seen["probability"] <= seen["outside"]
    assert seen["outside"] == pytest.approx(1 - bold.claim.probability, abs=0.01)
    assert {name for name, _, _ in seen["place"]} == {c.name for c in bold.changes if c.kind != "keep"}
    # As many even audit trials as hit a region of that share with probability 0.95.
    assert (1 - seen["share"]) ** seen["needed"] <= 0.05
    assert "of what is cut off" in says(found)
    assert "review.accept(audit=...)" in says(found)


def test_enough_points():
    assert checks(trials(middle, n=400))["enough"].verdict == "pass"
    few = checks(trials(middle, n=40))["enough"]
    assert few.verdict == "fail"
    assert figure(few).startswith("7 good trials, ")
    between = checks(trials(middle, n=100))["enough"]
    assert between.verdict == "warn"
    assert 0.5 <= between.value < 1
    # What was seen to matter has been judged, however few good trials there were.
    space = refine.Space({"rate": (0.0, 1.0, 11)})
    clear = checks(
        trials(lambda f, rng: f["rate"] + rng.normal(0, 0.01, len(f)), n=40, space=space), space=space
    )["enough"]
    assert (clear.verdict, figure(clear)) == ("pass", "3 good trials, 18 needed")
    assert says(clear).startswith("Every parameter that is read was seen to matter, with fewer. ")


@pytest.mark.parametrize(("failed", "verdict"), [(0, "pass"), (5, "pass"), (12, "warn"), (40, "fail")])
def test_infeasible(failed, verdict):
    states = ["failed"] * failed + ["complete"] * (120 - failed)
    frame = trials(middle, state=states)
    frame.loc[frame["state"] == "failed", "value"] = np.nan
    check = checks(frame)["infeasible"]
    assert (check.verdict, check.value) == (verdict, failed / 120)
    assert figure(check).startswith(f"{failed} of 120 without")


def test_degenerate_models_are_not_usable_unless_the_person_says_so():
    frame = trials(middle, degenerate=[1.0] * 60 + [0.0] * 60)
    assert checks(frame)["infeasible"].verdict == "fail"
    assert checks(frame, allow_degenerate=True)["infeasible"].verdict == "pass"


def curves_of(*series):
    return tuple(
        trial_curves(i, max(s), {"val_acc": list(s), "acc": list(s)}, Metric.parse("val_acc"), "maximize")
        for i, s in enumerate(series, 1)
    )


def test_curves():
    frame = trials(middle)
    assert checks(frame)["curves"].verdict == "unknown"
    epochs = np.arange(60)
    rising, flat = 0.5 + 0.008 * epochs, 0.99 - 0.5 * np.exp(-epochs / 12)
    assert CurveCheck()((), (), rising).improving.seen
    sound = checks(frame, curves=curves_of(*[flat] * 8))["curves"]
    assert (sound.verdict, figure(sound)) == ("pass", "0 of the best 8")
    third = checks(frame, curves=curves_of(*[rising] * 3, *[flat] * 6))["curves"]
    assert (third.verdict, figure(third)) == ("warn", "3 of the best 9: still improving at the end")
    assert checks(frame, curves=curves_of(*[rising] * 5, *[flat] * 3))["curves"].verdict == "fail"


def test_isolation_is_fair_only_with_enough_trials_of_every_level():
    roles = nuisance(kind="scientific")
    assert [c.key for c in checks(trials(middle), roles=nuisance()).checks].count("isolation") == 0
    fair = checks(trials(middle), roles=roles)["isolation"]
    assert fair.verdict == "pass"
    frame = trials(middle)
    counts = frame["kind"].value_counts()
    assert fair.value == counts.min()
    few = frame.drop(frame.index[frame["kind"] == "b"][3:])
    check = checks(few, roles=roles)["isolation"]
    assert (check.verdict, check.value, figure(check)) == ("fail", 3, "at least 3 trials a level (b)")
    some = frame.drop(frame.index[frame["kind"] == "b"][9:])
    assert checks(some, roles=roles)["isolation"].verdict == "warn"


def replicates(sd, k=5, times=4):
    rng = np.random.default_rng(5)
    return np.repeat(np.linspace(0.8, 0.9, k), times) + rng.normal(0, sd, k * times), np.repeat(
        range(k), times
    ).tolist()


@pytest.mark.slow
def test_noise_against_what_was_known_before():
    frame, fresh = trials(middle), replicates(0.01)
    best = frame["value"].max()
    sd = refine.analyze(SPACE, frame, fresh=fresh).noise.sd
    verdicts = {
        gain: checks(frame, fresh=fresh, before=best - gain * sd)["noise"].verdict
        for gain in (5.0, 1.0, 0.0, -1.0, -5.0)
    }
    assert verdicts == {5.0: "pass", 1.0: "warn", 0.0: "warn", -1.0: "warn", -5.0: "fail"}
    check = checks(frame, fresh=fresh, before=best - 5 * sd)["noise"]
    assert check.value == pytest.approx(5 * sd)
    assert "5 times the noise" in figure(check)
    # The same the other way round.
    turned = frame.assign(value=-frame["value"])
    check = checks(turned, direction="minimize", fresh=fresh, before=-best + 5 * sd)["noise"]
    assert (check.verdict, check.value) == ("pass", pytest.approx(5 * sd))


def test_noise_of_a_root_counts_what_is_as_good():
    clear = checks(trials(middle), fresh=replicates(0.0005))["noise"]
    assert clear.verdict == "pass"
    blurred = checks(trials(middle), fresh=replicates(0.05))["noise"]
    assert blurred.verdict == "warn"
    assert "the choice among them is chance" in says(blurred)


def test_optimism():
    frame = trials(middle)
    assert checks(frame, fresh=replicates(0.0001))["optimism"].verdict == "pass"
    lucky = checks(frame, fresh=replicates(0.05))["optimism"]
    assert lucky.verdict == "warn"
    assert lucky.value > 0.05
    assert "best of 120 trials judged" in says(lucky)


def test_cost():
    frame = trials(middle)
    assert checks(frame)["cost"].verdict == "unknown"
    same = frame.assign(seconds=10.0)
    assert checks(same, fresh=replicates(0.01))["cost"].verdict == "pass"
    order = np.argsort(-frame["value"].to_numpy())
    cheap = same.copy()
    cheap.loc[cheap.index[order[1]], ["value", "seconds"]] = frame["value"].max() - 1e-4, 2.0
    check = checks(cheap, fresh=replicates(0.01))["cost"]
    assert (check.verdict, check.value) == ("warn", pytest.approx(0.8))
    assert says(check) == "Rank 2 is as good within the noise and takes 20 % of the time."


def test_printing_and_looking_up():
    found = checks(trials(middle))
    assert sum(found.counts.values()) == len(found.checks)
    text, everything = str(found), str(found.details)
    assert text.startswith("Before you decide on round abc:")
    for check in found.checks:
        assert (f"{subject(check)}: " in text) == (check.verdict != "pass")
        assert says(check) in everything
    assert question(found.checks[1]) in found._repr_html_()
    with pytest.raises(KeyError, match="no check 'edge'; did you mean 'edges'"):
        found["edge"]


@pytest.mark.slow
def test_a_round_and_its_review_ask_the_same(tree, space):
    from objectives import bowl

    root = tree.add_round(space, bowl, n=100, seed=2, note="first").run(progress=False)
    review = root.propose()
    by_review, by_round = review.checks(), root.checks()
    assert [c.key for c in by_review.checks] == [c.key for c in by_round.checks]
    assert says(by_round["goal"]) == "It explores: first"
    child = review.accept(n=40).run(progress=False)
    noise = child.checks()["noise"]
    assert "over the best before" in figure(noise)
    root.set_roles(optimizer="scientific")
    assert root.checks()["isolation"].about == "optimizer"
    with pytest.raises(AnalysisError):
        tree.add_round(space, bowl, n=5, seed=9).checks()
