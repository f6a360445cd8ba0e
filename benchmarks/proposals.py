"""Are proposals worth following? All parts, and their section of docs/benchmarks/proposals.md.

    make bench-proposals

runs everything in about an hour on one core, most of it the first time; results are kept under `benchmarks/.cache/`, and
the rivals' long runs in `benchmarks/recorded/`. A part alone:

    python benchmarks/proposals.py search --seeds 5

The parts are `oneshot` (one narrowing, beside other ways to narrow), `calibration` (claims against how many were true,
epsilon, forecasts), `power` (what the tests detect and their false alarms), `speed`, and `search` (five automatic rounds,
beside automatic search).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import calibration
import oneshot
import pages
import power
import search
import speed

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks" / "proposals.md"

PARTS: dict[str, Callable[[int], str]] = {
    "oneshot": lambda seeds: oneshot.report(seeds),
    "calibration": lambda seeds: calibration.report(seeds),
    "power": lambda seeds: power.report(),
    "speed": lambda seeds: speed.report(),
    "search": lambda seeds: search.report(seeds),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=list(PARTS), help="default: all of them")
    parser.add_argument("--seeds", type=int, default=3, help="per table")
    parser.add_argument(
        "--write", action="store_true", help="put the tables into docs/benchmarks/proposals.md"
    )
    a = parser.parse_args()
    if unknown := [part for part in a.parts if part not in PARTS]:
        parser.error(f"unknown parts {unknown}; there are {', '.join(PARTS)}")
    for part in a.parts:
        started = time.perf_counter()
        text = PARTS[part](a.seeds)
        print(f"## {part}\n\n{text}\n\n({time.perf_counter() - started:.0f} s)\n", flush=True)
        if a.write:
            pages.embed(PAGE, part, text, "make bench-proposals")


if __name__ == "__main__":
    main()
