"""The synthetic world: it is reproducible, its counts add up, and its truth equals that of plain loops."""

import gzip
import itertools
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import frontierlab.sample as sample
from frontierlab.errors import ElasticsearchError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.sample.__main__ import main
from frontierlab.sample.world.loading import mapping
from frontierlab.sample.world.oddities import ODDITIES
from frontierlab.schema import COLUMNS, DOCUMENT_FIELDS, FLAG, INTEGER, OPEN_IOV, TIME, arrow_schema
from tests.support.world import sample_truth, sample_world

INSTANCES = ("CONDBR2", "OFLP200", "COMP200", "MONP200")


def content(path):
    with pa.input_stream(str(path), compression="detect") as stream:
        return stream.read()


def documents(world):
    return [document for chunk in world.chunks() for document in chunk.documents]


# ---- the embedded sample, and reproducible worlds


def test_public_names_are_sorted_and_documented():
    assert sample.__all__ == sorted(sample.__all__)
    assert all(getattr(sample, name).__doc__ for name in sample.__all__)


def test_importing_the_sample_does_not_import_its_generator():
    heavy = ("pandas", "elasticsearch", "tqdm", "frontierlab.sample.world")
    code = f"import sys; from frontierlab import sample; sample.path(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_embedded_sample_equals_the_generated_world():
    world = sample_world()
    assert content(sample.path()) == b"".join(bytes(chunk.ndjson()) for chunk in world.chunks())
    assert pq.read_table(sample.path("catalogue.parquet")).equals(world.catalogue)
    assert pq.read_table(sample.path("payloads.parquet")).equals(world.payloads)
    assert sum(file.stat().st_size for file in sample.path().parent.iterdir()) < 2_000_000


def test_unknown_file_of_the_sample_is_an_error():
    with pytest.raises(InvalidRequestError, match=r"choose one of catalogue\.parquet"):
        sample.path("logs.parquet")


def test_settings_name_the_embedded_catalogue():
    settings = sample.settings(limit_queries=7)
    assert str(settings.coolr_file) == str(sample.path("catalogue.parquet"))
    assert settings.limit_queries == 7


@pytest.mark.slow
def test_a_seed_always_makes_the_same_world():
    one, again, other = (World(3_000, seed=seed, malformed=0.1) for seed in (4, 4, 5))
    assert documents(one) == documents(again)
    assert one.logs().equals(again.logs())
    assert one.payloads.equals(again.payloads)
    assert documents(one) != documents(other)
    assert one.catalogue.equals(other.catalogue)


def test_chunks_add_up_to_the_world(monkeypatch):
    monkeypatch.setattr("frontierlab.sample.world.world.CHUNK", 1_000)
    world = World(2_500, malformed=0.1)
    assert [(c.number, c.first, len(c)) for c in world.chunks()] == [(0, 0, 1_000), (1, 1_000, 1_000), (2, 2_000, 500)]
    assert world.logs().num_rows == world.counts["kept"]
    first, second, _ = (chunk.documents for chunk in world.chunks())
    assert first != second


# ---- documents, rows and counts


@pytest.mark.parametrize("indexable", [False, True])
@pytest.mark.parametrize("malformed", [0, 0.001, 1])
def test_counts_add_up(malformed, indexable):
    world = World(5_000, malformed=malformed, indexable=indexable)
    counts = world.counts
    assert counts["read"] == 5_000
    assert counts["read"] == counts["kept"] + sum(counts["left_out"].values()) + sum(counts["set_aside"].values())
    assert set(counts["left_out"]) == {"another database", "no database"}
    assert (malformed > 0) == bool(counts["set_aside"])
    logs = world.logs()
    assert logs.num_rows == counts["kept"]
    assert logs.schema.equals(arrow_schema())
    logs.validate(full=True)


def test_a_world_without_documents():
    assert World(0).logs().schema.equals(arrow_schema())
    assert World(0).counts == {"read": 0, "kept": 0, "left_out": {}, "set_aside": {}}
    assert World(0).truth().empty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"documents": -1}, "0 or more"),
        ({"malformed": 2}, "between 0 and 1"),
        ({"until": "2026-10-01"}, "not after since"),
        ({"since": "today"}, "is not a time"),
    ],
)
def test_invalid_arguments_of_a_world(changes, message):
    with pytest.raises(InvalidRequestError, match=message):
        World(**changes)


def test_every_reason_of_malformed_documents_occurs():
    reasons = {f"{kind.field}: {kind.outcome}" for kind in ODDITIES if kind.outcome not in ("kept", "null")}
    assert set(World(10_000, malformed=1).counts["set_aside"]) == reasons
    allowed = {f"{kind.field}: {kind.outcome}" for kind in ODDITIES if kind.indexable}
    assert set(World(10_000, malformed=1, indexable=True).counts["set_aside"]) <= allowed


