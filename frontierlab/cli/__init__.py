"""The command line ``frontierlab``: every command is the thin face of one function of the package.

`main` is the entry point with the names of the `commands`. `command` is what all commands have in common: options, exit
codes, the end by Ctrl-C. `selection_options` makes the options for a selection, `types` reads values, `words` puts
errors into the words of the command line, and `output` writes tables and JSON.
"""

from frontierlab.cli.main import main

__all__ = ["main"]
