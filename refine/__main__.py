"""``python -m refine`` is the command line."""

from refine.ui.cli import main

main()