@pytest.mark.parametrize("numbers_as_strings", [False, True])
def test_rows_equal_those_of_a_plain_reader(numbers_as_strings):
    world = World(4_000, seed=9, malformed=0.5, numbers_as_strings=numbers_as_strings)
    rows, counts = [], Counter()
    for chunk in world.chunks():
        for line in chunk.lines().to_pylist():
            outcome, row = plain_row(json.loads(line, parse_float=Decimal))
            counts[outcome] += 1
            if outcome == "kept":
                rows.append(completed(row, world.catalogue))
    expected = world.counts
    assert counts == {"kept": expected["kept"], **expected["left_out"], **expected["set_aside"]}
    logs = world.logs()
    logs = logs.set_column(0, "time", logs["time"].cast(pa.int64()))
    assert rows == logs.to_pylist()


def plain_row(document):
    """Convert a document value by value; return what became of it, and its row."""
    row = {}
    for name, column in DOCUMENT_FIELDS.items():
        try:
            row[column.name] = plain_value(document.get(name), column)
        except ValueError as error:
            return f"{name}: {error}", row
    for name in ("since", "until"):
        row[name] = -1 if row[name] is None else row[name]
    if row["db"] is None:
        return "no database", row
    row["db"] = row["db"].split("_")[0]
    return ("kept" if row["db"] in INSTANCES else "another database"), row


def plain_value(value, column):
    type_ = column.type
    if isinstance(value, list) and len(value) > 1:
        raise ValueError("an array of several values")
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        raise ValueError("an object")
    if value == "" and type_ in (TIME, INTEGER, FLAG):
        value = None
    if type_ == TIME:
        return plain_time(value)
    if value is None:
        return None
    if type_ == INTEGER:
        return plain_integer(value, column.name in ("querytime", "dbtime"))
    if type_ == FLAG:
        known = {"true": True, "false": False, "1": True, "0": False}
        text = str(value).lower()
        if text not in known:
            raise ValueError("not a flag")
        return known[text]
    if isinstance(value, bool | Decimal):
        raise ValueError("not a name")
    return str(value)


def plain_integer(value, measured):
    try:
        number = None if isinstance(value, bool) else Decimal(str(value).strip())
    except InvalidOperation:
        number = None
    if measured and number is not None:
        number = (number + Decimal("0.5")) // 1
    if number is None or number != number.to_integral_value():
        raise ValueError("not an integer")
    if not -(2**63) <= number < 2**63:
        raise ValueError("beyond int64")
    return int(number)


def plain_time(value):
    if value is None:
        raise ValueError("missing")
    if isinstance(value, bool | Decimal):
        raise ValueError("not a time")
    if re.fullmatch(r"\d{12,14}", str(value)):
        return int(value)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
        raise ValueError("a date without a time of day")
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("not a time") from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(time.replace(microsecond=0).timestamp()) * 1000 + time.microsecond // 1000


def completed(row, catalogue, known={}):  # noqa: B006 (remembers the catalogue's rows)
    """Complete a row by going through the catalogue's rows."""
    if not known:
        for r in catalogue.to_pylist():
            known.setdefault((r["db"], r["schema"]), []).append(r)
    rows = known.get((row["db"], row["schema"]), [])
    by_path = [r for r in rows if r["node"] == row["nodefullpath"]]
    by_id = [r for r in rows if r["node_id"] == row["node_id"]]
    row = {**row, "nodetime": next((r["nodetime"] for r in by_path + by_id), None)}
    if row["nodefullpath"] is None and by_id:
        row["nodefullpath"], by_path = by_id[0]["node"], by_id
    if row["node_id"] is None and by_path:
        row["node_id"] = by_path[0]["node_id"]
    untagged = [r["tag"] for r in by_path] == ["none"]
    for have, fill in (("tag", "tag_id"), ("tag_id", "tag")):
        column = {"tag": "tagname", "tag_id": "tag_id"}
        if row[column[fill]] is None:
            found = by_path if untagged else [r for r in by_path if r[have] == row[column[have]]]
            row[column[fill]] = found[0][fill] if found else None
    return {column.name: row[column.name] for column in COLUMNS}


def test_numbers_as_strings():
    plain, quoted = (documents(World(500, malformed=0, numbers_as_strings=q)) for q in (False, True))
    for one, other in zip(plain, quoted, strict=True):
        for name, value in one.items():
            number = isinstance(value, int) and not isinstance(value, bool)
            assert other[name] == (str(value) if number else value)


