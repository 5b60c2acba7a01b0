"""Which incidents are of the same kind and scope, so that one on another day is the same that came again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from frontierlab.diagnosis.finding import DIMENSIONS

__all__ = ["lasting_scope", "recurrence"]


def lasting_scope(incident: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the scope of an incident, without the task if it names anything else: tasks come and go."""
    scope = {name: incident.get(name) for name in DIMENSIONS}
    scope = {name: value for name, value in scope.items() if value is not None and not pd.isna(value)}
    if len(scope) > 1:
        scope.pop("taskid", None)
    return scope


def recurrence(incident: Mapping[Any, Any]) -> str:
    """Return a text that is equal for incidents of the same kind and lasting scope."""
    scope = {name: str(value) for name, value in lasting_scope(incident).items()}
    return json.dumps([incident.get("kind"), scope], sort_keys=True)
