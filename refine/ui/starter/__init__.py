"""Files of ``refine init``: a space, and an objective or the parameters of a program."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_FEW = 2  # parameters: a coarse space of so few has hardly more configurations than a budget has trials
# Names of parameters, with a range for a space of several parameters, and for a space of one or two.
_RANGES = (
    (
        re.compile(r".*drop.*", re.IGNORECASE),
        "{ low = 0.0, high = 0.5, levels = 11 }",
        "{ low = 0.0, high = 0.5, levels = 101 }",
    ),
    (
        re.compile(r"lr|.*rate|.*decay|l1|l2|alpha|lambda|eta|gamma|c|.*reg(ularization)?", re.IGNORECASE),
        "{ low = 0.0001, high = 1.0, log = true }",
        "{ low = 0.0001, high = 1.0, levels = 121, log = true }",
    ),
    (
        re.compile(
            r".*(units|layers|neurons|batch|size|depth|width|trees|estimators|hidden).*", re.IGNORECASE
        ),
        "[8, 16, 32, 64]",
        "{ low = 8, high = 128, step = 1 }",
    ),
    (re.compile(r".*"), "{ low = 0.0, high = 1.0, levels = 11 }", "{ low = 0.0, high = 1.0, levels = 101 }"),
)
_CHOICES = {
    re.compile(r"opt|optim(izer)?", re.IGNORECASE): '["adam", "sgd", "rmsprop"]',
    re.compile(r"act|activation", re.IGNORECASE): '["relu", "tanh", "gelu"]',
}
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADING = """\
# The search space: change the ranges to yours.
#   { low = 0.0, high = 0.5, levels = 6 }      a range with both ends
#   { low = 0.0001, high = 0.1, log = true }   a range on a log scale
#   ["adam", "sgd"]                            a choice
#   10                                         a fixed value
[parameters]
"""


def space_of_parameters(names: Sequence[str]) -> str:
    """A space file with a range for each parameter, to be changed; the name suggests the range.

    A space of one or two parameters gets fine levels: a budget of 60 trials needs more configurations.
    """
    fine = len(names) <= _FEW
    return _HEADING + "".join(f"{_key(name)} = {_range_of(name, fine)}\n" for name in names)


def _key(name: str) -> str:
    """A name as a key of TOML, in quotes if it has other characters than ASCII letters, digits, _ and -."""
    if _BARE.fullmatch(name):
        return name
    return json.dumps(name, ensure_ascii=False)


def _range_of(name: str, fine: bool) -> str:
    for pattern, choices in _CHOICES.items():
        if pattern.fullmatch(name):
            return choices
    for pattern, coarse_range, fine_range in _RANGES:
        if pattern.fullmatch(name):
            if fine:
                return fine_range
            return coarse_range
    raise AssertionError(name)  # the last pattern matches every name
