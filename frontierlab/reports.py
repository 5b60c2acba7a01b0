"""A dataset as one standalone HTML page: what it is, its plots, and the SQL behind each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bokeh.embed import components
from bokeh.resources import Resources
from jinja2 import Environment

from frontierlab import filters, plots
from frontierlab._version import __version__
from frontierlab.datasets import Dataset, open_dataset
from frontierlab.errors import InvalidRequestError
from frontierlab.files import replacing
from frontierlab.manifest import Manifest, Outcome
from frontierlab.spark import open_logs
from frontierlab.statements import Statement
from frontierlab.times import in_words, parse_time

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from pyspark.sql import DataFrame, SparkSession

    from frontierlab.settings import Settings

__all__ = ["report"]

_BIN_SECONDS = (300, 3_600, 86_400)
_MOST_BINS = 10_000


@dataclass(frozen=True)
class _Section:
    figure: figure
    statement: Statement


def report(
    dataset: Dataset | str,
    path: str | os.PathLike[str] | None = None,
    *,
    settings: Settings | None = None,
    session: SparkSession | None = None,
) -> Path:
    """Write a report of a dataset: one HTML page that needs no network to be read.

    At its top stand the period (UTC), the counts, and whatever makes the figures too small: an
    incomplete dataset, a cut by ``limit_queries``, an extraction of some queries only. Then come
    queries per database, per schema of each database, and over time (bins of 300 s; of an hour or a
    day where the period is long), each with its SQL.

    Parameters
    ----------
    dataset
        A dataset, complete or not, or the name of one in the data folder of `settings`.
    path
        Where to write; by default ``report.html`` in the dataset's folder. An earlier report is
        replaced in one step, or left as it was.
    settings
        By default ``Settings()``.
    session
        The Spark session to use; by default `frontierlab.spark.session` of `settings`.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    DatasetError
        There is no such dataset.
    InvalidRequestError
        `path` is a folder.
    SparkError
        Spark does not start here.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, settings)
    target = Path(path).expanduser().absolute() if path is not None else dataset.path / "report.html"
    if target.is_dir():
        raise InvalidRequestError(f"{target} is a folder: give the path of a file in it, such as report.html.")
    logs = open_logs(dataset, session=session, settings=settings, allow_incomplete=True)
    outcome = dataset.outcome()
    sections, counted = _sections(logs, outcome)
    warnings = _warnings(dataset.manifest, outcome, counted)
    page = _page(dataset, outcome, warnings, sections)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _sections(logs: DataFrame, outcome: Outcome) -> tuple[list[_Section], int]:
    """Ask all questions; return figures with their statements, and how many queries they counted."""
    period = _period(outcome)
    per_db = filters.queries_per_db(logs)
    sections = [_Section(plots.queries_per_db(per_db, selection=period), filters.queries_per_db.sql())]
    for db in per_db["db"]:
        drawn = plots.cached_per_schema(filters.cached_per_schema(logs, db=db), selection=f"db {db}\n{period}")
        sections.append(_Section(drawn, filters.cached_per_schema.sql(db=db)))
    width = _bin_seconds(outcome)
    over_time = filters.queries_over_time(logs, bin_seconds=width)
    drawn = plots.queries_over_time(over_time, selection=period)
    sections.append(_Section(drawn, filters.queries_over_time.sql(bin_seconds=width)))
    return sections, int(per_db[["cached", "not_cached", "unknown"]].to_numpy().sum())


def _bin_seconds(outcome: Outcome) -> int:
    if outcome.since is None or outcome.until is None:
        return _BIN_SECONDS[0]
    seconds = (outcome.until - outcome.since) / 1000
    return next((width for width in _BIN_SECONDS if seconds / width < _MOST_BINS), _BIN_SECONDS[-1])


