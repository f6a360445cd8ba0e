"""Imports what registers user interfaces; see :mod:`refine.utils.provided`."""

from refine.ui.web import show

__all__ = ["show"]
