"""The gate: every check has cases that pass, warn and fail, and says the number that decided."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import refine
from objectives import bowl
from refine.analysis.learning_curves import trial_curves
from refine.errors import AnalysisError
from refine.proposal.proposal import proposal_from_json, proposal_to_json
from refine.report.pages.checks import figure, question, says
from refine.review.checks import ChecksContext, checks_of
from refine.stats import CurveCheck
from refine.trials.metric import Metric
from refine.utils.action import Action

SPACE = refine.Space({"x": (0.5, 5.0, 10), "kind": ["a", "b", "c"], "depth": (1, 4)})


def trials(value, n=120, space=SPACE, seed=0, **columns):
    """A table of a space-filling round whose value is a function of its columns and a generator."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame([space.configuration(int(c)) for c in rng.integers(0, space.size, n)])
    return frame.assign(value=value(frame, rng)).assign(**columns)


def middle(frame, rng):
    return 1 - 0.05 * (frame["x"] - 2.5) ** 2 - 0.1 * (frame["kind"] == "c") + rng.normal(0, 0.01, len(frame))


def checks(frame, space=SPACE, direction="maximize", *, replicates_=None, analysis=None, **inputs):
    analysed = analysis or refine.analyze(space, frame, direction=direction, replicates=replicates_)
    return checks_of("abc", analysed, replace(ChecksContext(None, "", (), math.nan, False), **inputs))


def numbers(check):
    """The numbers behind a finding, by name."""
    return dict(check.values)


def replicates(sd, k=5, times=4):
    noise = np.random.default_rng(5).normal(0, sd, k * times)
    return np.repeat(np.linspace(0.8, 0.9, k), times) + noise, np.repeat(range(k), times).tolist()


@pytest.mark.slow
def test_the_goal_is_the_note_of_the_round():
    frame = trials(middle)
    without_note = checks(frame)["goal"]
    assert (without_note.verdict, without_note.action) == ("warn", Action("round.note", ...))
    noted = checks(frame, goal="low dropout?")["goal"]
    assert (noted.verdict, numbers(noted)["note"]) == ("pass", "low dropout?")


@pytest.mark.slow
def test_an_optimum_at_an_edge_fails_the_check_of_edges():
    assert checks(trials(middle))["edges"].verdict == "pass"
    rising = trials(lambda f, rng: f["x"] + rng.normal(0, 0.2, len(f)), n=300)
    analysis = refine.analyze(SPACE, rising)
    edges_check = checks(rising, analysis=analysis)["edges"]
    # The pile and the best trial are at the same end.
    assert (edges_check.verdict, edges_check.picture, edges_check.value) == ("fail", "density", 1)
    assert numbers(edges_check)["piled"] == [["x", "high"]]
    proposal = refine.propose(analysis)
    assert proposal["x"].kind == "widen"
    wider = checks(rising, analysis=analysis, proposal=proposal)["edges"]
    assert (wider.verdict, wider.value, wider.code) == ("warn", 1, "at_end")
    assert numbers(wider)["at_end"] == [["x", "high", 5.0]]
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
    kept_region = checks(frame, space=space, analysis=analysis)["second"]
    assert (kept_region.verdict, kept_region.code) == ("unknown", "not_proposed")
    bold = refine.propose(analysis, risk=0.7)
    cut_off = checks(frame, space=space, analysis=analysis, proposal=bold)["second"]
    assert (cut_off.verdict, cut_off.code) == ("warn", "plausible")
    values = dict(cut_off.values)
    assert cut_off.value == pytest.approx(values["probability"])
    assert values["probability"] <= values["outside"]
    assert values["outside"] == pytest.approx(1 - bold.claim.probability, abs=0.01)
    assert {name for name, _, _ in values["place"]} == {c.name for c in bold.changes if c.kind != "keep"}
    # As many even audit trials as hit a region of that share with probability 0.95.
    assert (1 - values["share"]) ** values["needed"] <= 0.05
    assert str(cut_off.action) == "review.accept(plan=refine.Plan(audit=...))"
    within_budget = checks(frame, space=space, analysis=analysis, proposal=bold, n_left=5)["second"]
    assert (dict(within_budget.values)["needed"], values["needed"] > 5) == (0, True)
    assert len(says(within_budget)) < len(says(cut_off))


