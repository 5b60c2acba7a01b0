"""The command line, as ``python -m frontierlab``."""

from frontierlab.cli import main

main()
