"""What a start costs beside `import pandas`: `import refine`, and `refine --help`.

    python benchmarks/start.py

Each is a new process with warm files, all in turn; printed are medians of processor time (user and system) and of the ratios of
each turn.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

TIMES = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import pandas": [sys.executable, "-c", "import pandas"],
    "import refine": [sys.executable, "-c", "import refine"],
    "refine --help": [str(Path(sys.executable).with_name("refine")), "--help"],
}


def used(command: list[str]) -> float:
    """Seconds of processor time that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    for command in COMMANDS.values():  # the first start compiles and reads from disk
        used(command)
    turns = [{name: used(command) for name, command in COMMANDS.items()} for _ in range(TIMES)]
    for name in COMMANDS:
        median = statistics.median(turn[name] for turn in turns)
        ratio = statistics.median(turn[name] / turn["import pandas"] for turn in turns)
        print(f"{name:<21} {median:.3f} s   {ratio:.2f} x import pandas")
