"""The commands: a module each, with the name of the command, whose ``command`` it holds.

Importing one imports click and little more: what a command works with is imported when it runs.
"""

__all__: list[str] = []
