"""Files of ``refine init``: a space, and an objective or the parameters of a program."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_RATE = re.compile(r"lr|.*rate|.*decay|l1|l2|alpha|lambda|eta|gamma|c|.*reg(ularization)?", re.IGNORECASE)
_SIZE = re.compile(
    r".*(units|layers|neurons|batch|size|depth|width|trees|estimators|hidden).*", re.IGNORECASE
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
    """A space file with a range for each parameter, to be changed; the name suggests the range."""
    return _HEADING + "".join(f"{_key(name)} = {_range_of(name)}\n" for name in names)


def _key(name: str) -> str:
    """A name as a key of TOML, in quotes if it has other characters than ASCII letters, digits, _ and -."""
    if _BARE.fullmatch(name):
        return name
    return json.dumps(name, ensure_ascii=False)


def _range_of(name: str) -> str:
    if _RATE.fullmatch(name):
        return "{ low = 0.0001, high = 1.0, log = true }"
    if _SIZE.fullmatch(name):
        return "[8, 16, 32, 64]"
    for pattern, choices in _CHOICES.items():
        if pattern.fullmatch(name):
            return choices
    return "{ low = 0.0, high = 1.0, levels = 11 }"
