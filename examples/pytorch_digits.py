"""PyTorch: an ordinary training loop that reports every epoch, so that a pruner can stop trials.

pip install torch
python examples/pytorch_digits.py 60
"""

import sys
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import refine

x, y = load_digits(return_X_y=True)
parts = train_test_split((x / 16).astype("float32"), y, random_state=0)
x_train, x_val, y_train, y_val = map(torch.tensor, parts)

space = refine.Space(
    {
        "optimizer": ["sgd", "adam"],
        "lr": refine.Float(1e-4, 0.3, log=True),
        "momentum": refine.Float(0, 0.9, step=0.1, when="optimizer == 'sgd'"),
        "width": refine.Integer(8, 64, step=8),
        "second": [None, 8, 16, 32],
        "dropout": refine.Float(0, 0.5, step=0.1),
    },
    constraints=["second is None or second <= width"],
)


def digits(params, trial):
    """The objective; refine has already seeded PyTorch's generator."""
    widths = [x_train.shape[1], *(n for n in (params["width"], params["second"]) if n)]
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Dropout(params["dropout"]), nn.Linear(widths[-1], 10))
    if params["optimizer"] == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), params["lr"], momentum=params["momentum"])
    else:
        optimizer = torch.optim.Adam(model.parameters(), params["lr"])
    for epoch in range(20):
        model.train()
        for batch in torch.randperm(len(x_train)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x_train[batch]), y_train[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_val).argmax(1) == y_val).float().mean().item()
        trial.report(epoch, {"val_acc": accuracy})
        if trial.should_prune():
            break
    return {"val_acc": accuracy}


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    tree = refine.Tree("digits", store="pytorch.db")
    root = tree.add_round(space, digits, metric="max:val_acc", n=n, seed=1, plan=refine.Plan(pruner="median"))
    print(root.run(workers=2).propose())
    print(tree.winner())
