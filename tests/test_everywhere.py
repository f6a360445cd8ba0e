"""Ids, cells, seeds and proposals agree on the newest Python and with the oldest packages (`make test`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.elsewhere import missing
from tests.processors import SPACES

HERE = Path(__file__).parent
# Kernels of OpenBLAS, and the flag of a processor that can run them.
KERNELS = {"Haswell": "avx2", "SkylakeX": "avx512bw", "Sandybridge": "avx"}


def said_by(python, *arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1", **variables}
    command = [str(python), "-W", "ignore", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def identities_here():
    return said_by(sys.executable, str(HERE / "identities.py"))


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("folder", "other"),
    [
        (".venv-backends", "import sys; print(sys.version_info[:2] > (3, 11))"),
        (".venv-oldest", "import numpy; print(numpy.__version__ == '2.0.0')"),
    ],
    ids=["newest Python", "oldest packages"],
)
def test_ids_and_proposals_are_the_same(identities_here, folder, other):
    python = HERE.parent / folder / "bin" / "python"
    if not python.exists() or said_by(python, "-c", other).strip() != "True":
        missing(f"{folder}, with another Python or the oldest packages: make {folder}/.ready installs it")
    assert identities_here.count('"proposal": "') == 4
    assert said_by(python, str(HERE / "identities.py")) == identities_here


@pytest.mark.nightly
@pytest.mark.parametrize("names", [["conditional"], pytest.param(list(SPACES), marks=pytest.mark.nightly)])
def test_another_processor_gives_the_same_draws_ids_proposals_and_answers(names):
    flags = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").split() if Path("/proc/cpuinfo").exists() else []
    )
    environments = [{"OPENBLAS_CORETYPE": kind} for kind, flag in KERNELS.items() if flag in flags]
    if len(environments) < 2:
        pytest.skip("needs a processor of the kind x86 with AVX2")
    environments.append({"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SKX"})
    script = str(HERE / "processors.py")
    outputs = [said_by(sys.executable, script, *names, **environment) for environment in environments]
    assert all(f'"{name}"' in outputs[0] for name in names)
    differing = [e for e, output in zip(environments, outputs, strict=True) if output != outputs[0]]
    assert not differing
