"""The configuration from a file, environment variables and arguments, with its secrets.

`Settings` is the `model`: its `fields` with a check of each, filled from `sources`. `text` is the syntax of a line in a
configuration file, and `writing` makes such a file.
"""

from frontierlab.settings.model import Settings
from frontierlab.settings.writing import as_variables, create_config_file

__all__ = ["Settings", "as_variables", "create_config_file"]
