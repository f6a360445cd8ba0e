"""Texts of ``refine init``: a project file, and an objective."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

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
EXAMPLE = """\
lr = { low = 0.0001, high = 1.0, levels = 13, log = true }
units = [8, 16, 32, 64]
activation = ["relu", "tanh", "logistic"]
alpha = { low = 0.00001, high = 0.1, levels = 9, log = true }
batch_size = [32, 64, 128]
"""
"""Parameters of the objective of ``refine init``, as TOML."""
_PROJECT = """\
# A study: refine reads this file from the folder in which you type its commands.
budget = {budget}  # trials of the whole study, or a time: "8 h"

{program}
{goal}
# The search space: change the ranges to yours.
#   {{ low = 0.0, high = 0.5, levels = 6 }}      a range with both ends
#   {{ low = 0.0001, high = 0.1, log = true }}   a range on a log scale
#   ["adam", "sgd"]                            a choice
#   10                                         a fixed value
[parameters]
{parameters}"""


def project_text(budget: str, program: str, goal: str, parameters: str) -> str:
    """A project file from its parts; the tables are TOML."""
    budget_text = budget if budget.isdecimal() else toml_text(budget)
    return _PROJECT.format(budget=budget_text, program=program, goal=goal, parameters=parameters)


def toml_table(name: str, values: Mapping[str, str | Sequence[str]]) -> str:
    """A table of texts; an empty list is left out, and a list of one is its text."""
    lines = [f"[{name}]"]
    for key, value in values.items():
        texts = [toml_text(text) for text in ([value] if isinstance(value, str) else value)]
        if len(texts) == 1:
            lines.append(f"{key} = {texts[0]}")
        elif texts:
            lines.append(f"{key} = [{', '.join(texts)}]")
    return "\n".join([*lines, ""])


def toml_text(text: str) -> str:
    """A text in TOML: as it stands between single quotes, if they suffice."""
    if "'" not in text and text.isprintable() and ('"' in text or "\\" in text):
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def space_of_parameters(names: Sequence[str]) -> str:
    """A line of TOML with a range for each parameter, to be changed; the name suggests the range.

    A space of one or two parameters gets fine levels: a budget of 60 trials needs more configurations.
    """
    fine = len(names) <= _FEW
    return "".join(f"{_key(name)} = {_range_of(name, fine)}\n" for name in names)


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
