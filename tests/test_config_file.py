"""Writing a configuration file: for its owner alone, whole or not at all, and read back the same."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from frontierlab import Settings, create_config_file
from frontierlab.errors import ConfigurationError


def test_written_file_is_for_its_owner_alone_and_reads_back(tmp_path):
    fields = {"es_address": "h", "es_index": ["a", "b-*"], "es_user": "u", "es_pswd": SecretStr("hunter-two")}
    path = create_config_file(tmp_path / "c.txt", **fields, es_verify_certs=False, coolr_host=None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Settings(path) == Settings(**fields, es_verify_certs=False)


def test_file_that_is_there_is_kept_unless_told(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("es_port = 1\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="is there already; overwrite=True replaces it"):
        create_config_file(path, es_port=2)
    assert Settings(path).es_port == 1
    create_config_file(path, overwrite=True, es_port=2)
    assert Settings(path).es_port == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_written_where_a_field_is_refused(tmp_path):
    for fields in ({"es_port": "x"}, {"es_prt": 1}, {"es_user": "a\nb"}, {"es_user": " a"}, {"es_index": ["a b"]}):
        with pytest.raises(ConfigurationError, match=next(iter(fields))):
            create_config_file(tmp_path / "c.txt", **fields)
    with pytest.raises(ConfigurationError, match="There is no folder"):
        create_config_file(tmp_path / "none" / "c.txt", es_port=1)
    assert list(tmp_path.iterdir()) == []


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters=","), min_size=1)
LINE = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: t == t.strip() and not {*"\r\n"} & {*t})
OPTION = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "data_dir": st.just(Path("/data/with a space/ü")),
        "spark_master": LINE,
        "es_address": st.sampled_from(["h", "http://h:1/p", "[::1]"]),
        "es_port": st.integers(1, 65535),
        "es_api_key": LINE,
        "es_verify_certs": st.booleans(),
        "es_index": st.lists(WORD, min_size=1),
        "es_caching_efficiency_index": LINE,
        "es_retry_seconds": st.floats(0, allow_nan=False),
        "limit_queries": st.integers(1),
        "db_instances": st.lists(WORD, min_size=1),
        "spark_options": st.dictionaries(WORD.filter(lambda t: "=" not in t), OPTION, min_size=1),
    },
)


@given(FIELDS)
def test_whatever_is_written_is_read_back(tmp_path_factory, fields):
    path = create_config_file(tmp_path_factory.getbasetemp() / "round.txt", overwrite=True, **fields)
    assert Settings(path) == Settings(**fields)