def test_a_second_region_is_unknown_only_without_a_model():
    frame = trials(lambda f, rng: -((f["x"] - 1.5) ** 2) - (f["kind"] == "c"), n=200).drop_duplicates()
    analysis = refine.analyze(SPACE, frame)
    proposal = refine.propose(analysis)
    stored = proposal_from_json(proposal_to_json(proposal))
    unchanged = refine.propose(refine.analyze(SPACE, frame.iloc[:10]), risk=0.01)
    findings = {}
    for name, proposed in {"sure": proposal, "stored": stored, "unchanged": unchanged}.items():
        check = checks(frame, analysis=analysis, proposal=proposed)["second"]
        findings[name] = (check.verdict, check.code, check.value)
    assert proposal.volume_kept < 1
    assert findings["sure"] == ("pass", "none_outside", 0.0)
    assert findings["stored"] == ("unknown", "no_model", pytest.approx(math.nan, nan_ok=True))
    assert unchanged.volume_kept == 1
    assert findings["unchanged"] == ("pass", "nothing_cut", pytest.approx(math.nan, nan_ok=True))


@pytest.mark.parametrize(("failed", "verdict"), [(5, "pass"), (12, "warn"), (40, "fail")])
def test_failed_trials_and_degenerate_models_are_not_usable(failed, verdict):
    frame = trials(middle, state=["failed"] * failed + ["complete"] * (120 - failed))
    frame.loc[frame["state"] == "failed", "value"] = np.nan
    check = checks(frame)["infeasible"]
    assert (check.verdict, check.value) == (verdict, failed / 120)
    assert (numbers(check)["count"], numbers(check)["ended"]) == (failed, 120)
    constant = trials(middle, degenerate=[1.0] * failed + [0.0] * (120 - failed))
    assert checks(constant)["infeasible"].verdict == verdict
    assert checks(constant, allow_degenerate=True)["infeasible"].verdict == "pass"


def curves_of(*series):
    return tuple(
        trial_curves(i, max(s), {"val_acc": list(s), "acc": list(s)}, Metric.parse("val_acc"), "maximize")
        for i, s in enumerate(series, 1)
    )


def test_curves_that_overfit_or_still_improve_are_found():
    frame = trials(middle)
    epochs = np.arange(60)
    assert checks(frame)["curves"].verdict == "unknown"
    rising = 0.5 + 0.008 * epochs
    flat = 0.99 - 0.5 * np.exp(-epochs / 12)
    assert CurveCheck()((), (), rising).improving.seen
    sound, third_unfinished, many_unfinished = (
        checks(frame, curves=curves_of(*[rising] * a, *[flat] * b))["curves"]
        for a, b in ((0, 8), (3, 6), (5, 3))
    )
    assert (sound.verdict, sound.value, numbers(sound)["of"]) == ("pass", 0.0, 8)
    assert (third_unfinished.verdict, numbers(third_unfinished)["of"]) == ("warn", 9)
    assert numbers(third_unfinished)["worst"] == "improving"
    assert numbers(third_unfinished)["counts"]["improving"] == 3
    assert many_unfinished.verdict == "fail"


@pytest.mark.slow
def test_noise_against_what_was_known_before():
    frame = trials(middle)
    repeats = replicates(0.01)
    best = frame["value"].max()
    sd = refine.analyze(SPACE, frame, replicates=repeats).noise.sd
    verdicts = {5.0: "pass", 1.0: "warn", 0.0: "warn", -1.0: "warn", -5.0: "fail"}
    checks_by_gain = {
        gain: checks(frame, replicates_=repeats, before=best - gain * sd)["noise"] for gain in verdicts
    }
    assert {gain: check.verdict for gain, check in checks_by_gain.items()} == verdicts
    assert checks_by_gain[5.0].value == pytest.approx(5 * sd)
    assert "5 times" in figure(checks_by_gain[5.0])
    # The same the other way round.
    turned = frame.assign(value=-frame["value"])
    check = checks(turned, direction="minimize", replicates_=repeats, before=-best + 5 * sd)["noise"]
    assert (check.verdict, check.value) == ("pass", pytest.approx(5 * sd))


def test_a_loss_within_the_tolerance_fails_no_check_of_an_exact_objective():
    frame = trials(lambda f, _: 1 - (f["x"] - 2.5) ** 2).assign(seed=range(120))
    exact = replicates(0.0)
    best = frame["value"].max()
    tolerance = refine.analyze(SPACE, frame, replicates=exact).noise.epsilon
    by_loss = {k: checks(frame, replicates_=exact, before=best + k * tolerance) for k in (0.5, 2)}
    assert {k: named["noise"].verdict for k, named in by_loss.items()} == {0.5: "warn", 2: "fail"}
    assert by_loss[0.5]["noise"].code == "no_gain"
    assert (by_loss[2]["noise"].code, by_loss[2]["noise"].value) == ("worse", pytest.approx(-2 * tolerance))
    assert checks(frame, replicates_=exact, expected=best - 1e-16)["optimism"].verdict == "pass"


