"""Errors of the library in the words of the panels: they advise calls, and here there are buttons and fields."""

from __future__ import annotations

import re

__all__ = ["in_panel_words"]

_WORDS = (
    (r"[;.]? overwrite=True replaces it\.", ". Tick replace, or give another path."),
    (r": frontierlab\.datasets\.delete_dataset\([^)]*\)", " in Data, Datasets"),
    (r"The same call of extract\(\) goes on where it stopped", "Resume in Data, Datasets goes on where it stopped"),
    (r"; open_logs\(…, allow_incomplete=True\) opens what is there", ""),
    (r"The same extract\(…\) call reads the others", "Resume in Data, Datasets reads the others"),
    (r"frontierlab\.jobs\.jobs\(settings\) lists all jobs", "Data, Jobs lists all jobs"),
    (r"make worker,? or frontierlab\.jobs\.start_worker\(settings\)", "Start a worker in Data, Jobs"),
    (r"frontierlab\.create_config_file\(…\) writes one", "Save as, in the settings, writes one"),
    (r"none yet\. extract\(…\) makes one", "none yet. Extract, in Data, makes one"),
    (r" in the configuration file, in \w+ or as Settings\(\w+=…\)", " in Settings"),
    (r"frontierlab\.caching\.what_if says", "its row in Waste says"),
    (
        r"End it with frontierlab\.spark\.session\(\)\.stop\(\), then ask again; open logs must be opened again too",
        "Restart the kernel, then click Restore this view",
    ),
    (
        r"frontierlab\.spark\.session\(\) starts a new one; open logs must be opened again too",
        "Restart the kernel, then click Restore this view",
    ),
    (
        r"extract\(\) builds it from there, as does frontierlab\.catalogues\.refresh\(settings\)",
        "an extraction builds it from there, as does Build the catalogue in the settings",
    ),
    (
        r" dataset\.malformed\(\) returns the lines with their places\.",
        " Raw logs lists the first of them when it has read them.",
    ),
    (r", as keep_personal_data=True asks", ", as you asked"),
    (r" In the connection panel these are fields of COOLR\.", ""),
    (r" Without (a catalogue|one), extract\(…, complete=False\) leaves ids and names as they were logged\.", ""),
)
"""What the library says, as patterns, and what a panel says in its place."""

_PATTERNS = [(re.compile(pattern), words) for pattern, words in _WORDS]


def in_panel_words(text: str) -> str:
    """Return a message of the library with the buttons and fields that do what it advises."""
    for pattern, words in _PATTERNS:
        text = pattern.sub(words, text)
    return text
