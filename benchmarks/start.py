"""What a start costs beside `import pandas`: `import refine`, `refine --help`, `refine tree`, and a completion in the shell.

    python benchmarks/start.py

Each is a new process with warm files, all in turn; printed are medians of processor time (user and system) and of the ratios of
each turn. The store holds a tree of two rounds.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import refine

TIMES = 15
REFINE = str(Path(sys.executable).with_name("refine"))


def completing(*words: str) -> dict[str, str]:
    """What bash tells a program that is to complete the last word."""
    return {
        "_REFINE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["refine", *words]),
        "COMP_CWORD": str(len(words)),
    }


COMMANDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "python -c pass": ([sys.executable, "-c", "pass"], {}),
    "import pandas": ([sys.executable, "-c", "import pandas"], {}),
    "import refine": ([sys.executable, "-c", "import refine"], {}),
    "refine --help": ([REFINE, "--help"], {}),
    "refine tree": ([REFINE, "tree", "study.db"], {}),
    "completing a command": ([REFINE], completing("sh")),
}


def seconds(name: str, folder: str) -> float:
    """Processor time of one of `COMMANDS`."""
    typed, environment = COMMANDS[name]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        typed, check=not environment, stdout=subprocess.DEVNULL, cwd=folder, env={**os.environ, **environment}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with refine.Tree("study", store=Path(folder) / "study.db") as tree:
            root = tree.add_round({"x": (0.0, 1.0, 41)}, lambda p: -p["x"], n=20).run(progress=False)
            root.branch({"x": (0.0, 0.5, 21)}, n=5)
        for name in COMMANDS:  # the first start compiles and reads from disk
            seconds(name, folder)
        turns = [{name: seconds(name, folder) for name in COMMANDS} for _ in range(TIMES)]
    for name in COMMANDS:
        median = statistics.median(turn[name] for turn in turns)
        ratio = statistics.median(turn[name] / turn["import pandas"] for turn in turns)
        print(f"{name:<21} {median:.3f} s   {ratio:.2f} x import pandas")


if __name__ == "__main__":
    main()
