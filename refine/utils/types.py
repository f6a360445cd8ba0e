"""Names of types that several folders use."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""Plain data: name -> text, number, truth value, ``None``, or a list or mapping of plain data."""
