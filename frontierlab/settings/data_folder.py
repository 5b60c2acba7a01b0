"""What is said where something is not in the data folder."""

from __future__ import annotations

from frontierlab.settings.sources import PREFIX

__all__ = ["ELSEWHERE"]

ELSEWHERE = (
    "To look in another data folder, set data_dir in the configuration file, in "
    f"{PREFIX}DATA_DIR or as Settings(data_dir=…)."
)
"""How another data folder is named; the command line and the panels say it in their words."""
