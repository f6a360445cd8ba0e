"""The analysis that most tests of figures draw, made once."""

import pytest
from looks import SPACE, trials

from refine.analysis.analysis import Analysis, analyze


@pytest.fixture(scope="session")
def analysis() -> Analysis:
    return analyze(SPACE, trials(), metric="val_acc")