def test_a_root_counts_what_is_as_good_and_what_its_best_owes_to_luck():
    exact, clear, blurred = (
        checks(trials(middle), replicates_=replicates(sd)) for sd in (0.0001, 0.0005, 0.05)
    )
    assert (clear["noise"].verdict, blurred["noise"].verdict) == ("pass", "warn")
    assert (blurred["noise"].code, numbers(blurred["noise"])["ties"]) == ("unclear", 23)
    assert (exact["optimism"].verdict, blurred["optimism"].verdict) == ("pass", "warn")
    assert blurred["optimism"].value > 0.05
    assert numbers(blurred["optimism"])["trials"] == 120


def test_a_cheaper_trial_that_is_as_good_is_found():
    frame = trials(middle)
    assert checks(frame)["cost"].verdict == "unknown"
    cheap = frame.assign(seconds=10.0)
    assert checks(cheap, replicates_=replicates(0.01))["cost"].verdict == "pass"
    order = np.argsort(-frame["value"].to_numpy())
    cheap.loc[cheap.index[order[1]], ["value", "seconds"]] = frame["value"].max() - 1e-4, 2.0
    check = checks(cheap, replicates_=replicates(0.01))["cost"]
    assert (check.verdict, check.value) == ("warn", pytest.approx(0.8))
    assert (check.code, numbers(check)["rank"], numbers(check)["share"]) == ("cheaper", 2, pytest.approx(0.2))
    fast = checks(cheap.assign(seconds=cheap["seconds"] / 2000), replicates_=replicates(0.01))["cost"]
    assert (fast.verdict, fast.code, figure(fast)) == ("pass", "fast", "-")


def test_a_summary_names_checks_that_did_not_pass_and_details_name_all():
    all_checks = checks(trials(middle))
    assert sum(all_checks.counts.values()) == len(all_checks.checks)
    text = str(all_checks)
    everything = str(all_checks.why())
    for check in all_checks.checks:
        assert (f"\n{check.subject} " in text) == (check.verdict != "pass")
        assert says(check) in everything
    assert question(all_checks.checks[1]) in all_checks._repr_html_()
    with pytest.raises(KeyError, match="no check 'edge'; did you mean 'edges'"):
        all_checks["edge"]


def test_a_check_is_looked_up_by_its_key_or_its_printed_name():
    all_checks = checks(trials(middle))
    for check in all_checks.checks:
        assert all_checks[check.key] is check
        assert all_checks[check.subject] is check
    assert all_checks["failures"].key == "infeasible"
    with pytest.raises(
        KeyError, match=r"no check 'xyz'; known: question, goal, ends, edges, .*failures, infea"
    ):
        all_checks["xyz"]


@pytest.mark.slow
def test_a_round_and_its_review_ask_the_same(tree, space):
    root = tree.add_round(space, bowl, n=100, seed=2, note="first").run()
    review = root.propose()
    by_review = review.checks()
    by_round = root.checks()
    assert [(c.key, c.code) for c in by_round.checks] == [(c.key, c.code) for c in by_review.checks]
    assert numbers(by_round["goal"])["note"] == "first"
    child = review.accept(n=40).run()
    assert numbers(child.checks()["noise"])["over"] == "before"
    with pytest.raises(AnalysisError):
        tree.add_round(space, bowl, n=5, seed=9).checks()


def test_a_row_of_the_checks_names_its_verdict(tree, space):
    review = tree.add_round(space, bowl, n=16, seed=2).run().propose()
    rows = dict(review.checks()._page().facts)
    words = {"fail": "failed", "warn": "warning", "unknown": "unknown"}
    for check in review.checks().checks:
        if check.verdict != "pass":
            assert rows[check.subject].text.startswith(f"{words[check.verdict]}: ")
    assert "failed" not in str(review)


@pytest.mark.parametrize(("reported", "code"), [(0, "no_curves"), (6, "too_short"), (40, "other_metrics")])
def test_unknown_curves_say_whether_any_were_reported(reported, code):
    check = checks(trials(middle), reported_epochs=reported)["curves"]
    assert (check.verdict, check.code) == ("unknown", code)
    assert says(check)
    assert figure(check) == "-"
