"""A program without refine, in any language: options in, a line of JSON out.

Logistic regression by gradient descent, without a library.
"""

import argparse
import json
import math
import random

options = argparse.ArgumentParser()
options.add_argument("--lr", type=float, required=True)
options.add_argument("--decay", type=float, default=0.0)
options.add_argument("--steps", choices=["plain", "heavy"], required=True)
options.add_argument("--momentum", type=float, default=0.0)
options.add_argument("--seed", type=int, default=0)
asked = options.parse_args()

draw = random.Random(1)  # the same data in every run
points = [[1.0, draw.gauss(0, 1), draw.gauss(0, 1)] for _ in range(300)]
labels = [int(1.5 * a - b + draw.gauss(0, 1) > 0) for _, a, b in points]
train, val = range(200), range(200, 300)


def probability(weights, point):
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, sum(map(float.__mul__, weights, point))))))


weights, speed = [0.0] * 3, [0.0] * 3
order = random.Random(asked.seed)
for epoch in range(5):
    for i in order.sample(train, len(train)):
        error = probability(weights, points[i]) - labels[i]
        for j, value in enumerate(points[i]):
            speed[j] = asked.momentum * speed[j] - asked.lr * (error * value + asked.decay * weights[j])
            weights[j] += speed[j]
    chances = [min(max(probability(weights, points[i]), 1e-9), 1 - 1e-9) for i in val]
    loss = -sum(math.log(p if labels[i] else 1 - p) for p, i in zip(chances, val, strict=True)) / len(val)
    print(json.dumps({"epoch": epoch, "val_loss": loss}), flush=True)

right = sum((p > 0.5) == labels[i] for p, i in zip(chances, val, strict=True))
print(json.dumps({"val_loss": loss, "val_acc": right / len(val)}))
