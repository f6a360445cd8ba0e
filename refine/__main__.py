"""``python -m refine`` is the command line."""

import sys
from pathlib import Path

from refine.ui.cli import main

# Python puts the working folder in front of the import path, where a name that a store holds must not be looked for.
if not sys.flags.safe_path and sys.path[:1] == [str(Path.cwd())]:
    del sys.path[0]
main()
