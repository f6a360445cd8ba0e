"""The analysis that most tests of figures draw, made once."""

import pytest
from looks import SPACE, trials

from refine.analysis.analysis import analyze


@pytest.fixture(scope="session")
def analysis():
    return analyze(SPACE, trials(), metric="val_acc")
