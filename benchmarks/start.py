"""What `import refine` and `refine --help` cost beside `import pandas`: seconds of whole processes.

    python benchmarks/start.py

Each is a new process with warm files, the three in turn; printed are medians and the median of the ratios of each turn.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

TIMES = 15
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import pandas": ["-c", "import pandas"],
    "import refine": ["-c", "import refine"],
    "refine --help": ["-m", "refine", "--help"],
}


def seconds(arguments: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    for arguments in COMMANDS.values():  # the first start compiles and reads from disk
        seconds(arguments)
    turns = [{name: seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(TIMES)]
    for name in COMMANDS:
        median = statistics.median(turn[name] for turn in turns)
        ratio = statistics.median(turn[name] / turn["import pandas"] for turn in turns)
        print(f"{name:<15} {median:.3f} s   {ratio:.2f} x import pandas")


if __name__ == "__main__":
    main()
