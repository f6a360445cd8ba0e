"""Training curves: what is seen on simulated curves whose truth is known."""

from itertools import product

import numpy as np
import pytest

from refine.stats import CurveCheck, CurveFlags

FLAGS = CurveFlags._fields
EPOCHS = (12, 30, 100)
RUNS = 200
SCATTER = 0.01
NOISE = 2 * SCATTER  # between trainings: a quarter of its variance is the last epoch's noise


def _noise(rng, n, alike):
    """Deviation SCATTER; neighbours correlate by `alike`."""
    out = rng.normal(0, SCATTER, n)
    for i in range(1, n):
        out[i] = alike * out[i - 1] + np.sqrt(1 - alike**2) * out[i]
    return out


def curves(kind, n, rng, alike=0.0):
    """One trial of a kind. Losses fall from 0.7 to 0.1, the score rises from 0.6 to 0.95, mostly by n / 2."""
    t = np.arange(n) / n
    remaining = np.exp(-8 * t)
    late = np.maximum(0, t - 0.5) * 2 * n / (n - 2)  # from 0 at half time to 1 at the end
    fit = 0.1 + 0.6 * remaining
    held_out = 0.2 + 0.5 * remaining
    score = 0.95 - 0.35 * remaining
    if kind == "plateau":
        fit, held_out, score = (np.full(n, v) for v in (0.1, 0.2, 0.95))
    elif kind == "fitting":  # the training loss falls on, the validation loss stays
        fit = fit - 6 * SCATTER * late
    elif kind == "overfitting":  # by ten deviations of one epoch, while the training loss falls by six
        held_out = held_out + 10 * SCATTER * late
        fit = fit - 6 * SCATTER * late
    elif kind == "unsteady":  # three quarters of the variance between trainings
        score = score + _noise(rng, n, alike) * np.sqrt(3)
    elif kind == "improving":  # by twice the noise over the last quarter
        score = 0.6 + 8 * NOISE * t
    elif kind == "saturated":
        score = 0.95 - 0.35 * np.exp(-40 * t)
    elif kind == "rising":  # a fifth of what it had fallen
        fit = fit + 12 * SCATTER * late
    return {
        "training": fit + _noise(rng, n, alike),
        "validation": held_out + _noise(rng, n, alike),
        "score": score + _noise(rng, n, alike),
        "noise": NOISE,
    }


def rates(kind, n, alike=0.0, noise_known=True):
    """Flag -> share of trials of this kind that raise it."""
    rng = np.random.default_rng([n, round(10 * alike), sum(map(ord, kind))])
    count = np.zeros(len(FLAGS))
    for _ in range(RUNS):
        arguments = curves(kind, n, rng, alike)
        count += [flag.seen for flag in CurveCheck()(**arguments | ({} if noise_known else {"noise": None}))]
    rate_by_flag = dict(zip(FLAGS, count / RUNS, strict=True))
    print(
        f"{kind}, {n} epochs, correlation {alike}, noise {'' if noise_known else 'un'}known: {rate_by_flag}"
    )
    return rate_by_flag


@pytest.mark.nightly
def test_flags_of_curves_keep_their_false_alarm_rate_and_their_power():
    for n, alike in product(EPOCHS, (0.0, 0.5)):
        limit = 0.05 if n > 12 else 0.09
        for kind in ("healthy", "fitting"):
            assert max(rates(kind, n, alike).values()) <= limit
        assert max(rates("healthy", n, alike, noise_known=False).values()) <= limit
        flat = rates("plateau", n, alike)
        assert flat.pop("saturated") > 0.9  # more epochs would have changed nothing
        assert max(flat.values()) <= limit
    for kind, (n, alike) in product(FLAGS, product(EPOCHS, (0.0, 0.5))):
        rate_by_flag = rates(kind, n, alike)
        assert rate_by_flag.pop(kind) >= {12: 0.05, 30: 0.2, 100: 0.75}[n]
        assert max(rate_by_flag.values()) <= (0.05 if n > 12 else 0.09)


def seen(**arguments):
    return {name for name, flag in CurveCheck()(**arguments)._asdict().items() if flag.seen}


@pytest.mark.parametrize("kind", FLAGS)
def test_units_and_offsets_do_not_matter(kind):
    arguments = curves(kind, 60, np.random.default_rng(0))
    assert seen(**arguments) == {kind}
    scaled = {name: 1000 * values for name, values in arguments.items()}
    assert seen(**scaled) == {kind}
    assert seen(**arguments | {"score": arguments["score"] - 7}) == {kind}
    penalised = {name: arguments[name] + 3 for name in ("training", "validation")}
    assert seen(**arguments | penalised) == {kind}


def test_flags_state_the_size_of_an_effect():
    n = 60
    t = np.arange(n) / n
    losses = {"training": np.exp(-3 * t), "validation": 0.5 + (t - 0.4) ** 2}
    flags = CurveCheck()(**losses, score=t)
    assert flags.overfitting == (True, pytest.approx(0.31, abs=0.02))
    assert flags.improving == (True, pytest.approx(0.25))
    assert flags.unsteady == (False, pytest.approx(0, abs=1e-9))
    assert flags.rising == (False, 0)
    early = CurveCheck()(score=np.minimum(t, 0.1))
    assert early.saturated == (True, pytest.approx(8, abs=2))
    alone = CurveCheck()(validation=0.5 - t)  # stands in for the score
    assert alone.improving == (True, pytest.approx(0.25))
    assert np.isnan([alone.overfitting.size, alone.unsteady.size]).all()


def test_short_and_constant_curves_raise_no_flag():
    unknown = [np.isnan(flag.size) for flag in CurveCheck()(score=np.arange(7.0), training=np.ones(7))]
    assert unknown == [True] * 5
    assert seen() == set()
    flags_of_constants = CurveCheck()(np.ones(50), np.ones(50), np.ones(50), 0.01)
    assert not any(flag.seen for flag in flags_of_constants)
    assert np.isnan(flags_of_constants.saturated.size)  # a score that never changes may be anything
    assert CurveCheck(least=30)(score=np.arange(20.0)) == CurveCheck()(score=[])


def test_epochs_that_were_not_measured_are_left_out():
    arguments = curves("overfitting", 120, np.random.default_rng(1))
    for i, name in enumerate(("training", "validation", "score")):
        arguments[name][i::3] = (np.nan, np.inf, -np.inf)[i]
    assert seen(**arguments) == {"overfitting"}
    early = np.full(80, np.nan)
    early[::4] = 0.9 - 0.4 * np.exp(-np.arange(20.0))
    saturated = CurveCheck()(score=early, noise=0.01).saturated
    assert saturated.seen
    assert saturated.size <= 20


def test_a_burst_and_a_bad_start():
    arguments = curves("healthy", 100, np.random.default_rng(4))
    arguments["score"][60] -= 0.3
    assert "unsteady" not in seen(**arguments)
    grows = np.exp(np.random.default_rng(5).normal(0.8, 1, 30).cumsum())
    assert seen(training=grows) == {"rising"}
    arguments = curves("rising", 100, np.random.default_rng(4))
    arguments["training"][:3] = 1e5, 3e3, 40.0
    assert "rising" in seen(**arguments)
