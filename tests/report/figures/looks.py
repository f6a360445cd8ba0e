"""Checks of figures, and tables to draw."""

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb

from refine.space.parameters import Float, Integer
from refine.space.space import Space

LONG = "a_very_long_label_that_somebody_wrote_for_a_loss_of_his_own"

SPACE = Space(
    {
        "lr": Float(1e-4, 1e-1, 7, log=True),
        "dropout": (0.0, 0.5, 6),
        "width": Integer(8, 320, 40),
        "neurons": [4, 8, 16, 32, 64],
        "optimizer": ["Adam", "Nadam", "SGD"],
        "loss$x$": ["mse", LONG],
        "epochs": 150,
    }
)


def trials(n=300, space=SPACE, seed=5):
    """A round with its optimum at lr 0.00316, weak SGD, failures at the highest rate, slow wide networks."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(space.columns(np.column_stack([rng.integers(0, p.size, n) for p in space.values()])))
    away = np.log10(frame["lr"].to_numpy()) + 2.5
    frame["value"] = 0.95 - 0.02 * away**2 + rng.normal(0, 0.005, n)
    frame["value"] -= 0.01 * (frame["optimizer"] == "SGD")
    frame["state"] = "complete"
    frame["origin"] = "space_filling"
    frame["seconds"] = 1.0 + frame["width"] / 20 + rng.random(n)
    high = np.isclose(frame["lr"].astype(float), 0.1) & (rng.random(n) < 0.6)
    frame.loc[high, ["state", "value"]] = ["diverged", np.nan]
    frame.loc[frame.index % 30 == 0, "origin"] = "exploit"
    return frame


def texts(ax):
    """Everything written into the axes."""
    return [t.get_text() for t in ax.texts]


def legend(ax):
    """Labels of the legend."""
    return [t.get_text() for t in ax.get_legend().get_texts()]


def drawn(ax, gid):
    """Lines of that kind."""
    return [line for line in ax.lines if line.get_gid() == gid]


def points(ax, gid):
    """All places of lines of that kind."""
    return [(float(x), float(y)) for line in drawn(ax, gid) for x, y in np.asarray(line.get_xydata())]


def inside(ax):
    """Everything that is written lies on the page, and nothing in the head covers anything else there."""
    figure = ax.get_figure(root=True)
    figure.canvas.draw()
    around = [*tick_labels(ax.xaxis), *tick_labels(ax.yaxis), ax.xaxis.label, ax.yaxis.label]
    written = [*ax.texts, *(around if ax.axison else [])]
    heads = [ax._left_title, ax._right_title]
    boxes = [t.get_window_extent() for t in [*written, *heads] if t.get_text() and t.get_visible()]
    if ax.get_legend() is not None:
        boxes.append(ax.get_legend().get_window_extent())
        heads.append(ax.get_legend())
    for box in boxes:
        assert box.x0 >= figure.bbox.x0 - 1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y0 >= figure.bbox.y0 - 1
        assert box.y1 <= figure.bbox.y1 + 1
    apart(heads)
    if ax.axison:
        for axis in (
            ax.xaxis,
            ax.yaxis,
        ):  # the box around a slanted text says nothing of where its letters are
            apart(label for label in tick_labels(axis) if label.get_rotation() in (0, 90))


def lightness(colour):
    """From 0, black, to 1, white."""
    return float(np.dot(to_rgb(colour), (0.3, 0.59, 0.11)))


def tick_labels(axis):
    """The tick labels in view."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def apart(things):
    """None covers another."""
    shown = [t for t in things if not hasattr(t, "get_text") or (t.get_text() and t.get_visible())]
    boxes = [t.get_window_extent() for t in shown]
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])
