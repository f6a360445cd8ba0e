"""What `refine.testing` imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

import refine.testing

SCRIPT = "import sys, refine.testing; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"


@pytest.mark.slow
def test_tensorflow_is_imported_with_what_needs_it():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert {"compare_fits", "keras_models"} <= set(refine.testing.__all__)
    with pytest.raises(AttributeError, match="module 'refine.testing' has no attribute 'nothing'"):
        _ = refine.testing.nothing