def _period(outcome: Outcome) -> str:
    if outcome.since is None or outcome.until is None:
        return ""
    first, last = (in_words(milliseconds // 1000 * 1000) for milliseconds in (outcome.since, outcome.until))
    return f"queries from {first.removesuffix(' UTC')} to {last}"


def _warnings(manifest: Manifest, outcome: Outcome, counted: int) -> list[str]:
    """Say what makes the figures smaller than the truth."""
    request, found = manifest.request, []
    if manifest.state != "complete":
        found.append(
            "This dataset is incomplete: its extraction stopped before the end, or is still going on. Every number "
            "below is too small. The same extract(…) call goes on where it stopped."
        )
    if manifest.limit is not None:
        limit = manifest.limit
        found.append(
            f"The extraction was cut by limit_queries ({_number(limit.get('limit_queries'))}) at "
            f"{in_words(parse_time(limit['cut_at']))}: later queries are not here. The period asked for has "
            f"{_number(limit.get('available'))} documents."
        )
    if request.get("cached") is not None:
        kind = "cached" if request["cached"] else "not cached"
        found.append(f"Only queries that were {kind} were extracted: shares of cached queries say nothing here.")
    if request.get("taskid") is not None:
        found.append(f"Only queries of task {request['taskid']} were extracted.")
    if counted != outcome.counts.kept:
        found.append(
            f"The plots count {_number(counted)} queries, but the dataset says that it has "
            f"{_number(outcome.counts.kept)}: its files were changed, or it is being written."
        )
    return found


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _page(dataset: Dataset, outcome: Outcome, warnings: list[str], sections: list[_Section]) -> str:
    manifest = dataset.manifest
    script, figures = components([section.figure for section in sections])
    asked = manifest.request
    counts: list[tuple[str, Any]] = [
        ("documents read", outcome.counts.read),
        ("kept: queries in this dataset", outcome.counts.kept),
        ("left out", outcome.counts.left_out),
        *((f"\u2003{reason}", count) for reason, count in outcome.left_out.items()),
        ("set aside: could not be read", outcome.counts.set_aside),
        *((f"\u2003{reason}", count) for reason, count in outcome.set_aside.items()),
    ]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_TEMPLATE).render(
        name=dataset.name,
        state=dataset.state,
        asked=f"from {asked.get('since') or 'the first document'} until {asked.get('until') or 'the last'}, UTC",
        period=_period(outcome) or "no queries",
        source=", ".join(asked.get("index") or ()) or Path(asked.get("source", "")).name,
        created=in_words(parse_time(manifest.created).replace(microsecond=0)),
        made=in_words(datetime.now(UTC).replace(microsecond=0)),
        version=__version__,
        warnings=warnings,
        notes=manifest.notes,
        counts=[(label, _number(count)) for label, count in counts],
        sections=list(zip(figures, (str(section.statement) for section in sections), strict=True)),
        resources=Resources(mode="inline", components=["bokeh"]).render(),
        script=script,
    )


_TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ name }}: Frontier queries</title>
<style>
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1360px; padding: 0 20px 40px; background: #fff; color: #222;
       font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 24px 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 28px 0 8px; }
.warning { background: #fff4e5; border-left: 5px solid #d55e00; margin: 8px 0; padding: 8px 14px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 12px 0; }
dt { color: #555; }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; }
td { border-bottom: 1px solid #ddd; padding: 3px 24px 3px 0; }
td.number { font-variant-numeric: tabular-nums; padding-right: 0; text-align: right; }
section { border-top: 1px solid #ddd; margin-top: 24px; padding-top: 8px; }
summary { color: #555; cursor: pointer; font-size: 14px; }
pre { background: #f6f6f6; font-size: 13px; overflow-x: auto; padding: 10px 14px; }
footer { color: #555; font-size: 13px; margin-top: 32px; }
</style>
{{ resources | safe }}
</head>
<body>
<h1>{{ name }}</h1>
{% for warning in warnings %}
<p class="warning">{{ warning }}</p>
{% endfor %}
<dl>
<dt>state</dt><dd>{{ state }}</dd>
<dt>asked for</dt><dd>{{ asked }}</dd>
<dt>found</dt><dd>{{ period }}</dd>
<dt>read from</dt><dd>{{ source }}</dd>
<dt>extracted</dt><dd>{{ created }}</dd>
</dl>
<h2>Counts</h2>
<table>
{% for label, count in counts %}
<tr><td>{{ label }}</td><td class="number">{{ count }}</td></tr>
{% endfor %}
</table>
{% if notes %}
<h2>Notes</h2>
<ul>
{% for note in notes %}
<li>{{ note }}</li>
{% endfor %}
</ul>
{% endif %}
{% for figure, sql in sections %}
<section>
{{ figure | safe }}
<details><summary>SQL of this plot</summary><pre>{{ sql }}</pre></details>
</section>
{% endfor %}
<footer>Made {{ made }} by frontierlab {{ version }}. In the SQL, <code>{logs}</code> stands for the dataset.</footer>
{{ script | safe }}
</body>
</html>
"""
