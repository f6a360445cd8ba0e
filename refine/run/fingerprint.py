"""A fingerprint of an objective's code: the source, and the source of the user's code referred to.

Followed are functions, classes with bases, methods, partials, decorated functions, values in closures, and
imports inside functions. The standard library and installed packages are not followed: versions are noted
with every trial. Constants count by the assigning statement, since a value may change while trials run.
Without a statement numbers, texts and tuples count by value.

Equal code has an equal fingerprint in every process and version of Python, except for code without source.
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


def fingerprint(target: object) -> str:
    """The fingerprint of an objective's code. Returns: 12 hexadecimal digits."""
    sources = _Sources()
    sources.follow(target)
    digest = hashlib.sha256()
    for text in sorted(sources.texts):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:_DIGITS]


def versions_of(codes: Sequence[str]) -> tuple[str, ...]:
    """The distinct fingerprints, in order; imported runs have no fingerprint."""
    return tuple(dict.fromkeys(filter(None, codes)))


class _Sources:
    """The texts of code; an object is followed once, since functions may call one another."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self._followed: dict[int, Any] = {}  # id -> object
        self._constants: set[tuple[int, str]] = set()

    def follow(self, target: object) -> None:
        """Adds the texts of an object and of the code referred to."""
        if id(target) in self._followed:
            return
        self._followed[id(target)] = target  # a reference, so that no other object gets the same id
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
            self.texts.add(_text_of(function.__code__) or bytecode_text(function.__code__))
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
            if isinstance(value, types.FunctionType) and value.__qualname__.startswith(
                f"{kind.__qualname__}."
            ):
                self._function(value, text=text is None)  # the text of the class contains its methods
            elif _is_code(value):
                self.follow(value)

    def _names(self, names: Sequence[str], space: dict[str, Any], within: tuple[str, ...] = ()) -> None:
        """Adds the values of a code's names in its module.

        Names of attributes are looked up in modules among the values.
        """
        for name in names:
            if name not in space:
                continue
            value = space[name]
            if isinstance(value, types.ModuleType):
                is_own = _is_own(value.__name__, getattr(value, "__file__", None))
                if is_own and value.__name__ not in within:
                    self._names(names, vars(value), (*within, value.__name__))
            elif _is_code(value):
                self.follow(value)
            else:
                self._constant(name, value, space)

    def _constant(self, name: str, value: object, space: dict[str, Any]) -> None:
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

    def _bound(self, kind: str, values: Any) -> None:
        """Adds the named values of code.

        Code is followed, a constant counts as text, a mutable value by type.
        """
        for name, value in values:
            if _is_code(value):
                self.follow(value)
                continue
            text = constant_text(value)
            if text is None:
                self.follow(type(value))
            else:
                self.texts.add(f"{kind} {name} = {text}")

    def _imports(self, code: types.CodeType, space: dict[str, Any]) -> None:
        """Adds files of the user that a function imports when it runs, as they are on disk."""
        for module, names in _imported(code, space.get("__package__") or ""):
            for file in _files(module, names):
                if _is_own(module, str(file)):
                    self.texts.add(file.read_text(encoding="utf-8", errors="replace"))


def _is_code(value: object) -> bool:
    wraps = isinstance(value, staticmethod | classmethod | property | functools.partialmethod)
    return (wraps or callable(value)) and not isinstance(value, enum.Enum | types.ModuleType)


@functools.cache
def _installed() -> tuple[str, ...]:
    """Folders of the standard library, of installed packages and of refine."""
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parents[1])]
    return tuple({str(Path(folder).resolve()) for folder in folders})


@functools.cache
def _is_own(module: str | None, file: str | None) -> bool:
    """True if code is the user's: neither built in, nor of the standard library, nor installed."""
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
    """A code object and the code objects inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def bytecode_text(code: types.CodeType) -> str:
    """The text of a function without source; equal only within one version of Python."""
    constants = []
    for constant in code.co_consts:
        is_code = isinstance(constant, types.CodeType)
        constants.append(bytecode_text(constant) if is_code else str(constant_text(constant)))
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames))


def constant_text(value: object) -> str | None:
    """A constant as text, equal in every process; empty for a mutable value or one without a stable text."""
    if isinstance(value, enum.Enum):
        return str(value)
    if value is None or value is Ellipsis:
        return repr(value)
    kinds: tuple[Any, ...] = (bool, int, float, complex, str, bytes)
    for kind in kinds:
        if isinstance(value, kind):  # NumPy's numbers have the text of Python's
            return repr(kind(value))
    if isinstance(value, tuple | frozenset):
        texts = [text for text in map(constant_text, value) if text is not None]
        if len(texts) == len(value):
            if isinstance(value, frozenset):
                texts.sort()
            return f"{type(value).__name__}({', '.join(texts)})"
    return None


@functools.lru_cache(maxsize=256)
def _assignments(module: str) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Name -> assigning statements of a module, outside of functions and classes, with their names."""
    try:
        source = inspect.getsource(sys.modules[module])
        tree = ast.parse(source)
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    assignments: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    statements: list[ast.AST] = list(tree.body)
    for node in statements:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            text = ast.get_source_segment(source, node) or ""
            loaded = tuple(dict.fromkeys(n.id for n in names if isinstance(n.ctx, ast.Load)))
            for name in names:
                if isinstance(name.ctx, ast.Store):
                    assignments.setdefault(name.id, []).append((text, loaded))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = ast.iter_child_nodes(node)
            statements += [n for n in inner if isinstance(n, ast.stmt | ast.ExceptHandler)]
    return assignments


def _imported(code: types.CodeType, package: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Full names of modules imported by a code object, with the imported names."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG")]
    for i, step in enumerate(steps):
        if step.opname != "IMPORT_NAME" or i < 2:
            continue
        level = steps[i - 2].argval
        names = steps[i - 1].argval
        if level:
            base = package.split(".")[: len(package.split(".")) - (level - 1)]
        else:
            base = []
        name = ".".join([*base, *([step.argval] if step.argval else [])])
        if name:
            yield name, tuple(names or ())


def _files(module: str, names: Sequence[str]) -> Iterator[Path]:
    """Source files of a module, of its packages, and of modules among the imported names. Imports nothing."""
    places: list[str] | None = None
    specs = []
    for part in module.split("."):
        spec = _spec(part, places)
        places = []
        if spec is None:
            break
        specs.append(spec)
        places = list(spec.submodule_search_locations or ())
    specs += filter(None, [_spec(part, places) for part in names])
    for spec in specs:
        if spec.origin is not None and spec.origin.endswith(".py"):
            yield Path(spec.origin)


def _spec(name: str, places: list[str] | None) -> importlib.machinery.ModuleSpec | None:
    try:
        if places is None:  # also finds editable installs
            return importlib.util.find_spec(name)
        return importlib.machinery.PathFinder.find_spec(name, places)
    except (ImportError, ValueError):
        return None
