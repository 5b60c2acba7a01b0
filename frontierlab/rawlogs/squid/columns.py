"""The definition of a row of Squid logs: names, types and meaning of its columns."""

from __future__ import annotations

import pyarrow as pa

from frontierlab.schema import FLAG, INTEGER, NAME, TIME, Column

__all__ = ["SQUID_COLUMNS", "SQUID_SCHEMA"]

SQUID_COLUMNS: tuple[Column, ...] = (
    Column("time", None, TIME, "when the request came: end_time less duration_ms, UTC; never null"),
    Column("end_time", None, TIME, "when the answer ended, UTC; in whole seconds but for formats with milliseconds"),
    Column("squid", None, NAME, "the Squid that wrote the log; never null"),
    Column("computingsite", None, NAME, "its site, as the reader was told"),
    Column("worker", None, NAME, "the process of the Squid, such as kid1; null if the log names none"),
    Column("client", None, NAME, "who asked: a keyed hash of the address, unless personal data are kept"),
    Column("taskid", None, INTEGER, "PanDA task that asked; null where the request names none, as through Varnish"),
    Column("pandaid", None, INTEGER, "PanDA job that asked"),
    Column("agent", None, NAME, "what asked, where it was no PanDA job: a release, a probe, varnish"),
    Column("request", None, NAME, "sql, file, certificate, other, or unreadable: the URL cannot be decoded"),
    Column("db", None, NAME, "database instance of a COOL query; null for other requests, as the columns that follow"),
    Column("schema", None, NAME, "schema"),
    Column("node_id", None, INTEGER, "number of the folder in its schema"),
    Column("nodefullpath", None, NAME, "the folder, by its full path; null where the catalogue lacks it"),
    Column("nodetime", None, NAME, "IOV base of the folder: run-lumi or time"),
    Column("tag_id", None, INTEGER, "number of the tag in its folder; 0 is no tag"),
    Column("tagname", None, NAME, "name of the tag; none for a folder without tags"),
    Column("since", None, INTEGER, "start of the IOV, in the folder's IOV base; -1 if none"),
    Column("until", None, INTEGER, "end of the IOV, in the folder's IOV base; -1 if none"),
    Column("payload", None, FLAG, "whether the query asks for payloads"),
    Column(
        "sqlhash", None, INTEGER, "hash of the query without its IOV, as in servlet logs; of the text without an IOV"
    ),
    Column("cache_key", None, INTEGER, "hash of the URL, by which the Squid caches"),
    Column("result", None, NAME, "the result tag as logged, such as TCP_MEM_HIT; never null"),
    Column("result_class", None, NAME, "its class; see frontierlab.rawlogs.squid.results"),
    Column("ending", None, NAME, "aborted, timed out or ignored; null for an ordinary end"),
    Column("collapsed", None, FLAG, "waited for the answer to the same request of another client"),
    Column("squid_hit", None, FLAG, "a hit as Squid itself counts, revalidations included"),
    Column("sent_on", None, FLAG, "the request, or a question about its copy, went to a server or another cache"),
    Column("hierarchy", None, NAME, "how the next server was chosen, such as HIER_DIRECT"),
    Column("peer", None, NAME, "the next server; null where the format does not name it"),
    Column("method", None, NAME, "the method of HTTP"),
    Column("status", None, INTEGER, "the status of HTTP; errors of Oracle have 200"),
    Column("wire_bytes", None, INTEGER, "bytes sent to the client, headers included, mostly compressed; not fsize"),
    Column("duration_ms", None, INTEGER, "from the request to the end of its answer, ms"),
    Column("modified_since", None, TIME, "the date of If-Modified-Since; null without, or where the format lacks it"),
    Column("file", None, NAME, "the log file"),
    Column("line", None, INTEGER, "the line in it, from 1"),
)
"""The columns of a row, in order. A row is one answer of a Squid to a request for Frontier."""

SQUID_SCHEMA = pa.schema(
    [
        pa.field(c.name, c.type, nullable=c.name not in ("time", "end_time", "squid", "result", "result_class"))
        for c in SQUID_COLUMNS
    ]
)
"""The Arrow schema of a row."""
