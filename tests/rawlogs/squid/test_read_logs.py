"""Access logs of the sample world read back are what was written; what cannot be read is kept; nobody is named."""

import errno
import gzip
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frontierlab import Settings, cancellable
from frontierlab.catalogue import Catalogue
from frontierlab.errors import Cancelled, CatalogueError, DatasetError, InvalidRequestError
from frontierlab.rawlogs import squid
from frontierlab.rawlogs.squid import (
    asked,
    delete_squid_logs,
    list_squid_logs,
    open_squid_logs,
    read_logs,
    read_squid_logs,
    write_squid_logs,
)
from frontierlab.rawlogs.squid.fields import FORMATS
from frontierlab.sample.world.world import World
from frontierlab.storage.locks import writing
from tests.rawlogs.squid.conftest import ZONE, Written
from tests.rawlogs.squid.test_lines import CVMFS, ID, NATIVE, THREE, TWO, URL

TOLD = [
    *("squid", "time", "end_time", "taskid", "pandaid", "db", "schema", "node_id", "since", "until", "result"),
    *("result_class", "sent_on", "status", "wire_bytes", "duration_ms"),
]


def as_told(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that the truth has too, with plain types."""
    frame = frame[TOLD].reset_index(drop=True)
    names = [name for name in TOLD if not str(frame[name].dtype).startswith(("Int", "datetime", "bool"))]
    frame = frame.astype(dict.fromkeys(names, "string")).astype({"sent_on": "boolean"})
    whole = ["taskid", "pandaid", "node_id", "since", "until", "status", "wire_bytes", "duration_ms"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def write(folder: Path, name: str, *lines: str) -> Path:
    """Write a log file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.slow
def test_the_sample_world_read_back_is_what_was_written(format_: Any, tmp_path: Path, settings: Settings) -> None:
    world = World(150, seed=3)
    truth = write_squid_logs(world, tmp_path / "logs", format=format_, compressed=format_ == "two", faults=0.02)
    logs = read_squid_logs(tmp_path / "logs", settings, name=f"{FORMATS.index(format_)}", sites=truth.sites)
    read = logs.to_pandas()
    pd.testing.assert_frame_equal(as_told(read), as_told(truth.answers), check_dtype=False)
    lines = logs.manifest.lines
    assert lines["lines"] == truth.lines == lines["used"] + sum(lines["set_aside"].values())
    assert sum(lines["set_aside"].values()) == truth.faults > 0
    assert logs.manifest.others == dict(truth.others)
    assert lines["used"] == len(truth.answers) + truth.others.total()
    assert read["computingsite"].astype(object).where(read["computingsite"].notna(), None).tolist() == [
        truth.sites.get(squid) for squid in truth.answers["squid"]
    ]


@pytest.mark.slow
def test_folders_and_tags_are_named_by_the_catalogue(squids: Written) -> None:
    world = World(1)
    names = {
        (row["db"], row["schema"], row["node_id"], row["tag_id"]): (row["node"], row["tag"])
        for row in world.catalogue.to_pylist()
    }
    truth, read = squids.truth.answers, squids.logs.to_pandas()
    seen = 0
    for wrote, found in zip(truth.to_dict("records"), read.to_dict("records"), strict=True):
        if pd.isna(wrote["node_id"]) or pd.isna(wrote["tag_id"]):
            continue
        key = (wrote["db"], wrote["schema"], wrote["node_id"], wrote["tag_id"])
        if key in names:
            assert (found["nodefullpath"], found["tagname"]) == names[key]
            seen += 1
    assert seen > 1_000


def test_nobody_is_named_in_what_is_stored(squids: Written) -> None:
    stored = b"".join(path.read_bytes() for path in squids.logs.path.rglob("*") if path.is_file())
    text = squids.logs.to_pandas().to_csv().encode() + stored
    for personal in (b"atlprd", b"Ada Example", b"DC=example", b"/DC="):
        assert personal not in text
    assert re.search(rb"\b10\.[012]\.0\.\d", text) is None
    clients = squids.logs.to_pandas(["client"])["client"]
    assert clients.str.fullmatch("[0-9a-f]{20}").all()
    assert clients.nunique() > 100


@pytest.mark.parametrize(
    "line",
    [
        'wn12.site.org - jdoe [26/Nov/2026:99:00:00 +0000] "GET /x HTTP/1.0" 200 12 TCP_HIT:HIER_NONE 1 "-" "-"',
        "wn12 kid2 jdoe [26/Nov",
        "1764158400.123   12 wn12 TCP_MISS/200 many GET http://f/x jdoe HIER_DIRECT/f text/xml",
        "sent to wn12.site.org again",
    ],
)
def test_clients_and_users_of_lines_that_cannot_be_read_are_replaced(
    line: str, tmp_path: Path, settings: Settings
) -> None:
    write(tmp_path / "logs", "access.log", line)
    logs = read_squid_logs(tmp_path / "logs", settings, name="aside", complete=False)
    (text,) = logs.malformed()["text"]
    assert not re.search("wn12|site|jdoe", text)
    kept = re.findall(r"kid2|\[26/Nov\S*|TCP_\S+|sent to|again", line)
    assert [one for one in kept if one not in text] == []


def test_equal_clients_have_equal_hashes_with_the_users_key(squids: Written) -> None:
    name, path = next(iter(squids.truth.paths.items()))
    again = read_squid_logs(path, squids.settings, name="again").to_pandas(["client"])
    before = squids.logs.to_pandas(["squid", "client"])
    assert again["client"].tolist() == before["client"][before["squid"] == name].tolist()
    delete_squid_logs("again", squids.settings)
    with pytest.raises(DatasetError, match="There are no Squid logs 'again'"):
        delete_squid_logs("again", squids.settings)


def test_personal_data_are_kept_if_asked(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log", THREE)
    logs = read_squid_logs(tmp_path / "logs", settings, name="kept", keep_personal_data=True)
    assert logs.to_pandas()["client"].tolist() == ["10.0.0.1"]
    assert "atlprd" not in logs.to_pandas().to_csv()


def test_formats_can_change_within_a_file(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log", TWO, "garbage of 10.1.2.3", THREE, NATIVE, CVMFS, "")
    logs = read_squid_logs(tmp_path / "logs", settings, name="mixed", squids="squid1")
    rows = logs.to_pandas()
    assert rows["line"].tolist() == [1, 3, 4, 5]
    assert rows["taskid"].isna().tolist() == [False, False, True, False]
    assert rows["squid"].unique().tolist() == ["squid1"]
    assert rows["modified_since"].notna().tolist() == [True, False, False, False]
    assert rows["request"].tolist() == ["unreadable"] * 4
    assert logs.manifest.without_task == 1
    aside = logs.malformed()
    assert aside["line"].tolist() == [2, 6]
    assert aside["reason"].tolist() == ["no line of a known format", "an empty line"]
    assert "10.1.2.3" not in aside["text"][0]
    assert repr(logs).startswith("2 of 6 lines")


def test_lines_that_were_left_out_leave_nothing_in_what_is_counted(tmp_path: Path, settings: Settings) -> None:
    other = "http://f:8000/atlr/Frontier?type=frontier_request:1&p1=other"
    wrong = [
        THREE.replace("TCP_MISS:HIER_DIRECT", "TCP_MISS"),
        THREE.replace(" 2048 TCP_MISS", " x TCP_ODD").replace(URL, other),
        THREE.replace("[01/Oct", "[01\xe9Oct"),
    ]
    cvmfs = THREE.replace(URL, "http://s/cvmfs/x").replace(ID, "-").replace("TCP_MISS", "TCP_HIT")
    write(tmp_path / "logs", "access.log", *wrong, THREE, cvmfs)
    found = read_squid_logs(tmp_path / "logs", settings, name="odd").manifest
    assert found.results == {"TCP_MISS": 1}
    assert sum(found.unreadable.values()) == len(found.unreadable) == 1
    assert found.others == {"cvmfs": 1}
    assert sum(found.lines["set_aside"].values()) == 3


def test_bytes_that_are_no_text_spoil_one_line_alone(tmp_path: Path, settings: Settings) -> None:
    path = write(tmp_path / "logs", "access.log", THREE, THREE)
    path.write_bytes(
        path.read_bytes() + b"\xff\xfe\xc3 rubbish\n" + THREE.replace("Ada", "\xe9").encode("latin-1") + b"\n"
    )
    logs = read_squid_logs(path, settings, name="bytes")
    assert logs.to_pandas()["line"].tolist() == [1, 2, 4]
    assert logs.malformed()["line"].tolist() == [3]


def test_squids_and_sites_are_named_by_paths(tmp_path: Path, settings: Settings) -> None:
    logs_of = tmp_path / "logs"
    for folder in ("a", "b"):
        write(logs_of / folder, "access.log", THREE)
        (logs_of / folder / "access.log.1.gz").write_bytes(gzip.compress((TWO + "\n").encode()))
    logs = read_squid_logs(logs_of, settings, name="own", sites={"a": "CERN"})
    rows = logs.to_pandas()
    assert rows["squid"].tolist() == ["a", "a", "b", "b"]
    assert [Path(file).name for file in rows["file"]] == 2 * ["access.log.1.gz", "access.log"]  # the older first
    assert rows["computingsite"].dropna().tolist() == ["CERN", "CERN"]
    logs = read_squid_logs(logs_of, settings, name="given", squids={"*/a/*": "squid-a", "*": "others"})
    assert logs.squids == ["others", "squid-a"]
    with pytest.raises(InvalidRequestError, match="sites names 'c', but the Squids are a, b"):
        read_squid_logs(logs_of, settings, name="wrong", sites={"c": "CERN"})


def test_a_url_without_its_parameters_is_counted(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log", THREE.replace(URL, "http://f:8000/atlr/Frontier"))
    logs = read_squid_logs(tmp_path / "logs", settings, name="cut")
    assert logs.to_pandas()["request"].tolist() == ["unreadable"]
    (why,) = logs.manifest.unreadable
    assert "cut at its question mark" in why


@pytest.mark.slow
def test_blocks_do_not_change_what_is_read(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = write_squid_logs(World(60), tmp_path / "logs", faults=0.1)
    whole = read_squid_logs(tmp_path / "logs", settings, name="whole", complete=False)
    monkeypatch.setattr(read_logs, "_BLOCK", 5_000)
    small = read_squid_logs(tmp_path / "logs", settings, name="small", complete=False)
    columns = [name for name in whole.schema.names if name != "client"]  # hashed with a random key
    pd.testing.assert_frame_equal(small.to_pandas(columns), whole.to_pandas(columns))
    assert small.manifest.lines == whole.manifest.lines
    assert whole.manifest.lines["lines"] == truth.lines
    places = ["file", "line", "reason"]
    pd.testing.assert_frame_equal(small.malformed()[places], whole.malformed()[places])


def test_urls_that_were_forgotten_are_decoded_again(
    squids: Written, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, path = max(squids.truth.paths.items(), key=lambda one: one[1].stat().st_size)
    monkeypatch.setattr(asked, "_REMEMBERED", 20)
    monkeypatch.setattr(read_logs, "_BLOCK", 5_000)
    found = read_squid_logs(path, settings, name="few", timezone=ZONE).to_pandas()
    rows = squids.logs.to_pandas()
    rows = rows[rows["squid"] == name].reset_index(drop=True)
    columns = ["time", "request", "db", "nodefullpath", "tagname", "since", "until", "payload", "sqlhash", "cache_key"]
    assert found["cache_key"].nunique() > 20
    pd.testing.assert_frame_equal(found[columns].astype("string"), rows[columns].astype("string"))


def test_stored_logs_can_be_listed_opened_and_deleted(squids: Written) -> None:
    listed = list_squid_logs(squids.settings).set_index("name")
    assert listed.loc["day", "rows"] == len(squids.truth.answers)
    assert listed.loc["day", "since"] == squids.truth.answers["time"].min()
    assert listed.loc["day", "until"] == squids.truth.answers["time"].max()
    assert open_squid_logs("day", squids.settings).manifest == squids.logs.manifest
    with pytest.raises(DatasetError, match=r"There are no Squid logs 'night'.*Valid: day"):
        open_squid_logs("night", squids.settings)
    with pytest.raises(InvalidRequestError, match="is not the name of a dataset"):
        open_squid_logs("../day", squids.settings)
    with pytest.raises(InvalidRequestError, match="have no column hash"):
        squids.logs.to_arrow(["hash"])


def test_names_are_taken_once(squids: Written) -> None:
    with pytest.raises(DatasetError, match="exist already"):
        read_squid_logs(squids.folder / "logs", squids.settings, name="day")


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log", THREE)
    with writing(settings.data_dir / "squid_logs" / "one"), pytest.raises(DatasetError, match="in use"):
        read_squid_logs(tmp_path / "logs", settings, name="one")
    assert read_squid_logs(tmp_path / "logs", settings, name="one").manifest.rows == 1


def left_in(settings: Settings) -> list[str]:
    """What is left of logs that were not stored."""
    return sorted(path.name for path in (settings.data_dir / "squid_logs").glob("*") if path.suffix != ".lock")


def test_a_full_disk_leaves_nothing(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "logs", "access.log", THREE)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(DatasetError, match="is full"):
            read_squid_logs(tmp_path / "logs", settings, name="full")
    assert left_in(settings) == []
    assert read_squid_logs(tmp_path / "logs", settings, name="full").manifest.rows == 1


def test_a_cancelled_reading_leaves_nothing(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log", THREE)
    running = cancellable()
    threading.Thread(target=running.cancel).run()
    with running, pytest.raises(Cancelled):
        read_squid_logs(tmp_path / "logs", settings, name="stopped")
    assert left_in(settings) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log", THREE)
    folder = settings.data_dir / "squid_logs"
    (folder / ".one.writing-abc" / "parts").mkdir(parents=True)
    (folder / "one").mkdir()
    assert read_squid_logs(tmp_path / "logs", settings, name="one").manifest.rows == 1
    assert not list(folder.glob(".one.writing-*"))


def test_missing_files_are_named(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log", THREE)
    logs = read_squid_logs(tmp_path / "logs", settings, name="one")
    for file in logs.files():
        file.unlink()
    with pytest.raises(DatasetError, match="0 of 1 rows"):
        logs.to_arrow()
    (logs.path / "manifest.json").write_text(json.dumps({"format": 7}))
    assert "is damaged" in list_squid_logs(settings)["problem"].iloc[0]
    with pytest.raises(DatasetError, match="is damaged"):
        open_squid_logs("one", settings)


@pytest.mark.slow
def test_folders_and_tags_that_the_catalogue_lacks_are_counted_and_said(
    squids: Written, tmp_path: Path, settings: Settings
) -> None:
    rows = squids.logs.to_pandas(["db", "schema", "node_id", "nodefullpath", "tag_id", "tagname"])
    whole = Catalogue.read(settings.catalogue_path)
    folder = rows.dropna().groupby(["db", "schema", "node_id"], observed=True).size().idxmax()
    others = rows.dropna(subset=["tag_id"])
    others = others[(others["tag_id"] > 0) & (others["node_id"] != folder[2])]
    tag = others.groupby(["db", "schema", "node_id", "tag_id"], observed=True).size().idxmax()
    table = whole.table.to_pandas()
    gone = [(table[["db", "schema", "node_id"]] == folder).all(axis=1)]
    gone += [(table[["db", "schema", "node_id", "tag_id"]] == tag).all(axis=1)]
    assert all(one.any() for one in gone)
    path = tmp_path / "catalogue.parquet"
    Catalogue(pa.Table.from_pandas(table[~(gone[0] | gone[1])], preserve_index=False)).write(path)
    less = settings.model_copy(update={"coolr_file": path})
    logs = read_squid_logs(squids.folder / "logs", less, name="less", timezone=ZONE)
    found = logs.to_pandas([*rows.columns]).astype("string").fillna("none")
    keys = [*found[["db", "schema", "node_id", "tag_id"]].itertuples(index=False, name=None)]
    of_folder = [
        key[:3] == tuple(map(str, folder)) and name == "none"
        for key, name in zip(keys, found["nodefullpath"], strict=True)
    ]
    of_tag = [key == tuple(map(str, tag)) and name == "none" for key, name in zip(keys, found["tagname"], strict=True)]
    assert sum(of_folder) > 100
    assert sum(of_tag) > 10
    unknown = logs.manifest.unknown
    named = f"{folder[0]} {folder[1]} folder {folder[2]}"
    assert unknown[named] == sum(of_folder)
    assert unknown[f"{tag[0]} {tag[1]} folder {tag[2]} tag {tag[3]}"] == sum(of_tag)
    assert any(f"{named} ({sum(of_folder):,})" in note for note in logs.notes)
    assert named not in squids.logs.manifest.unknown


def test_logs_that_were_stored_with_a_further_column_are_opened(squids: Written, tmp_path: Path) -> None:
    settings = squids.settings.model_copy(update={"data_dir": tmp_path})
    copy = tmp_path / "squid_logs" / "day"
    shutil.copytree(squids.logs.path, copy)
    for file in (copy / "parts").glob("*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.append_column("query_shape", table["sqlhash"]), file)
    logs = open_squid_logs("day", settings)
    assert logs.to_arrow().equals(squids.logs.to_arrow())
    pd.testing.assert_frame_equal(squid.hit_ratio_per_squid(logs), squid.hit_ratio_per_squid(squids.logs))


def test_a_catalogue_is_needed_for_names_alone(tmp_path: Path, data_dir: Path) -> None:
    write(tmp_path / "logs", "access.log", THREE)
    with pytest.raises(CatalogueError):
        read_squid_logs(tmp_path / "logs", Settings(data_dir=data_dir), name="one")
    assert (
        read_squid_logs(tmp_path / "logs", Settings(data_dir=data_dir), name="one", complete=False).manifest.rows == 1
    )


def test_progress_counts_lines(squids: Written, data_dir: Path) -> None:
    seen: list[int] = []
    settings = squids.settings.model_copy(update={"data_dir": data_dir})
    paths = list(squids.truth.paths.values())[:2]
    logs = read_squid_logs(paths, settings, name="one", progress=lambda record: seen.append(record.done))
    assert len(seen) == 2
    assert seen == sorted(seen)
    assert seen[-1] == logs.manifest.lines["lines"]


def test_an_empty_log_has_no_rows(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "logs", "access.log")
    logs = read_squid_logs(tmp_path / "logs", settings, name="empty")
    assert logs.to_pandas().empty
    assert logs.manifest.lines["lines"] == 0
    assert squid.hit_ratio_over_time(logs).empty
    assert squid.hit_ratio_per_task(logs).attrs["without_task"] == {"requests": 0, "percent": None}
    assert squid.fetch_ratio(logs).empty
    assert squid.what_caches_did(logs).empty


def test_times_that_no_clock_shows_spoil_no_question(tmp_path: Path, settings: Settings) -> None:
    far = (
        THREE.replace("2026", "9998"),
        THREE.replace("01/Oct/2026", "01/Jan/1970"),
        NATIVE.replace("1790856000", "9" * 10),
    )
    write(tmp_path / "logs", "access.log", *far, THREE.replace("DIRECT 30 ", "DIRECT 9999999999 "))
    logs = read_squid_logs(tmp_path / "logs", settings, name="far", complete=False)
    assert squid.hit_ratio_per_squid(logs)["requests"].sum() == 4
    assert squid.fetch_ratio(logs)["requests"].sum() == 4


def test_ids_of_other_agents_are_told_without_names(tmp_path: Path, settings: Settings) -> None:
    ids = ["varnish", "SLS_probe 2.9", f"CMSSW_12 2.9.1 12 {ID.split()[3]} /DC=ch/CN=Ada"]
    write(tmp_path / "logs", "access.log", *(THREE.replace(ID, one) for one in ids))
    rows = read_squid_logs(tmp_path / "logs", settings, name="agents").to_pandas()
    assert rows["agent"].tolist() == ["varnish", "SLS_probe", "CMSSW_12"]
    assert rows["taskid"].isna().all()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Readers end their threads."""
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("frontierlab-squid")]
