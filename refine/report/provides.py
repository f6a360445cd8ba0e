"""Imports what registers pages, figures and reports; see :mod:`refine.utils.provided`."""

from refine.report.pages import space

__all__ = ["space"]
