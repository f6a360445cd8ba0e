"""Cases of which some run with every change, the others nightly."""

import pytest


def nightly(*values):
    """A case that runs nightly alone."""
    return pytest.param(*values, marks=pytest.mark.nightly)


def few(cases, step=4):
    """The first of every ``step`` cases as it is, the others marked to run nightly."""
    return [case if i % step == 0 else nightly(case) for i, case in enumerate(cases)]