# ---- the conditions


def test_catalogue_has_the_folders_that_experts_watch():
    frame = World().catalogue.to_pandas()
    assert not frame.duplicated(["db", "schema", "node", "tag"]).any()
    assert (
        frame.groupby(["db", "schema"])["node_id"].nunique().sum()
        == frame.groupby(["db", "schema"])["node"].nunique().sum()
    )
    watched = [
        ("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib"),
        ("CONDBR2", "ATLAS_COOLONL_SCT", "/SCT/DAQ/Config/Chip"),
        ("CONDBR2", "ATLAS_COOLOFL_MDT", "/MDT/T0BLOB"),
        ("OFLP200", "ATLAS_COOLOFL_RPC", "/RPC/TRIGGER/CM_THR_ETA"),
    ]
    folders = set(frame[["db", "schema", "node"]].itertuples(index=False, name=None))
    assert folders >= set(watched)
    assert len(folders) > 40
    assert set(frame["db"]) == set(INSTANCES)
    assert set(frame["nodetime"]) == {"run-lumi", "time"}
    assert set(frame.loc[frame["tag"] == "none", "tag_id"]) == {0}


def test_payloads_have_the_hard_cases():
    payloads, catalogue = sample_world().payloads.to_pandas(), sample_world().catalogue.to_pandas()
    tag = ["db", "schema", "node", "tag"]
    assert (payloads["since"] < payloads["until"]).all()
    assert (payloads["until"] == OPEN_IOV).any()
    assert len(payloads.merge(catalogue, on=tag)) == len(payloads)
    assert len(catalogue.merge(payloads[tag].drop_duplicates(), on=tag)) == len(catalogue) - 1  # one tag is empty
    ordered = payloads.sort_values([*tag, "channel", "since"])
    after = ordered.groupby([*tag, "channel"])["since"].shift(-1)
    overlaps = ordered[after.notna() & (ordered["until"] > after)]
    assert set(overlaps["node"]) == {"/LAR/BadChannelsOfl/BadChannels"}
    assert (after.notna() & (ordered["until"] < after)).any()
    assert payloads.duplicated([*tag, "channel", "content"]).any()
    assert (payloads.groupby([*tag, "content"])["size"].nunique() == 1).all()


def test_logs_have_the_hard_cases():
    logs = World().logs().to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    assert (logs["querytime"] > 1000).sum() > 50
    assert logs["initthreads"].max() > 400
    assert logs["time"].duplicated().any()
    assert not logs["time"].is_monotonic_increasing
    assert (logs["sqlhash"] < 0).any()
    assert ((logs["since"] < 0) != (logs["until"] < 0)).any()
    assert logs["until"].max() == OPEN_IOV
    for name in ("nodefullpath", "node_id", "tagname", "tag_id", "taskid", "squid", "computingsite", "fsize"):
        assert logs[name].isna().any(), name
    assert (logs.loc[logs["cached"].fillna(False), "fsize"].fillna(0) == 0).all()


# ---- the truth


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_truth_equals_the_figures_of_loops(seed):
    world = World(1_500, seed=seed, malformed=0.05)
    truth = world.truth()
    found = {key: row for key, row in looped(world) if row is not None}
    keys = list(truth[["db", "schema", "nodefullpath", "tagname"]].itertuples(index=False, name=None))
    assert keys == sorted(found)
    for key, row in zip(keys, truth.to_dict("records"), strict=True):
        for name, value in found[key].items():
            if value is None:
                assert pd.isna(row[name]), (key, name)
            else:
                assert row[name] == pytest.approx(value, rel=1e-9), (key, name)
    assert len(truth.columns) == 4 + len(next(iter(found.values())))
    assert (truth["different_payloads_iov"] > 1).any()
    assert (truth["different_empty_queries"] > 0).any()
    assert (truth["tagname"] == "unknown").any()


def looped(world):
    """Yield the key and figures of each folder and tag, found query by query and row by row."""
    archive, tags = defaultdict(list), set()
    for row in world.payloads.to_pylist():
        archive[row["db"], row["schema"], row["node"], row["tag"]].append(row)
    for row in world.catalogue.to_pylist():
        tags.add((row["db"], row["schema"], row["node"], row["tag"]))
    groups = defaultdict(list)
    for row in world.logs().to_pylist():
        if row["nodefullpath"] is not None:
            groups[row["db"], row["schema"], row["nodefullpath"], row["tagname"] or "unknown"].append(row)
    for key, rows in groups.items():
        yield key, group_figures(rows, archive[key] if key in tags else None, key[-1])


