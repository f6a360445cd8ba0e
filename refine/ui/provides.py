"""Imports what registers user interfaces; see :mod:`refine.utils.provided`."""
