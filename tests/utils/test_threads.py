import os
import subprocess
import sys

import scipy.linalg  # noqa: F401  # brings a BLAS of its own
from threadpoolctl import threadpool_info

from refine.utils.threads import one_thread


def test_linear_algebra_of_numpy_and_scipy_is_on_one_thread():
    """An older threadpoolctl does not know NumPy 2's library, and lets it use all processors."""

    @one_thread
    def seen():
        return [library for library in threadpool_info() if library["user_api"] == "blas"]

    library = seen()
    assert {"numpy", "scipy"} <= {
        part for f in library for part in ("numpy", "scipy") if f"{part}.libs" in str(f["filepath"])
    }
    assert {f["num_threads"] for f in library} == {1}


def test_a_library_that_the_function_itself_loads_is_on_one_thread():
    code = """
import numpy
from threadpoolctl import threadpool_info
from refine.utils.threads import one_thread

@one_thread
def threads():
    import scipy.linalg
    return {i["num_threads"] for i in threadpool_info() if "scipy.libs" in i["filepath"]}

print(threads())
"""
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=True)
    assert done.stdout == "{1}\n"
