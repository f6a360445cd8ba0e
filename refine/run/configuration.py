"""The configuration for an objective: a dictionary with notes of the parameters read."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from refine.errors import UnknownNameError, did_you_mean


def _reads_one(name: str) -> Any:
    """A method of ``dict`` with a key as argument, which notes the key as read."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def reading(self: Configuration, key: object, *default: object) -> Any:
        self.read.add(str(key))
        return method(self, key, *default)

    return reading


def _reads_all(name: str) -> Any:
    """A method of ``dict`` on the whole dictionary, which notes all keys as read."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def reading(self: Configuration, *arguments: object) -> Any:
        self.read.update(dict.keys(self))
        return method(self, *arguments)

    return reading


class Configuration(dict[str, Any]):
    """A dictionary with a note of the keys ``read``.

    Values, items, copies, comparisons and texts of the whole read all keys: ``str(params)``, ``f"{params}"``,
    ``params == other``. A call such as ``dict.get(params, "lr")`` bypasses this class and is not noted.

    Args:
        values: Parameter -> value.
        read: Names of keys already read; a copy shares the set with the original.
        absent: Absent parameter -> condition.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        read: set[str] | None = None,
        absent: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(values)
        self.read: set[str] = set() if read is None else read
        self.absent: Mapping[str, str] = absent or {}

    __getitem__ = _reads_one("__getitem__")
    __contains__ = _reads_one("__contains__")
    get = _reads_one("get")
    setdefault = _reads_one("setdefault")

    items = _reads_all("items")
    values = _reads_all("values")
    popitem = _reads_all("popitem")
    __repr__ = _reads_all("__repr__")  # also that of ``str`` and ``format``
    __eq__ = _reads_all("__eq__")
    __ne__ = _reads_all("__ne__")
    __or__ = _reads_all("__or__")
    __ror__ = _reads_all("__ror__")
    __hash__ = None  # type: ignore[assignment]  # as of every dictionary

    def pop(self, name: str, *default: object) -> Any:
        """Removes a key and returns the value."""
        self.read.add(name)
        if not default and not super().__contains__(name):
            self.__missing__(name)
        return super().pop(name, *default)

    def __missing__(self, name: Any) -> NoReturn:
        if name in self.absent:
            raise UnknownNameError(
                f"{name!r} is absent here: its condition {self.absent[name]} does not hold; read it only if "
                f"the condition holds, or use params.get({name!r})"
            )
        raise UnknownNameError(f"unknown parameter {name!r}; {did_you_mean(name, dict.keys(self))}")

    def __getattr__(self, name: str) -> NoReturn:
        if dict.__contains__(self, name):
            key = name
        else:
            key = next(iter(dict.keys(self)), "name")
        raise AttributeError(
            f"a configuration is a dictionary and has no attribute {name!r}; write params[{key!r}]"
        )

    # ``f(**params)`` and ``dict(params)`` take the values without reading keys, unless iteration is
    # overridden.
    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def copy(self) -> Configuration:
        """A copy whose reads count too."""
        return Configuration({key: dict.__getitem__(self, key) for key in self}, self.read, self.absent)

    def __reduce__(self) -> Any:
        return dict, (dict(self.items()),)
