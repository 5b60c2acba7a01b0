"""The SQL that COOL writes, for logs of the sample world."""

from __future__ import annotations

from collections.abc import Sequence

from frontierlab.errors import InvalidRequestError

__all__ = ["channels_sql", "payload_sql", "tags_sql"]

_OF_ROW = ("OBJECT_ID", "CHANNEL_ID", "IOV_SINCE", "IOV_UNTIL", "USER_TAG_ID", "SYS_INSTIME", "LASTMOD_DATE")
_OF_VERSION = ("ORIGINAL_ID", "NEW_HEAD_ID")
_OF_TAG = ("NODE_ID", "TAG_ID", "TAG_NAME", "TAG_LOCK_STATUS", "TAG_DESCRIPTION", "SYS_INSTIME")
_INDEX = "CHANNEL_ID IOV_SINCE IOV_UNTIL"


def payload_sql(
    instance: str,
    schema: str,
    folder: int,
    since: int,
    until: int,
    *,
    tag_id: int | None = None,
    channel: int | None = None,
    columns: Sequence[str] = ("PoolRef",),
    payload_table: bool = True,
) -> str:
    """Return the query of a folder's payload over an IOV, as COOL writes it for Oracle.

    Parameters
    ----------
    instance, schema, folder
        The database instance, the schema, and the number of the folder.
    since, until
        The IOV asked for.
    tag_id
        The number of the tag; None for a folder without tags.
    channel
        The channel; None for all.
    columns
        The columns of the payload.
    payload_table
        Whether the folder keeps payloads in a table of their own.

    Raises
    ------
    InvalidRequestError
        There is no column of the payload.
    """
    if not columns:
        raise InvalidRequestError("A query of payload needs at least one of its columns.")
    table = f"{instance}_F{folder:04}"
    index = _INDEX if tag_id is None else f"USER_TAG_ID NEW_HEAD_ID {_INDEX}"
    names = [*_OF_ROW, *_OF_VERSION, *(["PAYLOAD_ID"] if payload_table else [])]
    source = "COOL_P5" if payload_table else "COOL_I3"
    shown = [f'COOL_I3.{name} AS "{name}"' for name in names] + [f'{source}."{name}" AS "{name}"' for name in columns]
    tables = ["CHANNELS COOL_C2", "IOVS COOL_I3", *(["PAYLOAD COOL_P5"] if payload_table else [])]
    listed = [f'"{schema}"."{table}_{kind}" "{alias}"' for kind, alias in map(str.split, tables)]
    newest = f"SELECT /*+ QB_NAME(MAX1) */ MAX(COOL_I1.IOV_SINCE) FROM {schema}.{table}_IOVS COOL_I1"
    newest += f" WHERE {_of_tag('COOL_I1', tag_id)}COOL_I1.CHANNEL_ID=COOL_C2.CHANNEL_ID AND COOL_I1.IOV_SINCE<={since}"
    conditions = "" if channel is None else f"COOL_C2.CHANNEL_ID={channel} AND "
    conditions += f"{_of_tag('COOL_I3', tag_id)}COOL_I3.CHANNEL_ID=COOL_C2.CHANNEL_ID"
    conditions += f" AND COOL_I3.IOV_SINCE>=COALESCE(( {newest} ),{since})"
    conditions += f" AND COOL_I3.IOV_SINCE<={until} AND COOL_I3.IOV_UNTIL>{since}"
    conditions += " AND COOL_I3.PAYLOAD_ID = COOL_P5.PAYLOAD_ID" if payload_table else ""
    return f"SELECT {_hint(index, payload_table)} {', '.join(shown)} FROM {', '.join(listed)} WHERE {conditions}"


def channels_sql(instance: str, schema: str, folder: int) -> str:
    """Return the query of a folder's channels; it asks for no payload and no IOV."""
    table = f"{instance}_F{folder:04}_CHANNELS"
    return f'SELECT CHANNEL_ID AS "CHANNEL_ID" FROM "{schema}"."{table}" "{table}"'


def tags_sql(instance: str, schema: str, folder: int) -> str:
    """Return the query of a folder's tags; it asks for no payload and no IOV."""
    table = f"{instance}_TAGS"
    shown = ", ".join(f'{name} AS "{name}"' for name in _OF_TAG)
    return f'SELECT {shown} FROM "{schema}"."{table}" "{table}" WHERE NODE_ID= {folder}'


def _of_tag(alias: str, tag_id: int | None) -> str:
    return "" if tag_id is None else f"{alias}.USER_TAG_ID={tag_id} AND {alias}.NEW_HEAD_ID=0 AND "


def _hint(index: str, payload_table: bool) -> str:
    payload = " COOL_P5@MAIN" if payload_table else ""
    words = ["NO_BIND_AWARE", "QB_NAME(MAIN)", f"INDEX_RS_ASC(@MAIN COOL_I3@MAIN ({index}))"]
    words += ["INDEX_RS_ASC(@MAIN COOL_P5@MAIN (PAYLOAD_ID))"] if payload_table else []
    words += [f"LEADING(@MAIN COOL_C2@MAIN COOL_I3@MAIN{payload})", "USE_NL(@MAIN COOL_I3@MAIN)"]
    words += ["USE_NL(@MAIN COOL_P5@MAIN)"] if payload_table else []
    return f"/*+ {' '.join([*words, f'INDEX(@MAX1 COOL_I1@MAX1 ({index}))'])} */"
