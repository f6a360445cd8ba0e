"""Canonical bytes: one spelling for every value in an identity.

Numbers are rounded to 12 significant digits. Classes and functions are written by their public import path.
The result is sorted, compact JSON: equal content gives equal hashes on every machine.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import operator
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from refine.errors import DesignError, SpaceError, unstorable
from refine.utils.objects import is_import_path

SIGNIFICANT_DIGITS = 12

LABEL_DIGITS = 6
"""Significant digits of a number in a label; no level is printed in more."""

DEEPEST = 8  # largest depth of nested tuples in a value


def round_significant(value: float) -> float:
    """``value`` rounded to 12 significant digits; zero is always positive."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


@dataclass(frozen=True)
class Reference:
    """A class or function by import path."""

    path: str  # `"keras.optimizers.Adam"` or `"package.module:Outer.inner"`
    # The object itself if loaded, else `None`; ignored by equality.
    target: Any = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """The last part of the path: ``Adam``."""
        return self.path.replace(":", ".").rpartition(".")[2]

    @property
    def module(self) -> str:
        """The module of the path."""
        if ":" in self.path:
            return self.path.partition(":")[0]
        return self.path.rpartition(".")[0]

    def resolve(self) -> Any:
        """The object, imported if necessary; SpaceError if the path can't be imported in this environment."""
        if self.target is not None:
            return self.target
        try:
            target: object = importlib.import_module(self.module)
            for part in self.path[len(self.module) + 1 :].split("."):
                target = getattr(target, part)
        except (ImportError, AttributeError) as error:
            raise SpaceError(
                f"{self.path}: a stored class or function must be importable, but {error}; install the "
                "package or run from the script that defines the class or function"
            ) from error
        return target


def refer(target: object) -> Reference:
    """The reference of a class or function, by its shortest public path.

    ``keras.src.optimizers.adam.Adam`` becomes ``keras.optimizers.Adam``: private parts of the module path are
    dropped, and the shortest path that leads to the same object is used.

    Raises:
        SpaceError: There is no such path: a lambda, a local function or an instance.
    """
    module = getattr(target, "__module__", None)
    qualname = getattr(target, "__qualname__", getattr(target, "__name__", None))
    if not isinstance(qualname, str):
        raise SpaceError(
            f"{target!r}: a choice must be a number, string, bool, None, tuple, or an importable class or "
            f"function, got an instance of {type(target).__name__}; give its class, or a name that the "
            "objective looks up"
        )
    if not isinstance(module, str):
        # NumPy's ufuncs have a name but no module.
        module = type(target).__module__
    if "<" in qualname:
        if "<lambda>" in qualname:
            reason = "a lambda"
        else:
            reason = "defined inside a function"
        raise SpaceError(
            f"{qualname}: a choice must be importable, got {reason}; define it with `def` at the top level "
            "of a module"
        )
    public = [part for part in module.split(".") if part != "src" and not part.startswith("_")]
    if "." not in qualname and module != "__main__":
        for end in range(1, len(public) + 1):
            path = ".".join(public[:end])
            if getattr(sys.modules.get(path), qualname, None) is target:
                return Reference(f"{path}.{qualname}", target)
    resolved = sys.modules.get(module)
    for part in qualname.split("."):
        resolved = getattr(resolved, part, None)  # type: ignore[assignment]
    if resolved is not target or not is_import_path(module):
        if is_import_path(module):
            fault = "leads to another object"
        else:
            fault = "can't be written in an import statement"
        raise SpaceError(
            f"{qualname}: a choice must be importable, but {module}:{qualname} {fault}; "
            "define a name at the top level of a module"
        )
    return Reference(f"{module}:{qualname}", target)


