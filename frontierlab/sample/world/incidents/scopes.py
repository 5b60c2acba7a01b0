"""Where incidents of each kind can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from frontierlab.sample.world.incidents.desk import Desk

__all__ = ["SCOPES"]


def _flood(desk: Desk, _: str) -> dict[str, Any]:
    scope = desk.folder(tag=desk.rng.random() < 0.85)
    return scope | ({"taskid": desk.new_task()} if desk.rng.random() < 0.35 else {})


def _wrong(desk: Desk, how: str) -> dict[str, Any] | None:
    scope = _flood(desk, how)
    # an empty answer needs a folder whose IOVs have a beginning
    begun = {(f.db, f.schema, f.node) for f in desk.scene.places.folders if f.shape == "begun"}
    place = tuple(scope[name] for name in ("db", "schema", "nodefullpath"))
    return scope if how != "empty" or place in begun else None


def _bypass(desk: Desk, how: str) -> dict[str, Any] | None:
    by = "computingsite" if desk.lacks.squid or desk.rng.random() < 0.4 else "squid"
    if getattr(desk.lacks, by):
        return None
    return {by: desk.weighted(by, 0.5)} | (desk.folder(tag=True) if how == "one query" else {})


def _database(desk: Desk, _: str) -> dict[str, Any]:
    which = desk.rng.random()
    folder = desk.folder(tag=False)
    if which < 0.45:
        return {name: folder[name] for name in ("db", "schema")}
    if which < 0.65:  # in both instances, if the schema is in several
        places = desk.scene.places
        of_schema = places.schema == places.names.schema.index(folder["schema"])
        several = len(np.unique(places.db[of_schema])) > 1
        return {name: folder[name] for name in (("schema",) if several else ("db", "schema"))}
    return {"db": desk.weighted("db")} if which < 0.8 else folder


def _failures(desk: Desk, _: str) -> dict[str, Any] | None:
    which = desk.rng.random()
    if which < 0.35:
        task = desk.weighted("taskid", 1.4)
        return {"taskid": task} if desk.is_named(task) else None
    if which < 0.6:
        return desk.folder(tag=False)
    if which < 0.8 or desk.lacks.computingsite:
        return {"frontierserver": desk.weighted("frontierserver")}
    return {"computingsite": desk.weighted("computingsite")}


def _load(desk: Desk, _: str) -> dict[str, Any]:
    which = desk.rng.random()
    if which < 0.4:
        return {"taskid": desk.new_task()}
    return {"frontierserver": desk.weighted("frontierserver")} if which < 0.8 else {}


def _silence(desk: Desk, _: str) -> dict[str, Any] | None:
    which = desk.rng.random()
    if which < 0.55 and not desk.lacks.computingsite:
        return {"computingsite": desk.weighted("computingsite", 1.0)}
    return {"frontierserver": desk.weighted("frontierserver")} if which < 0.88 else {}


SCOPES: dict[str, Callable[[Desk, str], dict[str, Any] | None]] = {
    "iov_flood": _flood,
    "cache_bypass": _bypass,
    "slow_database": _database,
    "slow_server": lambda desk, _: {"frontierserver": desk.weighted("frontierserver")},
    "rejections": lambda desk, _: (
        {"frontierserver": desk.weighted("frontierserver")} if desk.rng.random() < 0.75 else {}
    ),
    "failures": _failures,
    "payload_growth": lambda desk, _: desk.folder(tag=desk.rng.random() < 0.7),
    "load": _load,
    "silence": _silence,
    "wrong_iov": _wrong,
}
"""Draws the scope of an incident, by kind, for one of its forms; None if the world has none."""