def group_figures(rows, payloads, tag):
    with_iov = [r for r in rows if r["since"] >= 0 and r["until"] >= r["since"]]
    half = sum((r["since"] == -1) != (r["until"] == -1) for r in rows)
    backwards = sum(0 <= r["until"] < r["since"] for r in rows)
    if not with_iov and not half and not backwards:
        return None
    served = [r for r in with_iov if not (r["disconn"] or r["rejected"] or r["procerror"])]
    bodies = [r for r in served if not r["cached"]]
    figures = {
        "queries": len(served),
        "different_queries": len({query(r) for r in served}),
        "cached": len(served) - len(bodies),
        "uncached": len(bodies),
        "failed": len(with_iov) - len(served),
        "half_given": half,
        "backwards": backwards,
        "bytes_served": sum(r["fsize"] or 0 for r in bodies),
        "dbtime": sum(r["dbtime"] or 0 for r in bodies),
        "off_grid_queries": sum(not on_grid(since, until) for _, since, until in {query(r) for r in served}),
        **repeats(bodies),
    }
    answers = {q: answer(q, payloads or []) for q in {query(r) for r in served}}
    by_iov = {frozenset((r["channel"], r["since"], r["until"]) for r in a) for a in answers.values() if a}
    by_content = {frozenset((r["channel"], r["content"]) for r in a) for a in answers.values() if a}
    found = sum(bool(a) for a in answers.values())
    good = [r for r in served if answers[query(r)]]
    sizes = [r["fsize"] for r in good if not r["cached"] and r["fsize"] is not None]
    group = {q: frozenset(map(id, a)) for q, a in answers.items()}
    after = {
        "different_payloads_iov": len(by_iov),
        "different_payloads_content": len(by_content),
        "empty_queries": sum(not answers[query(r)] for r in served),
        "different_empty_queries": len(answers) - found,
        "mean_payload_size": sum(sizes) / len(sizes) if sizes else None,
        "efficiency_iov": len(by_iov) / found if found else None,
        "efficiency_content": len(by_content) / found if found else None,
    }
    content = {q: frozenset((r["channel"], r["content"]) for r in a) for q, a in answers.items()}
    suffixes = {
        "": lambda r: group[query(r)],
        "_squid": lambda r: (group[query(r)], r["squid"]),
        "_content": lambda r: content[query(r)],
    }
    for suffix, parts in suffixes.items():
        usable = [r for r in good if suffix != "_squid" or r["squid"] is not None]
        after["wasted_bytes" + suffix] = wasted(usable, usable, "fsize", parts)
        after["wasted_dbtime" + suffix] = wasted(usable, [r for r in usable if not r["cached"]], "dbtime", parts)
    known = payloads is not None or (tag != "unknown" and not served)
    return {**figures, **(after if known else dict.fromkeys(after))}


