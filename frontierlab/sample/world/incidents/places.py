"""Where the queries of an unruly day go and come from: folders, servers, sites and Squids, with tempers of their own.

The folders are those of `frontierlab.sample.world.folders` and four times as many more, in the same schemas. Names do
not depend on a seed; tempers (speed, chronic faults) do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.folders import DATABASES, FOLDERS, Folder
from frontierlab.schema import NO_TAG

__all__ = ["ASKS", "FAILURES", "Names", "Places", "all_folders", "names"]

ASKS: tuple[Literal["event", "run", "all"], ...] = ("event", "run", "all")
"""The IOVs that jobs ask a folder for, as `Folder.asks`; codes are indices of it."""

FAILURES = ("disconn", "procerror", "rejected")
"""The flags of a failed query."""

MOST_TAGS = 3

_WORDS = (
    "Align", "Cabling", "DeadMap", "Gain", "HVCorr", "LorentzAngle", "Noise", "Occupancy", "Pedestal", "Status",
    "Thresholds", "TimeOffset", "Trips", "Weights",
)  # fmt: skip
_REGIONS = (
    ("cern", 4, ("CERN", "IFAE", "PIC", "NIKHEF", "SARA", "ROMA", "MILANO", "KRAKOW", "CYFRONET", "NDGF", "UNIBE")),
    ("lyon", 3, ("IN2P3-CC", "FZK-LCG2", "DESY-HH", "DESY-ZN", "GRIF", "LAPP", "LPC", "MPPMU", "WUPPERTAL", "TOKYO")),
    ("triumf", 2, ("TRIUMF", "BNL", "MWT2", "SLAC", "AGLT2", "NET2", "SWT2", "OU", "VICTORIA", "SFU", "MELBOURNE")),
    ("ral", 2, ("RAL", "LANCS", "MANCHESTER", "QMUL", "GLASGOW", "OXFORD", "SHEFFIELD", "ECDF", "LIVERPOOL")),
)


@cache
def all_folders() -> tuple[Folder, ...]:
    """Return the folders of unruly days: those of the sample first, then invented ones of the same schemas.

    Some invented folders are in two database instances, under the same schema and path.
    """
    rng = np.random.default_rng(20_261_001)
    folders = list(FOLDERS)
    taken = {(f.db, f.schema, f.node) for f in folders}
    ids: dict[tuple[str, str], int] = {}
    for number, model in enumerate(FOLDERS * 4):
        detector = model.node.split("/")[1]
        word = _WORDS[int(rng.integers(len(_WORDS)))]
        node = f"/{detector}/{word}{number // len(FOLDERS) + 1}"
        count = int(rng.choice([0, 1, 2, 3], p=[0.3, 0.35, 0.2, 0.15]))
        both = model.db == "CONDBR2" and rng.random() < 0.2
        for db in (model.db, "OFLP200") if both else (model.db,):
            if (db, model.schema, node) in taken:
                continue
            taken.add((db, model.schema, node))
            ids[db, model.schema] = node_id = ids.get((db, model.schema), 500) + 1
            tags = tuple(f"{detector.title()}{word}-{release}" for release in ("RUN3-02", "RUN2-UPD4-07", "HEAD"))
            folders.append(
                replace(
                    model,
                    db=db,
                    node=node,
                    node_id=node_id,
                    asks=ASKS[int(rng.choice(3, p=[0.15, 0.65, 0.2]))],
                    weight=float(rng.lognormal(0.4, 1.0)),
                    size=int(model.size * rng.lognormal(0, 0.7)) + 60,
                    tags=tags[:count],
                    shape="begun",
                )
            )
    return tuple(folders)


@dataclass(frozen=True)
class Names:
    """The names of an unruly day, as lists that codes are indices of."""

    db: list[str]
    schema: list[str]
    nodefullpath: list[str]
    tagname: list[str]
    frontierserver: list[str]
    computingsite: list[str]
    squid: list[str]


@cache
def names() -> Names:
    """Return all names but those of tasks."""
    folders = all_folders()
    sites = [site for _, _, of_region in _REGIONS for site in of_region]
    return Names(
        list(DATABASES),
        sorted({f.schema for f in folders}),
        sorted({f.node for f in folders}),
        [NO_TAG, *sorted({tag for f in folders for tag in f.tags})],
        [f"frontier{k}.{region}.example" for region, count, _ in _REGIONS for k in range(1, count + 1)],
        sites,
        [f"squid{k + 1}.{site.lower()}.example:3128" for n, site in enumerate(sites) for k in range(squids_of(n))],
    )


def squids_of(site: int) -> int:
    """Return how many Squids a site has: one to three."""
    return 1 + (site * 7 + 1) % 3


class Places:
    """The places of a world and their tempers.

    Parameters
    ----------
    seed
        The world's seed.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 20])
        folders = all_folders()
        n = len(folders)
        self.names = names()
        self.folders = folders
        self.db = np.array([DATABASES.index(f.db) for f in folders])
        self.schema = np.array([self.names.schema.index(f.schema) for f in folders])
        self.node = np.array([self.names.nodefullpath.index(f.node) for f in folders])
        self.node_id = np.array([f.node_id for f in folders])
        self.asks = np.array([ASKS.index(f.asks) for f in folders])
        self.time_base = np.array([f.nodetime == "time" for f in folders])
        self.tags = np.array([max(1, len(f.tags)) for f in folders])
        self.tagged = np.array([len(f.tags) > 0 for f in folders])
        self.tag = np.zeros((n, MOST_TAGS), dtype=np.int64)
        for row, folder in zip(self.tag, folders, strict=True):
            row[: len(folder.tags)] = [self.names.tagname.index(tag) for tag in folder.tags]
        self.weight = np.array([f.weight for f in folders]) * rng.lognormal(0, 0.5, n)
        self.size = 0.4 * np.array([f.size * f.channels for f in folders])
        # the database needs longer for some folders than for others
        self.speed = 9 * rng.lognormal(0, 0.8, n) * np.where(self.asks == 0, 1.6, 1.0)
        self.spread = rng.uniform(0.7, 1.3, n)
        self.cached = np.clip(np.array([0.06, 0.6, 0.88])[self.asks] + rng.normal(0, 0.06, n), 0.01, 0.97)
        self.width = rng.integers(1, 6, n)  # of the IOV that a job asks for, in steps of the grid
        self.hashes = np.random.default_rng(7).integers(-(2**63), 2**63, (n, 8))
        self._sites(rng)

    def _sites(self, rng: np.random.Generator) -> None:
        sites = len(self.names.computingsite)
        self.site_weight = np.minimum(rng.pareto(1.2, sites), 6) + 0.15
        self.region = np.concatenate([np.full(len(s), k) for k, (_, _, s) in enumerate(_REGIONS)])
        counts = np.array([count for _, count, _ in _REGIONS])
        self.servers = counts
        self.first_server = np.cumsum(counts) - counts
        self.pace = 4 * rng.lognormal(0, 0.25, counts.sum())
        self.squids = np.array([squids_of(k) for k in range(sites)])
        self.first_squid = np.cumsum(self.squids) - self.squids
        # one or two sites have a bad line all the time; requests through some proxies name no task
        self.site_disconn = np.where(rng.random(sites) < 0.04, rng.uniform(0.01, 0.04, sites), 5e-4)
        self.anonymous = rng.random(sites) < 0.05

    @cached_property
    def site_of_squid(self) -> NDArray[np.int64]:
        """The site of each Squid."""
        return np.repeat(np.arange(len(self.squids)), self.squids)
