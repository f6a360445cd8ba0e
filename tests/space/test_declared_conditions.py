"""Declared conditions: a parameter that some configurations have and others have not."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest

import refine
from refine.design.space_filling import feasible
from refine.errors import RefineWarning, SpaceError
from refine.space.categorical import Categorical
from refine.space.edits import edit_space, narrowed
from refine.space.files import read_space
from refine.space.parameters import Float, Integer
from refine.space.space import Space, configuration_key
from refine.space.user_configurations import given_configuration
from refine.tree.exchange.optuna import to_study
from refine.trials.trial import AUDITS

SPACE = Space(
    {
        "optimizer": ["sgd", "adam"],
        "momentum": Float(0, 0.9, 4, when="optimizer == 'sgd'"),
        "nesterov": Categorical([True, False], when="momentum > 0.5"),
        "beta": Float(0.8, 0.9, 3, when="optimizer=='adam'"),
        "units": (4, 8),
    }
)


def every(space):
    return [space.at(row) for row in np.ndindex(*space.radices)]


def test_values_of_absent_parameters_make_no_further_configurations():
    keys = {configuration_key(SPACE.frozen(p)) for p in every(SPACE)}
    # sgd: momentum 0 and 0.3 without nesterov, 0.6 and 0.9 with either; adam: three betas. Five units each.
    assert SPACE.size == len(keys) == (2 + 2 * 2 + 3) * 5
    assert SPACE.cells == 2 * 4 * 2 * 3 * 5
    assert feasible(SPACE).count == SPACE.size
    rows = np.array(list(np.ndindex(*SPACE.radices)))
    assert SPACE.valid(rows).sum() == SPACE.size
    for row in rows[SPACE.valid(rows)]:
        assert SPACE.indices(SPACE.cell(SPACE.at(row))) == tuple(row)


def test_identity_is_canonical():
    configuration = {"optimizer": "adam", "momentum": 0.3, "nesterov": True, "beta": 0.8, "units": 4}
    assert SPACE.frozen(configuration) == {"optimizer": "adam", "beta": 0.8, "units": 4}
    assert all(("beta" in p) == (p["optimizer"] == "adam") for p in every(SPACE))
    adam = given_configuration(SPACE, {"optimizer": "adam", "beta": 0.85, "units": 4}, "given[0]")
    assert adam["beta"] == 0.85
    with pytest.raises(SpaceError, match="missing: momentum"):
        given_configuration(SPACE, {"optimizer": "sgd", "units": 4}, "given[0]")
    with pytest.raises(SpaceError, match="missing: beta"):
        SPACE.frozen({"optimizer": "adam", "units": 4})


def test_a_misspelt_choice_that_makes_a_given_value_unused_is_refused():
    typed = {"optimizer": "adm", "beta": 0.85, "units": 4}
    with pytest.raises(
        SpaceError, match="'adm' is not a choice of optimizer, and beta exists only with .*'adam'"
    ):
        given_configuration(SPACE, typed, "configurations[0]")
    new = {"optimizer": "lion", "units": 4}  # a new choice is allowed
    assert given_configuration(SPACE, new, "configurations[0]") == new
    unused = {"optimizer": "adam", "beta": 0.85, "units": 4, "momentum": 0.3}
    assert "momentum" not in given_configuration(SPACE, unused, "configurations[0]")


def test_a_condition_that_no_configuration_meets_is_warned_of(tree):
    space = {"model": ["svc", "knn"], "C": Float(0.1, 1, 3, when="model == 'SVC'"), "k": [1, 2, 3]}
    text = "C is never used: no configuration meets \"model == 'SVC'\"; model is categorical: svc, knn"
    with pytest.warns(RefineWarning, match=re.escape(text)) as caught:
        tree.add_round(space, lambda p: p["k"], n=4)
    assert caught[0].filename == __file__


def test_a_condition_is_stored_and_part_of_the_id():
    assert Space.from_json(json.loads(json.dumps(SPACE.to_json()))) == SPACE
    names = {"Space": Space, "Float": Float, "Integer": Integer, "Categorical": Categorical}
    assert eval(repr(SPACE), names) == SPACE
    assert pickle.loads(pickle.dumps(SPACE)) == SPACE
    without = Space({"optimizer": ["sgd", "adam"], "momentum": Float(0, 0.9, 4)})
    under = Space({**without, "momentum": without["momentum"].under("optimizer == 'sgd'")})
    assert "when" not in json.dumps(without.to_json())
    assert without.digest != under.digest
    for name, levels in (("momentum", "0, 0.3, 0.6, 0.9"), ("beta", "0.8, 0.85, 0.9")):
        assert SPACE[name].describe().endswith(f"{SPACE[name].when}: {levels}")


def test_a_condition_can_be_written_in_a_file(tmp_path):
    (tmp_path / "s.toml").write_text(
        "[parameters]\noptimizer = ['sgd', 'adam']\n"
        "momentum = { low = 0.0, high = 0.9, levels = 4, when = \"optimizer == 'sgd'\" }\n"
        'nesterov = { values = [true, false], when = "momentum > 0.5" }\n'
        "beta = { low = 0.8, high = 0.9, levels = 3, when = \"optimizer == 'adam'\" }\n"
        "units = { low = 4, high = 8 }\n"
    )
    assert read_space(str(tmp_path / "s.toml")) == SPACE


def test_membership_of_a_row_depends_on_the_parameters_that_it_has():
    frame = pd.DataFrame(
        {
            "optimizer": ["sgd", "sgd", "adam", "adam"],
            "momentum": [0.45, np.nan, np.nan, 5.0],
            "nesterov": [None, None, None, None],
            "beta": [0.0, 0.0, 0.81, 0.7],
            "units": 4,
        }
    )
    assert SPACE.contains(frame).tolist() == [True, False, True, False]
    assert np.isfinite(SPACE.unit(frame)[[0, 2]]).all()


def test_a_constraint_on_an_absent_parameter_excludes_nothing():
    limited = Space(dict(SPACE), ["momentum <= 0.3"])
    assert feasible(limited).count == (2 + 3) * 5


def test_edits_and_narrowing_keep_conditions():
    new = edit_space(SPACE, SPACE, {"momentum": (0.3, 0.9), "nesterov": True})
    assert new["momentum"] == Float(0.3, 0.9, 5, when="optimizer == 'sgd'")
    assert new["nesterov"] == Categorical([True], when="momentum > 0.5")
    assert narrowed(SPACE["momentum"], [1, 2]).when == "optimizer == 'sgd'"
    assert edit_space(SPACE, SPACE, {"momentum": Float(0, 0.5, 3)})["momentum"].when == "optimizer == 'sgd'"
    only = edit_space(SPACE, SPACE, {"optimizer": "adam"})
    assert only.size == 3 * 5
    assert only.varied == ("beta", "units")  # what no configuration has does not vary


def test_a_space_of_any_size_is_counted_exactly():
    conditionals = {f"x{i}": Float(0, 1, 10, when=f"depth >= {i}") for i in range(1, 9)}
    space = Space({"depth": (0, 8), **conditionals})
    assert space.size == sum(10**k for k in range(9))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"a": [1, 2], "b": Float(0, 1, when="c == 1")},
            "b: when 'c == 1': unknown parameter 'c'; known: a, b",
        ),
        (
            {"b": Float(0, 1, when="b > 0.5")},
            "b: when 'b > 0.5': a condition must not name its own parameter",
        ),
        (
            {"a": Float(0, 1, when="b > 0"), "b": Float(0, 1, when="a > 0")},
            "conditions must not form a circle",
        ),
        ({"a": ["x", "y"], "b": Float(0, 1, when="a > 1")}, "b: when 'a > 1': arithmetic and < <= > >= need"),
    ],
)
def test_conditions_that_no_space_can_have(parameters, text):
    with pytest.raises(SpaceError) as caught:
        Space(parameters)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"when": True}, "when= must be an expression as text such as \"optimizer == 'sgd'\", got True"),
        ({"when": "a = 1"}, "when 'a = 1': must be one expression, but invalid syntax; write == for ="),
    ],
)
def test_a_wrong_condition_is_refused(options, text):
    with pytest.raises(SpaceError) as caught:
        Float(0, 1, **options)
    assert str(caught.value).startswith(text)


# A round.


def training(params):
    momentum = params["momentum"] if params["optimizer"] == "sgd" else 0.2
    return -3 * (momentum - 0.6) ** 2 - (params["lr"] - 2) ** 2 / 10 - 0.3 * (params["optimizer"] == "adam")


def round_of(design="sobol", n=60):
    momentum = Float(0, 0.9, 10, when="optimizer == 'sgd'")
    space = Space({"optimizer": ["sgd", "adam"], "momentum": momentum, "lr": Float(0, 4, 9)})
    tree = refine.Tree("conditions", store="sqlite://")
    return tree.add_round(space, training, n=n, seed=2, plan=refine.Plan(design=design)).run()


@pytest.mark.slow
def test_a_conditional_range_is_narrowed_and_skips_configurations_that_ran():
    root = round_of()
    review = root.propose(risk=0.3)
    assert 0 < review.proposal.claim.probability <= 1
    child = (
        review.edit(momentum=(0.3, 0.9), lr=(0, 4))
        .reject("optimizer")
        .accept(note="n", n=30, plan=refine.Plan(audit=0.1))
    )
    assert child.space["momentum"].when == "optimizer == 'sgd'"
    child.run()
    outside = child.trials[child.trials["origin"].isin(AUDITS)]
    assert (outside["optimizer"] == "sgd").all()  # adam has no momentum that could lie outside
    assert (outside["momentum"] < 0.3).all()
    shared = pd.concat([root.trials, child.trials[~child.trials["origin"].isin(AUDITS)]])
    assert not shared.duplicated(["optimizer", "momentum", "lr"]).any()


@pytest.mark.slow
def test_samplers_of_optuna_leave_it_out():
    round_ = round_of("tpe", 14)
    trials = round_.trials
    assert len(trials) == 14
    assert trials["momentum"].isna().tolist() == (trials["optimizer"] == "adam").tolist()
    assert not trials.duplicated(["optimizer", "momentum", "lr"]).any()
    params = [t.params for t in to_study(round_).trials]
    assert all(("momentum" in p) == (p["optimizer"] == "sgd") for p in params)


# Seen, and declared afterwards.


@pytest.mark.slow
def test_a_parameter_that_some_trials_did_not_read_is_offered_a_condition(tmp_path):
    space = Space({"optimizer": ["sgd", "adam"], "momentum": Float(0, 0.9, 10), "lr": Float(0, 4, 9)})
    root = refine.Tree("seen", store=str(tmp_path / "s.db")).add_round(space, training, n=60, seed=2)
    root.run()
    review = root.propose()
    texts = {getattr(b, "text", ""): b for b in review._page().details.blocks}
    (block,) = (b for text, b in texts.items() if text.startswith("The objective read momentum only"))
    assert "when=\"optimizer == 'sgd'\"" in str(block.call)
    declared = Float(0, 0.9, 10, when="optimizer == 'sgd'")
    child = (
        review.reject("optimizer")
        .edit(momentum=declared, lr=(0, 4))
        .accept(note="n", n=20, plan=refine.Plan(audit=0))
    )
    assert child.space.size == 11 * 9
    child.run()
    ran, before = (set(r.trials.query("optimizer == 'adam'")["lr"]) for r in (child, root))
    assert before
    assert not ran & before  # the same configurations as before, whatever momentum these had


def test_a_conditional_range_is_narrowed_at_both_ends(tree):
    momentum = Float(0, 1, 11, when="optimizer == 'sgd'")
    space = Space({"optimizer": ["sgd", "adam"], "momentum": momentum, "lr": (0.0, 1.0, 11)})

    def score(params):
        height = 1 - abs(params["lr"] - 0.5)
        return height - (0.02 if params["optimizer"] == "adam" else abs(params["momentum"] - 0.7))

    round_ = tree.add_round(space, score, n=100, seed=3).run()
    momentum = round_.propose(risk=0.05).space["momentum"]
    assert momentum.low >= 0.4  # absent, it stands at 0
    assert momentum.low <= 0.7 <= momentum.high < 1


def careless(params):
    """Reads what not all configurations have."""
    return params["momentum"]


@pytest.mark.slow
def test_reading_an_absent_parameter_names_its_condition(tree):
    space = {"optimizer": ["sgd", "adam"], "momentum": Float(0, 0.9, 4, when="optimizer == 'sgd'")}
    round_ = tree.add_round(space, careless, n=5, seed=1).run()
    failed = round_.failures
    assert set(failed["optimizer"]) == {"adam"}
    message = "UnknownNameError: 'momentum' is absent here: its condition optimizer == 'sgd' does not hold"
    assert failed["error"].str.contains(message).all()


def test_a_page_says_which_parameters_no_configuration_uses():
    narrowed = SPACE.replace({"optimizer": ["adam"]})
    assert "not used: no configuration meets optimizer == 'sgd'" in str(narrowed._page())
    assert "not used" not in str(SPACE._page())
