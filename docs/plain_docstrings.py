"""Docstrings as markdown for the site.

Sphinx's roles become code, double colons become single, and comments on fields become attributes.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import griffe

from refine.utils.keywords import listed

_ROLE = re.compile(r":(?:class|meth|func|data|attr|mod|exc):`~?([^`]+)`")


class PlainDocstrings(griffe.Extension):
    """Rewrites every docstring before parsing, and follows verbs assigned in a class body to their source."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Makes aliases of a class's verbs: ``run = run``."""
        for name, member in list(cls.members.items()):
            value = getattr(member, "value", None)
            if isinstance(value, griffe.ExprName) and name == value.name and name in cls.module.imports:
                cls.set_member(name, griffe.Alias(name, cls.module.imports[name], lineno=member.lineno))

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Shows the keywords of ``**options: Unpack[Keywords]`` one by one, those of base classes too.

        If the docstring describes the options as a whole, only keywords with an entry of their own are shown.
        """
        docstring = func.docstring
        if docstring is None and func.name == "__init__" and func.parent is not None:
            docstring = func.parent.docstring  # of the class
        for parameter in list(func.parameters):
            taken = re.fullmatch(r"Unpack\[(\w+)\]", str(parameter.annotation))
            if not taken or docstring is None:
                continue
            keywords = getattr(importlib.import_module(func.module.path), taken[1]).__annotations__
            docstring.value = listed(docstring.value, keywords)
            as_a_whole = f" {parameter.name}:" in docstring.value
            del func.parameters[parameter.name]
            kind = griffe.ParameterKind.keyword_only
            for name, annotation in keywords.items():
                if name not in func.parameters and (not as_a_whole or f" {name}:" in docstring.value):
                    text = annotation.__forward_arg__
                    func.parameters.add(griffe.Parameter(name, annotation=text, kind=kind, default="..."))
            if as_a_whole:
                func.parameters.add(parameter)

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring of one object."""
        if isinstance(obj, griffe.Class):
            _with_comments(obj)
        if obj.docstring is not None:
            text = _ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = re.sub(r"::$", ":", text, flags=re.MULTILINE)


def _with_comments(kind: griffe.Class) -> None:
    """What comments beside or above the fields of a class say, as the attributes that its docstring lists."""
    lines, said = kind.lines_collection[kind.filepath], []
    for name, field in kind.members.items():
        if isinstance(field, griffe.Attribute) and field.lineno and field.endlineno and field.annotation:
            comment, above = lines[field.endlineno - 1].partition("  # ")[2], field.lineno - 1
            while lines[above - 1].lstrip().startswith("# "):
                comment, above = f"{lines[above - 1].lstrip()[2:]} {comment}", above - 1
            said += [f"    {name}: {comment.strip()}"] if comment else []
    if said and kind.docstring is not None and "Attributes:" not in kind.docstring.value:
        kind.docstring.value += "\n\nAttributes:\n" + "\n".join(said)
