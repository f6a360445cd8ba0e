"""What an installation takes: packages, size, and seconds of CPU, for the core and with each extra.

    python benchmarks/install.py               print the table
    python benchmarks/install.py --write       put it into docs/index.md
    python benchmarks/install.py --pip         by pip instead of uv; it has no cache of what it unpacked, and takes longer
    python benchmarks/install.py --gp          with PyTorch too, some gigabytes

Each is a new virtual environment. A first installation of everything, which downloads, is not measured. The size is that of the
folder site-packages without installers and this package; ``beside the core`` is what an extra adds to it.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from start import used
from tables import DOCS, embed, markdown, parser

HERE = Path(__file__).parent.parent

EXTRAS = {
    "": "any function, scikit-learn, PyTorch; store, analysis, proposals, shell, reports",
    "standard": "`keras`, `optuna` and `web`: what README and tutorials use",
    "keras": "Keras models, on TensorFlow",
    "optuna": "adaptive designs, pruners of Optuna, exchange with its studies",
    "web": "the review page in a browser",
    "notebook": "the review page in a notebook",
    "mcp": "`refine mcp`, for assistants",
    "dask": "a Dask cluster of your own",
    "ray": "a Ray cluster of your own; not among `all`",
    "postgresql": "a store for several machines",
    "mlflow": "sends ended trials to MLflow",
    "tensorboard": "writes ended trials for TensorBoard",
    "all": "all of these",
}


class Installed(NamedTuple):
    """What came of one installation."""

    packages: int  # distributions, without pip and this one
    megabytes: float  # of site-packages, in millions of bytes
    seconds: float  # of CPU that the installation took


def installed(extra: str, by: str) -> Installed:
    """Installs the checkout with an extra into a new virtual environment."""
    folder = Path(tempfile.mkdtemp(prefix="refine-install-"))
    try:
        uv = [sys.executable, "-m", "uv"]
        made = [*uv, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, str(folder)]
        subprocess.run(made, check=True)
        python = str(folder / "bin" / "python")
        asked = f"{HERE}[{extra}]" if extra else str(HERE)
        installers = {
            "uv": [*uv, "pip", "install", "--link-mode", "copy", "--python", python],
            "pip": [python, "-m", "pip", "install", "--disable-pip-version-check"],
        }
        seconds = used([*installers[by], "--quiet", asked])
        place = next((folder / "lib").glob("python*")) / "site-packages"
        ours = ("pip", "refine", "setuptools", "wheel")
        files = (p for p in place.rglob("*") if p.is_file() and p.relative_to(place).parts[0] not in ours)
        size = sum(p.stat().st_size for p in files)
        found = {p.name.partition("-")[0] for p in place.glob("*.dist-info")}
        return Installed(len(found - {"refine_hpo", *ours}), size / 1e6, seconds)
    finally:
        shutil.rmtree(folder)


def table(extras: dict[str, str], by: str) -> str:
    """One row an extra."""
    rows: list[list[object]] = []
    core: Installed | None = None
    installed(",".join(filter(None, extras)), by)  # downloads
    for extra, what in extras.items():
        found = installed(extra, by)
        core = core or found
        command = f"`'refine-hpo[{extra}]'`" if extra else "`refine-hpo`"
        more = f"+{found.megabytes - core.megabytes:,.0f}" if extra else ""
        rows.append([command, what, found.packages, f"{found.megabytes:,.0f}", more, f"{found.seconds:.0f}"])
        print(*rows[-1], file=sys.stderr, flush=True)
    where = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    head = ["`pip install`", "for", "packages", "MB", "beside the core", "CPU seconds"]
    return f"{where}, by {by} from a warm cache:\n\n{markdown(head, rows, 2)}"


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("extras", nargs="*", help="default: all of them; the core comes first in any case")
    options.add_argument("--pip", action="store_true", help="by pip instead of uv")
    options.add_argument("--gp", action="store_true", help="with PyTorch too")
    options.add_argument("--write", action="store_true", help="put the table into docs/index.md")
    a = options.parse_args()
    known = EXTRAS | ({"gp": 'the design `"gp"`: PyTorch; not among `all`'} if a.gp else {})
    if unknown := set(a.extras) - set(known):
        options.error(f"unknown extras {sorted(unknown)}; there are {', '.join(filter(None, known))}")
    asked = {k: v for k, v in known.items() if not a.extras or not k or k in a.extras}
    print(text := table(asked, "pip" if a.pip else "uv"))
    if a.write:
        embed(DOCS / "index.md", "sizes", text, "make sizes")
