"""What real libraries make of refine. Run by test_elsewhere.py in the environment that has them."""

import io
import json

import optuna
import optuna_dashboard

import refine.optuna


def objective(trial):
    return trial.suggest_float("x", 0, 1) + (trial.suggest_categorical("kind", ["a", "b"]) == "b")


def test_optuna_dashboard(tmp_path):
    """It lists a study that was narrowed, with one range of each parameter."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20)
    edits = {"kind": ["a"], "x": (0.0, 0.5)}
    refine.optuna.narrow(study, refine.optuna.review(study).edit(edits)).optimize(objective, n_trials=10)
    asked = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/studies/1",
        "QUERY_STRING": "after=0",
        "SERVER_NAME": "x",
    }
    asked |= {
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    shown = json.loads(b"".join(optuna_dashboard.wsgi(url)(asked, lambda *_: None)))
    assert len(shown["trials"]) == 30
    assert sorted(p["name"] for p in shown["union_search_space"]) == ["kind", "x"]
    assert [p["key"] for p in shown["user_attrs"]] == ["refine:decision:20"]
