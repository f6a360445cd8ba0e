"""Adaptive rounds: samplers of Optuna inside a space, resumed, in parallel, and what they teach."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest

import objectives
import refine
from refine.design.optuna_samplers import axes, configuration_of, params_of
from refine.errors import DesignError
from refine.space.space import configuration_key
from refine.utils.extras import EXTRAS

SPACE = {
    "lr": refine.Float(0.001, 1.0, levels=4, log=True),
    "dropout": (0.0, 0.5, 6),
    "units": refine.Integer(4, 64, levels=4),
    "batch": [8, 16, 32],
    "optimizer": ["Adam", None, "SGD"],
    "epochs": 5,
}


def plain(params):
    return -((params["lr"] - 0.02) ** 2) - params["dropout"] - abs(params["units"] - 40) / 100


def ran(round_):
    """Trials without what time makes of them."""
    return round_.trials.drop(columns="seconds")


@pytest.mark.slow
@pytest.mark.parametrize("design", ["tpe", "qmc"])
def test_adaptive_trials_lie_inside_the_space_and_never_repeat(tree, design):
    space = refine.Space(SPACE, ["dropout < 0.4 or optimizer != 'SGD'"])
    round_ = tree.add_round(space, plain, n=40, plan=refine.Plan(design=design)).run()
    frame = round_.trials
    assert frame.groupby(["origin", "state"]).size().to_dict() == {("adaptive", "complete"): 40}
    assert space.contains(frame).all()
    assert frame["cell"].isna().any()  # a Float that may be anywhere
    assert frame["units"].nunique() > 4  # whole numbers between the levels
    assert len(set(round_._context.store.records([round_._stored.pk]).columns["key"])) == 40
    assert list(round_._shown["ask"]) == list(range(40))


@pytest.mark.parametrize("ordered", [False, True])
def test_distributions_lead_there_and_back(ordered):
    lattices = {"width": refine.Integer(16, 64, base=2), "share": refine.Float(0.1, 0.5, step=0.2)}
    space = refine.Space({**SPACE, **lattices})
    axes_by_name = axes(space, ordered)
    assert set(axes_by_name) == set(space.varied)
    for cell in range(0, space.size, 61):
        configuration = space.frozen(space.configuration(cell))
        params = params_of(space, axes_by_name, configuration)
        assert configuration_key(configuration_of(space, axes_by_name, params)) == configuration_key(
            configuration
        )


PRUNED = {"metric": "acc", "plan": refine.Plan(pruner=refine.Pruner(warmup=3, min_trials=9))}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "options"), [(plain, {"plan": refine.Plan(design="tpe")}), (objectives.learner, PRUNED)]
)
def test_a_resumed_round_is_as_an_undisturbed_one(tmp_path, objective, options):
    tables = []
    for name, parts in (("whole", (30,)), ("parts", (7, 12, 30))):
        with refine.Tree("q", store=tmp_path / f"{name}.db") as tree:
            for n in parts:
                round_ = tree.add_round(SPACE, objective, n=n, seed=2, **options).run()
            tables.append((ran(round_), round_._shown))
    assert tables[0][0].equals(tables[1][0])
    assert tables[0][1].equals(tables[1][1])


@pytest.mark.slow
def test_a_round_is_its_sampler_metric_and_direction(tree):
    def both(params):
        return {"a": params["lr"], "b": -params["lr"]}

    ids = {
        tree.add_round(
            SPACE, both, n=5, plan=refine.Plan(design=design), metric=metric, direction=direction
        ).id
        for design in ("sobol", "tpe", optuna.samplers.TPESampler(n_startup_trials=3))
        for metric, direction in (("a", "maximize"), ("a", "minimize"), ("b", "maximize"))
    }
    assert len(ids) == 1 + 2 * 3
    root = tree.add_round(SPACE, both, n=12, metric="b", plan=refine.Plan(design="sobol")).run()
    child = root.propose().accept(n=5, plan=refine.Plan(design="tpe", audit=0))
    assert (child._value, child._node.adaptive) == ("b", True)
    assert tree[child.id].parent.id == root.id
    grandchild = child.branch(child.space, n=3)
    assert grandchild._node.method == "sobol"


def test_an_object_of_optuna_is_known_by_its_options(tree, tmp_path):
    sampler = optuna.samplers.TPESampler(n_startup_trials=3, seed=5)
    round_ = tree.add_round(SPACE, plain, n=8, plan=refine.Plan(design=sampler)).run()
    assert round_._node.method == "optuna.TPESampler(n_startup_trials=3)"
    assert "TPESampler" in str(tree)
    # Its random numbers come from the round, so that it can be resumed.
    same_round = tree.add_round(
        SPACE, plain, n=8, plan=refine.Plan(design=optuna.samplers.TPESampler(n_startup_trials=3, seed=9))
    )
    assert same_round.id == round_.id
    with refine.Tree("question", store=tmp_path / "refine.db") as other:
        reopened = other[round_.id]
        with pytest.raises(DesignError, match="repeat the call that created the round, with design="):
            reopened.run(n=10, objective=plain)
        other.add_round(SPACE, plain, n=8, plan=refine.Plan(design=sampler))
        reopened.run(n=10)
        assert len(reopened.trials) == 10


@pytest.mark.slow
@pytest.mark.parametrize(("design", "package"), [("gp", "torch"), ("cmaes", "cmaes")])
def test_a_design_that_needs_a_package_says_so(tree, design, package, monkeypatch):
    if importlib.util.find_spec(package) is not None:
        round_ = tree.add_round(SPACE, plain, n=15, plan=refine.Plan(design=design)).run()
        assert len(round_.trials) == 15
    monkeypatch.setitem(sys.modules, package, None)
    before = len(tree)
    with pytest.raises(
        DesignError, match=f"design '{design}' needs {package}, .*refine-hpo\\[{EXTRAS[package]}\\]'"
    ):
        tree.add_round(SPACE, plain, n=5, plan=refine.Plan(design=design))
    assert len(tree) == before


def test_a_sampler_learns_earlier_trials_in_the_space_first(tree, space):
    root = tree.add_round(space, objectives.bowl, n=40).run()
    child = root.branch({**space, "lr": (1.0, 2.0, 3)}, n=10, plan=refine.Plan(design="tpe")).run()
    inside = child.space.contains(root.trials).sum()
    assert inside > 0
    assert (child._shown["earlier"] == inside).all()
    assert list(child._shown["told"]) == list(range(10))


def test_failed_trials_are_reported_to_the_sampler_and_can_be_repeated(tree, space):
    round_ = tree.add_round(space, objectives.sometimes, n=30, seed=1, plan=refine.Plan(design="tpe")).run()
    states = round_.trials["state"]
    assert {"complete", "failed"} <= set(states)
    failed = int((states == "failed").sum())

    def mended(params):
        return params["lr"]

    mending = {"objective": objectives.named(mended, round_._node.objective), "rerun": "failed"}
    with refine.Tree("question", store=tree._url) as other:
        with pytest.warns(refine.errors.RefineWarning, match="version"):
            rerun = other[round_.id].run(**mending)
        assert len(rerun.trials) == 30
        assert "failed" not in set(rerun.trials["state"])
        assert (rerun._context.store.records([rerun._stored.pk]).columns["attempt"]).count(1) == failed


def test_a_small_space_is_used_up_and_no_more(tree):
    space = {"a": (1, 4), "b": ["x", "y"]}
    round_ = tree.add_round(space, lambda p: float(p["a"]), n=8, plan=refine.Plan(design="tpe"), name="small")
    round_.run()
    assert round_.trials["cell"].nunique() == 8
    with pytest.raises(DesignError, match="8 exist"):
        tree.add_round(space, lambda p: 0.0, n=9, plan=refine.Plan(design="tpe"), name="small")
    # Where numbers lie between levels there are more than cells.
    tree.add_round({"a": (0.0, 1.0, 3)}, plain, n=50, plan=refine.Plan(design="tpe"))


@pytest.mark.slow
def test_a_sampler_with_two_workers_is_asked_for_one_trial_while_one_runs(tree):
    space = {"lr": (0.5, 3.0, 6), "layers": [1, 2], "units": refine.Integer(8, 64, levels=8)}
    with ThreadPoolExecutor(2) as pool:
        round_ = tree.add_round(space, objectives.layered, n=40, plan=refine.Plan(design="tpe")).run(
            machine=refine.Machine(workers=2, executor=pool, progress=False)
        )
    assert len(round_.trials) == 40
    shown = round_._shown
    assert max(len(r) for r in shown["running"]) == 1
    assert (shown["told"] + [len(r) for r in shown["running"]] == shown["ask"]).all()


@pytest.mark.slow
def test_adaptive_trials_are_tested_nowhere_and_teach_where_the_best_is(tree, space):
    root = tree.add_round(space, objectives.bowl, n=60, plan=refine.Plan(design="tpe")).run()
    assert not root.analyze().tested
    with pytest.raises(DesignError, match="planned"):
        root._cells()
    child = root.branch(space, n=30).run()
    analysis = child.analyze()
    assert (analysis.n_space_filling, len(analysis.X)) == (30, 90)


@pytest.mark.slow
def test_an_adaptive_round_can_hold_exploit_and_audit_trials(tree, space):
    root = tree.add_round(space, objectives.bowl, n=60).run()
    child = (
        root.propose()
        .edit(lr=(1.0, 2.0))
        .accept(n=20, exploit=0.2, plan=refine.Plan(audit=0.1, design="tpe"))
    )
    counts = child.run().trials["origin"].value_counts()
    assert dict(counts) == {"adaptive": 14, "exploit": 4, "audit": 1, "probe": 1}
    assert (root._decisions[0].forecast, len(tree.calibration().entries)) == (None, 1)
