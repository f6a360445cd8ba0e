"""Questions about a part of a space: the language, the masks, and answers on surfaces with a known truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import refine
from refine import stats
from refine.design.space_filling import Sobol, draw
from refine.errors import SpaceError
from refine.proposal.damping import damped
from refine.proposal.posterior import surrogate_of
from refine.proposal.question import (
    Evidence,
    check_divides,
    compared,
    condition_in,
    expected_best,
    rows_inside,
)
from refine.proposal.settling import contenders, level_rows, ran_candidates
from refine.proposal.suggested import region_text
from refine.space.constraints import Constraint
from refine.stats import Posterior

SPACE = refine.Space(
    {
        "lr": refine.Float(1e-4, 10.0, levels=11, log=True),
        "layers": (1, 5),
        "model": ["net", "tree"],
        "depth": refine.Integer(1, 6, when="model == 'tree'"),
    }
)


def _value(frame):
    lr = np.log10(frame["lr"].to_numpy(float))
    depth = pd.to_numeric(frame["depth"]).fillna(1.0).to_numpy(float)
    tree = (frame["model"] == "tree").to_numpy()
    return -0.2 * (lr + 1) ** 2 - 0.05 * (frame["layers"] - 4).abs().to_numpy() - tree * 0.1 * abs(depth - 3)


@pytest.fixture(scope="module")
def evidence():
    rows = draw(Sobol(), SPACE, 80, 3)
    frame = pd.DataFrame(SPACE.columns(rows))
    mask = SPACE.active(rows)["depth"]
    frame["depth"] = frame["depth"].astype(object).where(mask, None)
    frame["value"] = _value(frame) + np.random.default_rng(1).normal(0, 0.01, len(frame))
    analysis = refine.analyze(SPACE, frame)
    surrogate = surrogate_of(analysis)
    assert surrogate is not None
    return Evidence(analysis, surrogate)


def _probability(evidence, question, premise=None):
    among = evidence.masks(None if premise is None else condition_in(SPACE, premise))
    part = evidence.masks(condition_in(SPACE, question)).inside(among)
    return compared(evidence, part.candidates, part.outside(among).candidates, [0.03]).within


@pytest.mark.parametrize(
    "question", ["lr <= 1", "layers >= 3", "model == 'net'", "lr > 0.001 and layers in [4, 5]"]
)
def test_a_region_with_the_best_value_is_likely(evidence, question):
    assert _probability(evidence, question) > 0.8


@pytest.mark.parametrize("question", ["lr <= 0.001", "lr >= 3", "layers <= 1", "depth == 1", "depth >= 6"])
def test_a_region_without_the_best_value_is_unlikely(evidence, question):
    assert _probability(evidence, question) < 0.2


def test_a_condition_moves_the_best_value_that_an_answer_is_compared_with(evidence):
    assert _probability(evidence, "layers >= 3", "lr <= 0.01") > 0.6
    assert _probability(evidence, "depth in [2, 3, 4]", "model == 'tree'") > 0.9


def test_a_configuration_without_the_parameter_is_outside_even_under_not(evidence):
    shallow = evidence.masks(condition_in(SPACE, "depth <= 3"))
    deep = evidence.masks(condition_in(SPACE, "not depth <= 3"))
    net = evidence.masks(condition_in(SPACE, "model == 'net'"))
    for a, b in ((shallow, net), (deep, net), (shallow, deep)):
        assert not (a.candidates & b.candidates).any()
        assert not (a.trials & b.trials).any()
    assert (shallow.trials | deep.trials | net.trials).all()
    assert evidence.conditional(condition_in(SPACE, "depth <= 3 and lr < 1")) == {"depth": "model == 'tree'"}


def test_trials_between_levels_lie_where_they_ran():
    space = refine.Space({"x": (0.0, 10.0, 11), "y": refine.Float(0.01, 1.0, levels=3, log=True)})
    frame = pd.DataFrame({"x": np.arange(0, 10, 0.5), "y": [0.01, 0.03, 0.1, 0.3, 1.0] * 4})
    frame["value"] = -((frame["x"] - 3) ** 2)
    analysis = refine.analyze(space, frame)
    surrogate = surrogate_of(analysis)
    trials = Evidence(analysis, surrogate).trials
    assert np.allclose(sorted(trials["x"]), sorted(frame["x"]))
    assert np.allclose(sorted(trials["y"]), sorted(frame["y"]))


def test_bounds_by_name_are_expressions():
    assert str(condition_in(SPACE, None, {"layers": (1, 2)})) == "1 <= layers <= 2"
    assert str(condition_in(SPACE, None, {"model": "tree"})) == "model == 'tree'"
    assert str(condition_in(SPACE, None, {"layers": 2})) == "layers == 2"
    question = condition_in(SPACE, "lr <= 1", {"layers": [2, 3]})
    assert question.names == {"lr", "layers"}


@pytest.mark.parametrize(
    ("question", "bounds", "message"),
    [
        ("layer <= 2", {}, "did you mean 'layers'?"),
        ("model = nett", {}, "question 'model = nett': model has no choice 'nett'; did you mean 'net'?"),
        ("__import__('os').system('ls')", {}, "not allowed"),
        ("lr.real <= 1", {}, "not allowed"),
        ("[x for x in lr]", {}, "not allowed"),
        ("lr <", {}, "must be one expression"),
        ("True", {}, "must name at least one parameter"),
        ("9**9**9**9 < lr", {}, ""),
        (None, {}, "got neither"),
        (None, {"layer": 2}, "did you mean 'layers'?"),
        (None, {"model": "Tree"}, "did you mean 'tree'?"),
        (None, {"lr": "fast"}, "takes numbers"),
    ],
)
def test_a_wrong_question_is_refused_with_the_fix(question, bounds, message):
    with pytest.raises(SpaceError, match="question") as refused:
        check_divides(SPACE, condition_in(SPACE, question, bounds), None)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("question", "premise", "message"),
    [
        ("layers <= 5", None, "true for every configuration"),
        ("model == 'forest'", None, "true for no configuration"),
        ("layers <= 3", "layers <= 2", "true for every configuration with layers <= 2"),
        ("depth <= 3", "model == 'net'", "true for no configuration with model == 'net'"),
        ("lr in [0.02, 0.2]", None, "for a range write 0.02 <= lr <= 0.2"),
        ("layers <= 3", "lr > 100", "given 'lr > 100' is true for no configuration"),
    ],
)
def test_a_question_with_one_answer_everywhere_is_refused(question, premise, message):
    within = None if premise is None else condition_in(SPACE, premise)
    with pytest.raises(SpaceError) as refused:
        check_divides(SPACE, condition_in(SPACE, question), within)
    assert message in str(refused.value)


def test_cells_that_settle_lie_on_both_sides_and_did_not_run(evidence):
    part = evidence.masks(condition_in(SPACE, "layers <= 3"))
    ran = ran_candidates(evidence)
    assert ran.sum() == len({tuple(row) for row in evidence.analysis.read_positions.round(6).astype(str)})
    cells = contenders(evidence, part.candidates, ~part.candidates, 6, 0.03, ran)
    assert len(set(cells)) == 6
    assert not ran[cells].any()
    assert part.candidates[cells].tolist() == [True, False] * 3
    frame = pd.DataFrame(SPACE.columns(level_rows(evidence.surrogate, cells)))
    assert (np.abs(np.log10(frame["lr"]) + 1) <= 1.5).all()  # near the bests


def test_the_stated_chances_of_a_comparison_add_up(evidence):
    part = evidence.masks(condition_in(SPACE, "lr <= 0.001"))
    result = compared(evidence, part.candidates, ~part.candidates, [0.03])
    assert result.within == pytest.approx(1 - result.behind)
    assert result.ahead + result.tie + result.behind == pytest.approx(1.0)
    assert result.behind > 0.9
    assert result.better < 0.1
    assert result.low < result.cost < result.high


def test_draws_without_a_usable_candidate_have_no_cost(evidence):
    """A draw without a usable candidate in one part has no difference; the other draws give the cost."""
    first = np.arange(len(evidence.surrogate.candidates)) % 2 == 0
    posterior = evidence.surrogate.posterior
    scores = np.zeros((posterior.forest + 100, len(first)), dtype=np.float32)
    scores[:, first] = 1.0
    scores[-30:, first] = -1.0  # the worst score of a draw: the candidate fails
    scores[:, -1] = -1.0
    drawn = replace(evidence.surrogate, posterior=posterior._replace(scores=scores, powers=50))
    result = compared(Evidence(evidence.analysis, drawn), first, ~first, [0.01])
    better, worse = posterior.value([1.0, 0.0])
    assert result.cost == pytest.approx(worse - better)
    assert 0.5 < result.better < 1


def test_a_part_represents_a_front_as_the_front_itself_says():
    rng = np.random.default_rng(3)
    values = np.linspace(-2.0, 2.0, 9)
    goals = [
        Posterior(
            rng.normal(size=(40, 200)).astype(np.float32), 40, *[np.zeros(0)] * 3, values, values, 1.0, 200
        )
        for _ in range(3)
    ]
    for count in (2, 3):
        posteriors = goals[:count]
        epsilons = [0.3, 0.5, 0.4][:count]
        first = rng.random(200) < 0.7
        front = stats.front_of(posteriors, epsilons)
        expected = front.kept(first)
        assert 0 < expected.sum() < 40
        assert (stats.draws_represented(posteriors, epsilons, first, ~first) == expected).all()


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("layers <= 1" + " or layers <= 1" * 5000, "at most 2,000 characters, got 75,011"),
        ("not " * 400 + "layers <= 2", "may be nested 200 deep, got 402"),
        ("-" * 1900 + "layers <= 2", "may be nested 200 deep"),
        ("(" * 900 + "layers" + ")" * 900, "must be one expression"),
        ("layer <= 2", "unknown parameter 'layer'; did you mean 'layers'"),
        ("modell == 'net'", "did you mean 'model'"),
        ("model == nett", "model has no choice 'nett'; did you mean 'net'"),
        ("model = net and", "for example lr 0.0001..3.16228 or model = net"),
        ("lr.__class__ == 1", "is not allowed"),
        ("().__class__.__bases__[0]", "is not allowed"),
        ("open('x')", r"unknown function open\(\)"),
        ("layers / 0 <= 1", "true for no configuration"),
        ("layers % 0 <= 1", "true for no configuration"),
        ("10 ** 10 ** 10 ** 10 <= lr", "true for no configuration"),
        ("lr <= 1" + "0" * 1500, "true for every configuration|arithmetic"),
        ("'%999999999d' % layers == 'a'", "need numbers on both sides"),
        ("'%999999999d' % 1 == model", "need numbers on both sides"),
        ("'a' * 99999999999 == model", "need numbers on both sides"),
        ("lr <= ²", "invalid character"),
        ("layers <= 2\x00", "null bytes"),
        ("\ud800 <= 2", "must be one expression"),
        ("layers := 2", "write == for ="),
        ("model", "names a parameter without a value; write model == 'net'"),
        ("layers", "write layers == 1"),
        ("1 <= 2", "must name at least one parameter"),
    ],
)
def test_a_hostile_question_gives_one_short_error(question, rule):
    with pytest.raises(SpaceError, match=rule) as raised:
        check_divides(SPACE, condition_in(SPACE, question), None)
    assert len(str(raised.value)) < 500
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("question", "read"),
    [
        ("model = net", "model == 'net'"),
        ("model == net", "model == 'net'"),
        ("model: Net", "model == 'net'"),
        ("model net", "model == 'net'"),
        ("only tree", "model == 'tree'"),
        ("is model tree?", "model == 'tree'"),
        ("model is not net", "model != 'net'"),
        ("model in net, tree", "model in ['net', 'tree']"),
        ("model == net or tree", "model in ['net', 'tree']"),
        ("lr 0.003..0.3", "0.003 <= lr <= 0.3"),
        ("in lr 0.003..0.3", "0.003 <= lr <= 0.3"),
        ("lr 0.003-0.3", "0.003 <= lr <= 0.3"),
        ("lr = 1e-3-1e-1", "0.001 <= lr <= 0.1"),
        ("lr in 0.3 to 0.003", "0.003 <= lr <= 0.3"),
        ("lr between 0.003 and 0.3", "0.003 <= lr <= 0.3"),
        ("lr=(0.003, 0.3)", "0.003 <= lr <= 0.3"),
        ("lr ≤ 0.3", "lr <= 0.3"),
        ("lr at least 0.3", "lr >= 0.3"),
        ("layers = 2, 3", "2 <= layers <= 3"),
        ("layers = 2 or 4", "layers in [2, 4]"),
        ("layers = 2, 3, 5", "layers in [2, 3, 5]"),
        ("layers=2 model=net", "layers == 2 and model == 'net'"),
        ("lr < .1, model = net", "lr < 0.1 and model == 'net'"),
        ("(model = net OR lr > 1) & layers <= 3", "(model == 'net' or lr > 1) and layers <= 3"),
        ("layers = 2 * depth", "layers == 2 * depth"),
        ("lr in [0.001, 0.1]", "lr in [0.001, 0.1]"),  # a list has values, in the language
    ],
)
def test_a_question_is_read_as_people_type_it(question, read):
    assert str(condition_in(SPACE, question)) == read


def test_choices_without_quotes_are_read_in_any_spelling_and_never_guessed():
    choices = [True, False]
    space = refine.Space({"opt": ["adam-w", "big net", (64, 32)], "act": ["relu", "sgd"], "last": ["relu"]})
    space = refine.Space({**space, "last": ["relu", "tanh"], "on": choices})
    assert str(condition_in(space, "opt = big net or adam-w")).endswith("['big net', 'adam-w']")
    assert str(condition_in(space, "opt = (64, 32)")) == "opt == '(64, 32)'"
    assert str(condition_in(space, "on = true")) == "on == True"
    with pytest.raises(SpaceError, match="question 'relu': .*act and last have this choice"):
        condition_in(space, "relu")


def test_names_in_other_alphabets_are_parameters():
    space = refine.Space({"größe": (1, 5), "x": (0.0, 1.0)})
    assert str(condition_in(space, "größe <= 2")) == "größe <= 2"
    with pytest.raises(SpaceError, match="mean 'größe'"):
        condition_in(space, "grösse <= 2")


@pytest.mark.parametrize(
    "parameter",
    [
        refine.Float(1e-4, 10.0, levels=11, log=True),
        refine.Float(-3.0, 2.0, levels=7),
        refine.Integer(1, 300, levels=7),
        refine.Categorical([16, 32, 64, 128]),
        refine.Categorical(["adam", "rms", "sgd"]),
    ],
)
def test_the_text_of_a_region_holds_its_levels_and_no_others(parameter):
    values = parameter.column(np.arange(parameter.size))
    for low in range(parameter.size):
        for high in range(low, parameter.size):
            inside = (np.arange(parameter.size) >= low) & (np.arange(parameter.size) <= high)
            if not inside.all():
                text = region_text("x", parameter, inside)
                assert (Constraint(text)({"x": values}) == inside).all(), text
    assert region_text("x", refine.Float(0.0, 1.0, levels=11), np.arange(11) <= 3) == "x <= 0.3"


def test_values_beyond_the_best_trial_are_damped():
    values = np.array([-3.0, 1.0, 1.5, 11.0])
    near = damped(values, best=1.0, unit=0.5)
    assert near == pytest.approx([-3.0, 1.0, 1.0 + 0.5 * np.log(2), 1.0 + 0.5 * np.log(21)])
    assert damped(values, best=1.0, unit=0.0).tolist() == [-3.0, 1.0, 1.0, 1.0]


def test_a_larger_region_promises_little_beyond_the_best_trial():
    """A loss that levels off at the best: no region may be expected far beyond its trials."""
    space = refine.Space(dict.fromkeys("abcd", (0.0, 1.0, 10)))
    cells = np.random.default_rng(0).integers(0, 10, (60, 4)) / 9
    frame = pd.DataFrame(cells, columns=list(space)).drop_duplicates()
    frame["value"] = -np.exp(6 * ((frame[list(space)] - 0.4) ** 2).sum(axis=1))
    analysis = refine.analyze(space, frame)
    evidence = Evidence(analysis, surrogate_of(analysis))
    everywhere = evidence.masks(None)
    best = expected_best(evidence, everywhere.candidates)
    best_trial = frame["value"].max()
    assert best - best_trial < 0.5 * (frame["value"].quantile(0.9) - frame["value"].median())


def _evidence_of(noise, declared=None):
    space = refine.Space(dict.fromkeys("abcdef", (0.0, 1.0, 10)))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 10, (40, 6)) / 9, columns=list(space)).drop_duplicates()
    frame["value"] = -((frame[list("abcdef")] - 0.4) ** 2).sum(axis=1) + noise * rng.normal(size=len(frame))
    analysis = refine.analyze(space, frame, refine.Goal("value", noise=declared))
    return Evidence(analysis, surrogate_of(analysis))


@pytest.mark.slow
def test_further_candidates_of_a_small_region_have_the_values_of_a_full_draw():
    evidence = _evidence_of(0.05)
    space = evidence.analysis.space
    corner = condition_in(space, "a <= 0.12 and b <= 0.12 and c <= 0.12 and d <= 0.12")
    rows = rows_inside(space, corner, None)
    extended = evidence.with_candidates(rows)
    full = Evidence(evidence.analysis, surrogate_of(evidence.analysis, rows))
    answers = []
    for drawn in (extended, full):
        part = drawn.masks(corner)
        answers.append(compared(drawn, part.candidates, part.outside(drawn.masks(None)).candidates, [0.05]))
    assert len(extended.surrogate.candidates) == len(full.surrogate.candidates)
    assert answers[0] == pytest.approx(answers[1], rel=1e-3, abs=1e-3)


def test_candidates_with_residuals_of_their_own_are_all_drawn_again():
    evidence = _evidence_of(0.0, "none")
    assert evidence.with_candidates(np.zeros((3, 6), dtype=np.int64)) is None


@pytest.mark.parametrize("question", ["num.trees <= 2", "1 <= lambda <= 3"])
def test_a_parameter_whose_name_no_expression_can_hold_is_named_in_the_error(question):
    space = refine.Space({"num.trees": (1, 5), "lambda": (1, 5)})
    with pytest.raises(SpaceError, match="rename the parameter"):
        condition_in(space, question)
