"""The names in the synthetic world: databases, schemas, folders, tags, tasks, sites, Squids, machines and servers.

A column of names is drawn as indices into one of the lists of `NAMES`; -1 is missing. Nothing here depends on a seed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.folders import DATABASES, FOLDERS
from frontierlab.schema import NO_TAG

__all__ = [
    "FOREIGN",
    "KINDS",
    "NAMES",
    "NUMBER_AS_NAME",
    "TASKS",
    "UNKNOWN_PATH",
    "UNKNOWN_TAG",
    "folder_shares",
    "index_of",
]

KINDS = ("data", "simulation", "overlay", "run1", "monitoring")
"""The kinds of tasks; the kind decides which databases and folders the jobs of a task query."""

FOREIGN = ("ATLAS_CONF_TRIGGER_RUN3", "ATLAS_CONFIG_R", "CMS_COND_31X_ALL")
"""Names of databases that are not of COOL; each is also the schema of its queries."""

UNKNOWN_PATH = "/TEST/RetiredFolder"
"""A folder that the catalogue does not contain."""

UNKNOWN_TAG = "RetiredTag-00"
"""A tag that no folder of the catalogue has."""

NUMBER_AS_NAME = "20261001"
"""A task name that consists of digits; a document has it as a JSON number."""

_TASK = (
    ("data", "data{y}_13p6TeV.00{r}.physics_Main.recon.AOD.r15{n}", 14),
    ("simulation", "mc23_13p6TeV.60{n}.PhPy8EG_A14_ttbar.recon.e8514_s4159_r15{n}", 12),
    ("overlay", "mc23_13p6TeV.70{n}.Pythia8_jetjet_overlay.recon.e8514_s4162_r14{n}", 5),
    ("run1", "data12_8TeV.00{r}.physics_Egamma.reproc.r45{n}", 4),
    ("monitoring", "user.shifter.dqmonitoring.{r}.{n}", 2),
)
TASKS: tuple[tuple[int, str], ...] = tuple(
    (KINDS.index(kind), name.format(y=22 + k % 4, r=429_000 + 1_117 * k, n=100 + 7 * k))
    for kind, name, count in _TASK
    for k in range(count)
)
"""The tasks: the index of the kind in `KINDS`, and the name."""

SITES = ("CERN", "BNL", "IN2P3-CC", "FZK-LCG2", "RAL", "TRIUMF", "PIC", "NIKHEF", "SLAC", "DESY-HH", "TOKYO", "MWT2")


def _unique(*names: str) -> list[str]:
    return list(dict.fromkeys(names))


NAMES: dict[str, list[str]] = {
    "taskname": [*(name for _, name in TASKS), NUMBER_AS_NAME],
    "sqldb": [*(f"{db}{suffix}" for db in DATABASES for suffix in ("_RO", "")), *FOREIGN],
    "sqlowner": _unique(*(f.schema for f in FOLDERS), *FOREIGN),
    "sqlnodefullpath": _unique(*(f.node for f in FOLDERS), UNKNOWN_PATH),
    "sqltagname": _unique(*(tag for f in FOLDERS for tag in f.tags), NO_TAG, UNKNOWN_TAG),
    "frontierserver": [f"frontier{k}.{host}.example" for host in ("cern", "lyon", "triumf") for k in (1, 2)],
    "squid": [f"squid{k}.{site.lower()}.example:3128" for site in SITES for k in (1, 2)],
    "computingsite": list(SITES),
    "clientmachine": [f"wn{k:03d}.{site.lower()}.example" for site in SITES for k in range(40)],
}
"""The values of all columns of names, by field of the document."""


def index_of(field: str, *names: str) -> NDArray[np.int64]:
    """Return the indices of ``names`` in the list of a column."""
    place = {name: k for k, name in enumerate(NAMES[field])}
    return np.array([place[name] for name in names], dtype=np.int64)


def folder_shares() -> NDArray[np.float64]:
    """Return the share of each folder in the queries of each kind of task.

    Returns
    -------
    numpy.ndarray
        Shape ``(len(KINDS), len(FOLDERS))``; each row adds up to 1. Overlay jobs query mostly the badly cached folders.
    """
    mix = {
        "data": (0.98, 0.0, 0.0, 0.02),
        "simulation": (0.12, 0.88, 0.0, 0.0),
        "overlay": (0.75, 0.25, 0.0, 0.0),
        "run1": (0.0, 0.05, 0.95, 0.0),
        "monitoring": (0.4, 0.0, 0.0, 0.6),
    }
    shares = np.zeros((len(KINDS), len(FOLDERS)))
    for row, kind in zip(shares, KINDS, strict=True):
        boost = 4.0 if kind == "overlay" else 1.0
        weight = np.array([f.weight * (boost if f.asks == "event" else 1.0) for f in FOLDERS])
        for db, share in zip(DATABASES, mix[kind], strict=True):
            of_db = np.array([f.db == db for f in FOLDERS])
            row[of_db] = share * weight[of_db] / weight[of_db].sum()
    return shares
