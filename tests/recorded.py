"""What was recorded before names changed, and how an object of today is compared with it; see tests/fixtures/README.md."""

from __future__ import annotations

import functools
import json
import math
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import refine
from refine.space.encoding import encode
from refine.space.parameters import Parameter

FIXTURES = Path(__file__).parent / "fixtures"
STORES = {
    path.stem: path for folder in ("stores", "studies") for path in sorted((FIXTURES / folder).glob("*.sql"))
}

NAMES = {
    "degenerate": "allow_degenerate",
    "focus": "exploit",
    "counter": "audit",
    "was": "previous",
    "permutation": "configuration",
    "permutations": "configurations",
    "n_even": "n_space_filling",
    "even": "space_filling",
    "kept": "volume_kept",
    "proposed_kept": "proposed_volume_kept",
    "retention": "probability",
    "proposed_retention": "proposed_probability",
    "vain": "no_value",
    "told": "judged",
}
"""A recorded name -> what it is called today, with dots where it moved into another object."""

VALUES = {
    "even": "space_filling",
    "focus": "exploit",
    "counter": "audit",
    "luck": "optimism",
}
"""A recorded word -> the word of today, where it is a value."""

CLAIMS = {
    **NAMES,
    "retention": "claim.probability",
    "epsilon": "claim.epsilon",
    "epsilon_source": "claim.epsilon_source",
}
"""The names of what states a claim."""


@functools.cache
def recorded(store: str) -> dict:
    return json.loads((FIXTURES / "recorded" / f"{store}.json").read_text(encoding="utf-8"))


def store_of(name: str, folder: Path) -> Path:
    """The store as it was written, made anew in a folder."""
    path = folder / f"{name}.db"
    if not path.exists():
        with sqlite3.connect(path) as connection:
            connection.executescript(STORES[name].read_text(encoding="utf-8"))
        connection.close()
    return path


def opened(name: str, tree: str, folder: Path) -> refine.Tree:
    return refine.Tree(tree, store=store_of(name, folder), create=False)


def differences(now, then, names=NAMES, at: str = "") -> list[str]:
    """Where an object of today says something else than the recorded JSON; whatever was recorded must be there.

    Args:
        now: An object: its attributes, keys, items or the value itself are looked up.
        then: What was recorded.
        names: See :data:`NAMES`.
        at: Where this is, for the texts.
    """
    if isinstance(now, Parameter | refine.Space):
        now = now.to_json()
    if isinstance(then, dict):
        out = []
        for key, value in then.items():
            where = f"{at}.{key}".lstrip(".")
            try:
                found = _looked_up(now, key, names)
            except (AttributeError, KeyError, TypeError) as error:
                out.append(f"{where}: is gone ({error})")
                continue
            out += differences(found, value, names, where)
        return out
    if isinstance(then, list):
        found = _items(now)
        if len(found) != len(then):
            return [f"{at}: {len(found)} items, were {len(then)}"]
        return [
            text
            for i, (a, b) in enumerate(zip(found, then, strict=True))
            for text in differences(a, b, names, f"{at}[{i}]")
        ]
    return [] if _same(now, then) else [f"{at}: {now!r}, was {then!r}"]


def _looked_up(now, key: str, names: Mapping[str, str]):
    """What is called ``key`` in the record, or what that is called today."""
    if not isinstance(now, Mapping | pd.Series):
        for part in names.get(key, key).split("."):
            now = getattr(now, part)
        return now
    return now[key] if key in now else now[names[key]]


def _items(now) -> list:
    if isinstance(now, pd.DataFrame):
        return now.to_dict("records")
    return list(now)


def _same(now, then) -> bool:
    if isinstance(now, str) and isinstance(then, str) and now == f"{then}.0":
        return True  # labels of whole floats, which were written without their point
    if isinstance(now, np.generic):
        now = now.item()
    if then is None:
        return (
            now is None
            or now is pd.NA
            or now is pd.NaT
            or (isinstance(now, float) and not math.isfinite(now))
        )
    if isinstance(then, bool) or isinstance(now, bool):
        return now is then
    if isinstance(then, float | int) and isinstance(now, float | int):
        return math.isclose(now, then, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(now, str) and isinstance(then, str):
        return now == VALUES.get(then, then) or now == then
    try:
        return encode(now) == then
    except refine.errors.SpaceError:
        return str(now) == str(then)
