"""Lightning: a LightningModule, and refine's callback, which reports every epoch.

pip install lightning
python examples/lightning_digits.py 40
"""

import logging
import sys
import warnings

import lightning
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import refine.integrations

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split((x / 16).astype("float32"), y, random_state=0)
TRAIN = TensorDataset(torch.tensor(x_train), torch.tensor(y_train))
VAL = TensorDataset(torch.tensor(x_val), torch.tensor(y_val))


class Digits(lightning.LightningModule):
    def __init__(self, lr, width, dropout):
        super().__init__()
        self.lr = lr
        self.model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10))

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch, _):
        right = self.model(batch[0]).argmax(1) == batch[1]
        self.log("val_acc", right.float().mean(), on_epoch=True, batch_size=len(right))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)


def digits(params):
    epochs = refine.integrations.lightning_callback()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_epochs=5,
        accelerator="cpu",
        callbacks=[epochs],
        num_sanity_val_steps=0,
        enable_model_summary=False,
        **quiet,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(Digits(**params), DataLoader(TRAIN, 64, shuffle=True), DataLoader(VAL, 512))
    return epochs.metrics


SPACE = {
    "lr": refine.Float(1e-4, 0.1, log=True),
    "width": refine.Integer(8, 64, step=8),
    "dropout": refine.Float(0, 0.5, step=0.1),
}

if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    tree = refine.Tree("digits", store="lightning.db")
    print(tree.add_round(SPACE, digits, metric="max:val_acc", n=n, seed=1).run())
    print(tree.winner())
