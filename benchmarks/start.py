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


def seconds(name: str) -> float:
    """Processor time of one of `COMMANDS`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(COMMANDS[name], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    for name in COMMANDS:  # the first start compiles and reads from disk
        seconds(name)
    turns = [{name: seconds(name) for name in COMMANDS} for _ in range(TIMES)]
    for name in COMMANDS:
        median = statistics.median(turn[name] for turn in turns)
        ratio = statistics.median(turn[name] / turn["import pandas"] for turn in turns)
        print(f"{name:<21} {median:.3f} s   {ratio:.2f} x import pandas")
