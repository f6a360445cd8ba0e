"""A fingerprint of the code of an objective: its own source and that of everything of the user's own that it refers to.

What is followed: functions, classes and their bases, methods, partials, decorated functions, what closures hold, and
what a function imports. What ends it: modules of the standard library and of installed packages, whose versions are
noted with every trial. Constants count by the text that assigns them, since a value may change while trials run; only
where there is no text, numbers, text and tuples of such count by value.

The same code has the same fingerprint in every process and version of Python, except for code without source.
"""

from __future__ import annotations

import ast
import dis
import enum
import functools
import hashlib
import importlib.machinery
import importlib.util
import inspect
import site
import sys
import sysconfig
import textwrap
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_DIGITS = 12


def fingerprint(target: Any) -> str:
    """The fingerprint of an objective's code. Returns: 12 hexadecimal digits."""
    found = _Sources()
    found.follow(target)
    total = hashlib.sha256()
    for text in sorted(found.texts):
        total.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return total.hexdigest()[:_DIGITS]


def versions_of(codes: Sequence[str]) -> tuple[str, ...]:
    """The fingerprints that differ, in their order; trials of imported runs have none."""
    return tuple(dict.fromkeys(filter(None, codes)))


class _Sources:
    """Collects the texts of code; each object once, so that functions may call each other."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self._seen: dict[int, Any] = {}
        self._constants: set[tuple[int, str]] = set()

    def follow(self, target: Any) -> None:
        """Takes in an object and what it refers to."""
        if id(target) in self._seen:
            return
        self._seen[id(target)] = target  # kept, so that no other object gets its id
        if isinstance(target, functools.partial | functools.partialmethod):
            self._bound("partial", [*enumerate(target.args), *sorted(target.keywords.items())])
            self.follow(target.func)
        elif isinstance(target, types.MethodType):
            self.follow(target.__func__)
            self.follow(target.__self__ if inspect.isclass(target.__self__) else type(target.__self__))
        elif isinstance(target, staticmethod | classmethod):
            self.follow(target.__func__)
        elif isinstance(target, property):
            for part in (target.fget, target.fset):
                self.follow(part)
        elif inspect.isclass(target):
            self._class(target)
        elif isinstance(target, types.FunctionType):
            self._function(target)
        elif hasattr(target, "__wrapped__"):
            self.follow(target.__wrapped__)
        elif not isinstance(target, types.ModuleType | types.BuiltinFunctionType | type(None)):
            self.follow(type(target))

    def _function(self, function: types.FunctionType, *, text: bool = True) -> None:
        if hasattr(function, "__wrapped__"):
            self.follow(function.__wrapped__)
        if not _is_own(function.__module__, function.__code__.co_filename):
            return
        if text:
            self.texts.add(_text_of(function.__code__) or _bytecode(function.__code__))
        self._bound("default", enumerate(function.__defaults__ or ()))
        self._bound("default", sorted((function.__kwdefaults__ or {}).items()))
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            try:
                self._bound(name, [(name, cell.cell_contents)])
            except ValueError:  # not yet assigned
                continue
        for code in _codes(function.__code__):
            self._names(code.co_names, function.__globals__)
            self._imports(code, function.__globals__)

    def _class(self, kind: type) -> None:
        module = sys.modules.get(kind.__module__)
        if not _is_own(kind.__module__, getattr(module, "__file__", None)):
            return
        text = _text_of(kind)
        self.texts.add(text or kind.__qualname__)
        for base in kind.__bases__:
            self.follow(base)
        for value in vars(kind).values():
            # The class's text has its methods' texts in it.
            if isinstance(value, types.FunctionType) and value.__qualname__.startswith(
                f"{kind.__qualname__}."
            ):
                self._function(value, text=text is None)
            elif _is_code(value):
                self.follow(value)

    def _names(self, names: Sequence[str], space: dict[str, Any], within: tuple[str, ...] = ()) -> None:
        """What a code's names stand for in its module; those of attributes are tried on the modules among them."""
        for name in names:
            if name not in space:
                continue
            value = space[name]
            if isinstance(value, types.ModuleType):
                own = _is_own(value.__name__, getattr(value, "__file__", None))
                if own and value.__name__ not in within:
                    self._names(names, vars(value), (*within, value.__name__))
            elif _is_code(value):
                self.follow(value)
            else:
                self._constant(name, value, space)

    def _constant(self, name: str, value: Any, space: dict[str, Any]) -> None:
        if (id(space), name) in self._constants:
            return
        self._constants.add((id(space), name))
        assigned = _assignments(space.get("__name__", "")).get(name)
        if assigned is None:
            self._bound(name, [(name, value)])
            return
        for text, names in assigned:
            self.texts.add(text)
            self._names([other for other in names if other != name], space)
        self.follow(type(value))

    def _bound(self, what: str, values: Any) -> None:
        """Values that belong to code: code is followed, constants count as they are, and what may change doesn't."""
        for name, value in values:
            if _is_code(value):
                self.follow(value)
            elif (shown := _shown(value)) is not None:
                self.texts.add(f"{what} {name} = {shown}")
            else:
                self.follow(type(value))

    def _imports(self, code: types.CodeType, space: dict[str, Any]) -> None:
        """Files of the user's own that a function imports when it runs, as they are on disk."""
        for module, wanted in _imported(code, space.get("__package__") or ""):
            for file in _files(module, wanted):
                if _is_own(module, str(file)):
                    self.texts.add(file.read_text(encoding="utf-8", errors="replace"))


