"""Are proposals worth following? The parts of docs/benchmarks/proposals.md that long runs make, in about an hour on one core.

    make bench-proposals
    python benchmarks/proposals.py calibration --seeds 5
    python benchmarks/proposals.py calibration --seeds 1 --sizes 60

The parts are `calibration` (claims against how many were true, epsilon, forecasts) and `power` (what the tests detect and their
false alarms). Results are kept under `benchmarks/.cache/`.
"""

from __future__ import annotations

import time
import warnings

import calibration
import power
from tables import DOCS, embed, parser

PARTS = {"calibration": calibration.report, "power": lambda seeds: power.report()}

if __name__ == "__main__":
    options = parser(__doc__, seeds=3)
    options.add_argument("parts", nargs="*", help=f"default: all of {', '.join(PARTS)}")
    options.add_argument(
        "--sizes", nargs="+", type=int, default=list(calibration.SIZES), help="trials of a round"
    )
    options.add_argument("--write", action="store_true", help="put the tables into the page")
    a = options.parse_args()
    warnings.simplefilter("ignore")
    calibration.SIZES = tuple(a.sizes)
    for part in a.parts or PARTS:
        started = time.perf_counter()
        text = PARTS[part](a.seeds)
        print(f"## {part}\n\n{text}\n\n({time.perf_counter() - started:.0f} s)\n", flush=True)
        if a.write:
            embed(DOCS / "benchmarks" / "proposals.md", part, text, "make bench-proposals")
