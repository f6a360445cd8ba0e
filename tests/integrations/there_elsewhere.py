"""Real libraries on studies of refine. Run by test_elsewhere.py in the environment of the libraries."""

import contextlib
import io
import json

import numpy as np

import refine
from refine.integrations import Epochs
from tests.recipes import recipe

RATE = {"learning_rate": refine.Float(1e-4, 1.0, log=True)}
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def objective(trial):
    return trial.suggest_float("x", 0, 1) + (trial.suggest_categorical("kind", ["a", "b"]) == "b")


def test_optuna_dashboard(tmp_path):
    """The dashboard lists a narrowed study with one range per parameter."""
    import optuna
    import optuna_dashboard

    import refine.optuna

    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20)
    edits = {"kind": ["a"], "x": (0.0, 0.5)}
    refine.optuna.narrow(study, refine.optuna.review(study).edit(edits)).optimize(objective, n_trials=10)
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/studies/1",
        "QUERY_STRING": "after=0",
        "SERVER_NAME": "x",
    }
    request |= {
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    shown = json.loads(b"".join(optuna_dashboard.wsgi(url)(request, lambda *_: None)))
    assert len(shown["trials"]) == 30
    assert sorted(p["name"] for p in shown["union_search_space"]) == ["kind", "x"]
    assert [p["key"] for p in shown["user_attrs"]] == ["refine:decision:20"]


def tried(title, metric, monkeypatch, folder, **names):
    """Trains by a recipe of the docs: some trials are pruned; a trial that dies in epoch 3 resumes."""
    monkeypatch.chdir(folder)
    objective = recipe("running.md", title, **names)["objective"]
    original = Epochs.ended
    epochs = []

    def dies(self, epoch, metrics, options):
        epochs.append(epoch)
        stop = original(self, epoch, metrics, options)
        assert epochs != [0, 1, 2], "killed"
        return stop

    with refine.Tree("q", store=":memory:") as tree:
        goal = {"metric": metric, "direction": "minimize"}
        pruner = refine.Pruner(keep=0.5, warmup=1, min_trials=3, audit=0.0)
        pruned = tree.add_round(RATE, objective, n=8, plan=refine.Plan(pruner=pruner), name="pruned", **goal)
        assert set(pruned.run().trials["state"]) == {"complete", "pruned"}
        monkeypatch.setattr(Epochs, "ended", dies)
        killed = tree.add_round(RATE, objective, n=1, name="killed", **goal)
        with contextlib.suppress(refine.RoundStoppedError):
            killed.run()
        assert "killed" in killed.failures["error"].iloc[0]
        killed.run(rerun="failed")
        assert (epochs, set(killed.trials["state"])) == ([0, 1, 2, 2, 3, 4], {"complete"})
        (curves,) = tree._context.store.records([killed._stored.pk], curves=True).curves[-1:]
        assert len(curves[metric]) == 5


def test_keras(tmp_path, monkeypatch):
    import keras

    def compiled(params):
        model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
        model.compile(keras.optimizers.SGD(**params), "binary_crossentropy")
        return model

    tried("Keras callback", "val_loss", monkeypatch, tmp_path, compiled=compiled, train=(X, Y), val=(X, Y))


def test_lightning(tmp_path, monkeypatch):
    import lightning
    import torch

    class Module(lightning.LightningModule):
        def __init__(self, learning_rate):
            super().__init__()
            self.rate = learning_rate
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch, _):
            return torch.nn.functional.binary_cross_entropy_with_logits(self.layer(batch[0]), batch[1])

        def validation_step(self, batch, batch_number):
            self.log("val_loss", self.training_step(batch, batch_number))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), self.rate)

    rows = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    data = torch.utils.data.DataLoader(rows, 16)
    tried("Lightning callback", "val_loss", monkeypatch, tmp_path, Module=Module, train=data, val=data)


def test_transformers(tmp_path, monkeypatch):
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

    class Model(PreTrainedModel):
        config_class = PretrainedConfig

        def __init__(self, config):
            super().__init__(config)
            self.layer = torch.nn.Linear(4, 1)
            self.post_init()

        def forward(self, x, labels):
            out = self.layer(x)
            return {"loss": torch.nn.functional.binary_cross_entropy_with_logits(out, labels), "logits": out}

    rows = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    names = {"model": lambda: Model(PretrainedConfig()), "train": rows, "val": rows}
    tried("Trainer callback", "eval_loss", monkeypatch, tmp_path, **names)