def on_grid(since, until):
    width = until - since
    first_of_run, last_of_run = since % 2**32 == 0, until % 2**32 == 2**32 - 1
    return since == 0 or (width >= 3 and since % (width // 3) == 0) or (first_of_run and last_of_run)


def repeats(bodies):
    """Go through the uncached queries, and count those that a Squid, or a site, had asked for before."""
    dearest, found = {}, dict.fromkeys(("repeated_queries", "repeated_bytes", "repeated_dbtime"), 0)
    for r in bodies:
        asker = (r["squid"], None if r["squid"] is not None else r["computingsite"])
        if asker == (None, None):
            continue
        size, time = r["fsize"] or 0, r["dbtime"] or 0
        if (asker, query(r)) in dearest:
            most_size, most_time = dearest[asker, query(r)]
            found["repeated_queries"] += 1
            found["repeated_bytes"] += min(size, most_size)
            found["repeated_dbtime"] += min(time, most_time)
            size, time = max(size, most_size), max(time, most_time)
        dearest[asker, query(r)] = size, time
    return found if dearest or not bodies else dict.fromkeys(found)


def query(row):
    return row["sqlhash"], row["since"], row["until"]


def answer(asked, payloads):
    """Apply COOL's rule: in each channel, start at the latest row that begins before the query."""
    _, since, until = asked
    found = []
    for _, rows in itertools.groupby(sorted(payloads, key=lambda r: r["channel"]), key=lambda r: r["channel"]):
        rows = list(rows)
        start = max((r["since"] for r in rows if r["since"] <= since), default=since)
        found += [r for r in rows if start <= r["since"] <= until and r["until"] > since]
    return found


def wasted(rows, counted, cost, part):
    different, costs = defaultdict(set), defaultdict(list)
    for r in counted:
        different[part(r)].add(query(r))
    for r in rows:
        if not r["cached"] and r[cost] is not None:
            costs[part(r)].append(r[cost])
    return sum((len(q) - 1) * sum(costs[k]) / len(costs[k]) for k, q in different.items() if costs[k])


@pytest.mark.slow
def test_folders_queried_by_event_waste_the_most():
    truth = sample_truth().set_index("nodefullpath")
    busy = truth[truth["queries"] > 1_000]
    assert len(busy) == 4
    assert (busy["efficiency_iov"] < 0.1).all()
    assert set(busy.nlargest(3, "wasted_bytes").index) == {"/PIXEL/PixCalib", "/SCT/DAQ/Config/Chip", "/MDT/T0BLOB"}


# ---- export files


@pytest.mark.parametrize("name", ["dump.ndjson", "dump.ndjson.gz", "dump.ndjson.zst"])
def test_export_file(tmp_path, name):
    world, seen = World(1_000, malformed=0.1), []
    world.write(tmp_path / name, progress=lambda done, total: seen.append((done, total)))
    assert [json.loads(line) for line in content(tmp_path / name).splitlines()] == documents(world)
    assert seen == [(1_000, 1_000)]
    if name.endswith(".gz"):
        assert gzip.decompress((tmp_path / name).read_bytes())


def test_export_file_of_elasticdump(tmp_path):
    world = World(1_000, malformed=0.1)
    world.write(tmp_path / "dump.ndjson", style="elasticdump")
    lines = [json.loads(line) for line in content(tmp_path / "dump.ndjson").splitlines()]
    assert [line["_source"] for line in lines] == documents(world)
    assert {tuple(line) for line in lines} == {("_index", "_type", "_id", "_score", "_source")}
    assert len({line["_id"] for line in lines}) == 1_000


def test_command_writes_an_export_file(tmp_path):
    output = tmp_path / "dump.ndjson.zst"
    main(["--documents", "700", "--seed", "7", "--output", str(output)])
    assert content(output).count(b"\n") == 700


# ---- loading


class Server:
    """An Elasticsearch client that keeps the documents of bulk requests, by index."""

    def __init__(self, refuse=False):
        self.refuse, self.indices, self.stored, self.refreshed = refuse, self, defaultdict(list), []

    def create(self, *, index, mappings, settings):
        self.stored[index] = []
        assert settings["refresh_interval"] == "-1"
        assert mappings["dynamic"] is False

    def bulk(self, *, operations, filter_path):
        lines = b"".join(operations).splitlines()
        for action, line in zip(lines[::2], lines[1::2], strict=True):
            self.stored[json.loads(action)["index"]["_index"]].append(json.loads(line))
        error = {"type": "document_parsing_exception", "reason": "failed to parse"}
        return {"errors": True, "items": [{"index": {"error": error}}, {}]} if self.refuse else {"errors": False}

    def put_settings(self, *, index, settings):
        assert settings == {"refresh_interval": None}

    def refresh(self, *, index):
        self.refreshed.append(index)


def test_load_sends_every_document(monkeypatch):
    monkeypatch.setattr("frontierlab.sample.world.loading.BODY", 300)
    server, world, seen = Server(), World(2_000, indexable=True), []
    assert sample.load(server, world, "logs", progress=lambda done, total: seen.append(done)) == 2_000
    assert sorted(map(json.dumps, server.stored["logs"])) == sorted(map(json.dumps, documents(world)))
    assert server.refreshed == ["logs"]
    assert seen[-1] == 2_000


def test_load_spreads_over_months():
    server, world = Server(), World(500, since="2026-10-30", until="2026-11-03", malformed=0)
    sample.load(server, world, "frontier-new-{month}")
    assert set(server.stored) == {"frontier-new-2026-10", "frontier-new-2026-11"}
    for index, found in server.stored.items():
        assert all(document["@timestamp"].startswith(index[-7:]) for document in found)


def test_load_raises_with_the_reason():
    with pytest.raises(ElasticsearchError, match=r"refused 1 of 100 documents \(document_parsing_exception: failed"):
        sample.load(Server(refuse=True), World(100))


def test_mappings():
    standard, text, strings = (mapping(kind)["properties"] for kind in ("standard", "text", "strings"))
    assert set(standard) == set(DOCUMENT_FIELDS)
    assert standard["sqlsin"] == {"type": "long", "ignore_malformed": True}
    assert text["sqldb"]["fields"]["keyword"]["type"] == "keyword"
    assert strings["sqlsin"] == {"type": "keyword"}
    assert {m["cached"]["type"] for m in (standard, text, strings)} == {"boolean"}
    with pytest.raises(InvalidRequestError, match="standard, text, strings"):
        mapping("odd")
