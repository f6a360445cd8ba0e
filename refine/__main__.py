"""``python -m refine`` is the command line."""

import sys
from pathlib import Path

from refine.ui.cli import main

# Python puts the working folder first on the import path: names from a store must not be looked up there.
if not sys.flags.safe_path and sys.path[:1] == [str(Path.cwd())]:
    del sys.path[0]
main()
