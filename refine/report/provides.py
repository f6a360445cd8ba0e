"""Imports the modules that register pages, figures and reports; see :mod:`refine.utils.provided`."""

from importlib import import_module
from pkgutil import iter_modules

from refine.report import markdown, pages, plots

__all__ = ["plots"]

for package in (pages, markdown):
    for module in iter_modules(package.__path__, f"{package.__name__}."):
        import_module(module.name)
