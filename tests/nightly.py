"""Cases of which some run with every change, the others nightly."""

import pytest


def few(cases, step=4):
    """The first of every ``step`` cases as it is, the others marked to run nightly."""
    return [
        case if i % step == 0 else pytest.param(case, marks=pytest.mark.nightly)
        for i, case in enumerate(cases)
    ]
