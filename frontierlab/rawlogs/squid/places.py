"""Which Squid wrote a log, and at which site it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.lines import LineCounts
from frontierlab.rawlogs.log_files import LogSet

__all__ = ["Place", "file_record", "places_of"]

_ACCESS_LOG = re.compile(r"(?:(?<=.)[._-]access)?\.log$")


class Place(NamedTuple):
    """A log, with the name of its Squid and of its site, which may not be known."""

    log: LogSet
    squid: str
    site: str | None

    def columns(self, file: Path) -> dict[str, str | None]:
        """Return the columns that are the same for all rows of a file."""
        return {"squid": self.squid, "computingsite": self.site, "file": str(file)}


def places_of(
    logs: Sequence[LogSet], squids: str | Mapping[str, str] | None, sites: str | Mapping[str, str] | None
) -> list[Place]:
    """Return the logs with the names of their Squids and sites, as `read_squid_logs` takes them.

    Raises
    ------
    InvalidRequestError
        `sites` names a Squid that has no log here.
    """
    names = _own_names([log.path for log in logs])
    found = []
    for log, own in zip(logs, names, strict=True):
        squid = squids if isinstance(squids, str) else own
        if isinstance(squids, Mapping):
            fitting = (squids[one] for one in squids if one == log.path.name or fnmatchcase(str(log.path), one))
            squid = next(fitting, own)
        site = sites.get(squid) if isinstance(sites, Mapping) else sites
        found.append(Place(log, squid, site))
    unknown = sorted(set(sites) - {place.squid for place in found}) if isinstance(sites, Mapping) else []
    if unknown:
        raise InvalidRequestError(
            f"sites names {', '.join(map(repr, unknown))}, but the Squids are "
            f"{', '.join(sorted({place.squid for place in found}))}."
        )
    return found


def file_record(path: Path, place: Place, counts: LineCounts) -> dict[str, Any]:
    """Return what the manifest says of a file."""
    return {"path": str(path), "squid": place.squid, "computingsite": place.site, **counts.as_record()}


def _own_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest names that tell logs apart: of the file, or of so many of its folders as are needed."""
    stems = [path.with_name(_ACCESS_LOG.sub("", path.name) or path.name) for path in paths]
    for depth in range(1, max(len(stem.parts) for stem in stems)):
        names = ["/".join(stem.parts[-depth:]) for stem in stems]
        if len(set(names)) == len(names):
            if depth > 1 and len({stem.name for stem in stems}) == 1:  # the same file in every folder
                return ["/".join(stem.parts[-depth:-1]) for stem in stems]
            return names
    return [str(stem) for stem in stems]
