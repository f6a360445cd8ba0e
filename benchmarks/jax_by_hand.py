"""Microseconds a step of a loop over batches that is written in JAX for one dense network; `benchmarks/keras_fit.py --only limit` calls it.

    .venv-backends/bin/python benchmarks/jax_by_hand.py data.npz '[[[10, 1], 4]]'

The same arithmetic as its loop in TensorFlow: Adam on the cross-entropy, whole batches only, no validation and no metrics. Prints JSON.
"""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from keras_fit import a_step


def by_hand(x: Any, y: Any, widths: list[int], batch: int) -> Any:
    """Epochs of a network; called with their number, it gives the number of steps."""
    shapes, before = [], x.shape[1]
    for width in widths:
        shapes += [(before, width), (width,)]
        before = width
    sizes = [int(np.prod(shape)) for shape in shapes]
    ends = np.cumsum(sizes)[:-1].tolist()
    count = x.shape[0] // batch * batch

    def loss(w: Any, rows: Any) -> Any:
        parts = [p.reshape(s) for p, s in zip(jnp.split(w, ends), shapes, strict=True)]
        h = x[rows]
        for k in range(0, len(parts), 2):
            h = h @ parts[k] + parts[k + 1]
            h = jax.nn.relu(h) if k + 2 < len(parts) else jax.nn.sigmoid(h)
        h = jnp.clip(h, 1e-7, 1 - 1e-7)
        return -jnp.mean(y[rows] * jnp.log(h) + (1 - y[rows]) * jnp.log(1 - h))

    def step(state: Any, rows: Any) -> tuple[Any, None]:
        w, m, v, t = state
        g = jax.grad(loss)(w, rows)
        m, v, t = m + 0.1 * (g - m), v + 0.001 * (g * g - v), t + 1.0
        rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return (w - rate * m / (jnp.sqrt(v) + 1e-7), m, v, t), None

    @functools.partial(jax.jit)
    def epochs(w: Any, orders: Any) -> Any:
        state = (w, jnp.zeros_like(w), jnp.zeros_like(w), jnp.float32(0))
        return jax.lax.scan(step, state, orders)[0][0]

    rng = np.random.default_rng(0)
    weights = jnp.asarray(rng.normal(0, 0.1, sum(sizes)), jnp.float32)

    def run(number: int) -> int:
        orders = np.argsort(rng.random((number, x.shape[0])), axis=1)[:, :count].reshape(-1, batch)
        end = epochs(weights, jnp.asarray(orders, jnp.int32)).block_until_ready()
        assert np.isfinite(np.asarray(end)).all()
        return len(orders)

    return run


def main() -> None:
    """Prints what a step takes of every case."""
    with np.load(sys.argv[1]) as found:
        x, y = jnp.asarray(found["x"], jnp.float32), jnp.asarray(found["y"], jnp.float32)[:, None]
    each = []
    for widths, batch in json.loads(sys.argv[2]):
        each.append(a_step(by_hand(x, y, widths, batch), 1088))
    print(json.dumps(each))


if __name__ == "__main__":
    main()
