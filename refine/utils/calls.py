"""Calls as one types them."""

from __future__ import annotations

import keyword
from collections.abc import Mapping


def arguments(values: Mapping[str, str]) -> str:
    """Names with values as a call takes them: by keyword, or as a mapping where a name is none that Python takes.

    Args:
        values: Name -> its value as code.
    """
    if all(name.isidentifier() and not keyword.iskeyword(name) for name in values):
        return ", ".join(f"{name}={value}" for name, value in values.items())
    return "{" + ", ".join(f"{name!r}: {value}" for name, value in values.items()) + "}"
