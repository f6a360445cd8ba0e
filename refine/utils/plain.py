"""Results as JSON data: plain values, with null for unknown ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd


def plain(value: object) -> Any:
    """Any result as JSON data: tables become lists of rows, NaN and infinity null."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return None
    if isinstance(value, np.generic | pd.Series):
        return plain(value.item() if isinstance(value, np.generic) else value.to_dict())
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if not f.name.startswith("_")}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(v) for v in value]
    return str(value)