def freeze(value: object, depth: int = 0) -> Any:
    """A value in canonical, immutable form.

    NumPy scalars become Python scalars, floats are rounded, lists become tuples, classes and functions become
    :class:`Reference`.

    Raises:
        SpaceError: NaN, infinity, a number or string that can't be stored, or an object without an import
            path.
    """
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if value is None or isinstance(value, bool | Reference):
        return value
    # A member of an IntEnum or StrEnum is stored and compared as its plain value.
    if isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            raise SpaceError(
                "a whole number must be below 1.8e308, the largest float, got a larger one"
            ) from None
        return int(value)
    if isinstance(value, str):
        if bad := unstorable(value):
            raise SpaceError(f"a string {bad}")
        return str.__str__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SpaceError(f"a value must be finite, got {value}")
        return round_significant(value)
    if isinstance(value, list | tuple):
        _check_depth(depth)
        return tuple(freeze(v, depth + 1) for v in value)
    return refer(value)


def _check_depth(depth: int) -> None:
    """Limits nesting: the length of a value's key doubles with every level."""
    if depth >= DEEPEST:
        raise SpaceError(
            f"tuples in a value may be nested {DEEPEST} deep, got deeper ones; flatten the value"
        )


def thaw(value: object) -> Any:
    """The value for an objective: references are resolved to their objects."""
    if isinstance(value, Reference):
        return value.resolve()
    if isinstance(value, tuple):
        return tuple(thaw(v) for v in value)
    return value


def encode(value: object) -> Any:
    """A frozen value as plain JSON data; :func:`decode` is the inverse."""
    if isinstance(value, Reference):
        return {"import": value.path}
    if isinstance(value, tuple):
        return {"tuple": [encode(v) for v in value]}
    return value


def decode(data: object, depth: int = 0) -> Any:
    """The frozen value of :func:`encode`'s output. Imports no module."""
    if isinstance(data, dict):
        if set(data) == {"import"}:
            path = str(data["import"])
            if not is_import_path(path.replace(":", ".", 1)):
                raise SpaceError(f"an import must be dotted names, as in keras.optimizers.Adam, got {path!r}")
            return Reference(path)
        if set(data) == {"tuple"}:
            _check_depth(depth)
            return tuple(decode(v, depth + 1) for v in data["tuple"])
        raise SpaceError(f"a stored value must be a plain value, an import or a tuple, got {data!r}")
    return data


def bare(value: object) -> Any:
    """A frozen value as constraints see it: classes, functions and tuples by label."""
    if isinstance(value, Reference | tuple):
        return label(value)
    return value


def label(value: object) -> str:
    """The text of a frozen value in tables."""
    if isinstance(value, Reference):
        return value.label
    if isinstance(value, tuple):
        return "(" + ", ".join(label(v) for v in value) + ")"
    if isinstance(value, float):
        return f"{value:.{LABEL_DIGITS}g}"
    return str(value)


def literal(value: object) -> str:
    """A value as Python text; a class or function as its import path."""
    if isinstance(value, Reference):
        return value.path.replace(":", ".")
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def modules(values: Iterable[object]) -> set[str]:
    """Modules needed by the Python texts of values."""
    needed: set[str] = set()
    for value in values:
        if isinstance(value, Reference):
            needed.add(value.module)
        elif isinstance(value, tuple):
            needed |= modules(value)
    return needed


def dumps(data: object) -> str:
    """Canonical JSON: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: object, length: int = 12) -> str:
    """The first ``length`` hexadecimal digits of SHA-256 over canonical JSON."""
    return hashlib.sha256(dumps(data).encode()).hexdigest()[:length]


def check_seed(seed: Any, minimum: int | None = None) -> int:
    """``seed`` as a Python integer; DesignError unless whole and at least ``minimum``."""
    is_integer = hasattr(seed, "__index__") and not isinstance(seed, bool)
    if not is_integer or (minimum is not None and seed < minimum):
        if minimum is None:
            bound = ""
        else:
            bound = f" >= {minimum}"
        raise DesignError(f"seed must be a whole number{bound}, got {seed!r}; for example seed=7")
    return operator.index(seed)


def seed_of(*parts: object) -> int:
    """A 31-bit seed from JSON data."""
    return int.from_bytes(hashlib.sha256(dumps(parts).encode()).digest()[:4], "big") >> 1


def value_key(value: object) -> str:
    """One text per distinct value: ``4`` and ``4.0`` are the same number, ``True`` and ``1`` are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, tuple):
        return dumps([value_key(v) for v in value])
    return dumps(encode(value))