def _is_code(value: Any) -> bool:
    wraps = isinstance(value, staticmethod | classmethod | property | functools.partialmethod)
    return (wraps or callable(value)) and not isinstance(value, enum.Enum | types.ModuleType)


@functools.cache
def _installed() -> tuple[str, ...]:
    """Folders of the standard library, of installed packages and of this one."""
    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parents[1])]
    return tuple({str(Path(path).resolve()) for path in found})


@functools.cache
def _is_own(module: str | None, file: str | None) -> bool:
    """Whether code is the user's own: not built in, of the standard library, or installed."""
    top = (module or "").partition(".")[0]
    if file is not None and file.startswith("<"):  # typed at a prompt, in a notebook, or made by exec
        return not file.startswith("<frozen")
    standard = top in sys.builtin_module_names or top in sys.stdlib_module_names
    if (standard and top != "__main__") or top == "refine":
        return False
    if file is None:
        return top in ("", "__main__")
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _installed())


def _text_of(target: Any) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(target))
    except (OSError, TypeError, IndentationError, SyntaxError):
        return None


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _bytecode(code: types.CodeType) -> str:
    """What there is of a function without source; the same for one version of Python only."""
    constants = [_bytecode(c) if isinstance(c, types.CodeType) else str(_shown(c)) for c in code.co_consts]
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames))


def _shown(value: Any) -> str | None:
    """A constant as text that is the same in every process; ``None`` for what may change or has no such text."""
    if isinstance(value, enum.Enum):
        return str(value)
    if value is None or value is Ellipsis:
        return repr(value)
    kinds: tuple[Any, ...] = (bool, int, float, complex, str, bytes)
    for kind in kinds:
        if isinstance(value, kind):  # NumPy's numbers are shown as Python's
            return repr(kind(value))
    if isinstance(value, tuple | frozenset):
        parts = [part for part in map(_shown, value) if part is not None]
        if len(parts) == len(value):
            listed = sorted(parts) if isinstance(value, frozenset) else parts
            return f"{type(value).__name__}({', '.join(listed)})"
    return None


@functools.lru_cache(maxsize=256)
def _assignments(module: str) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Name -> the statements of a module that assign it, outside of functions and classes, and the names in them."""
    try:
        source = inspect.getsource(sys.modules[module])
        tree = ast.parse(source)
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    statements: list[ast.AST] = list(tree.body)
    for node in statements:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            text = ast.get_source_segment(source, node) or ""
            loaded = tuple(dict.fromkeys(n.id for n in names if isinstance(n.ctx, ast.Load)))
            for name in names:
                if isinstance(name.ctx, ast.Store):
                    found.setdefault(name.id, []).append((text, loaded))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = ast.iter_child_nodes(node)
            statements += [n for n in inner if isinstance(n, ast.stmt | ast.ExceptHandler)]
    return found


def _imported(code: types.CodeType, package: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Modules that a code imports, by their full names, and the names that it takes from them."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG")]
    for i, step in enumerate(steps):
        if step.opname != "IMPORT_NAME" or i < 2:
            continue
        level, wanted = steps[i - 2].argval, steps[i - 1].argval
        base = package.split(".")[: len(package.split(".")) - (level - 1)] if level else []
        name = ".".join([*base, *([step.argval] if step.argval else [])])
        if name:
            yield name, tuple(wanted or ())


def _files(module: str, wanted: Sequence[str]) -> Iterator[Path]:
    """Source files of a module, of the packages that it is in, and of the modules among what is taken; imports nothing."""
    places: list[str] | None = None
    for part in module.split("."):
        spec = _spec(part, places)
        if spec is None:
            return
        if spec.origin is not None and spec.origin.endswith(".py"):
            yield Path(spec.origin)
        places = list(spec.submodule_search_locations or ())
    for part in wanted:
        spec = _spec(part, places) if places else None
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            yield Path(spec.origin)


def _spec(name: str, places: list[str] | None) -> importlib.machinery.ModuleSpec | None:
    try:
        if places is None:  # knows packages that are installed where they are written, too
            return importlib.util.find_spec(name)
        return importlib.machinery.PathFinder.find_spec(name, places)
    except (ImportError, ValueError):
        return None
