"""``python -m refine`` is the command line."""

from refine.cli import main

main()
