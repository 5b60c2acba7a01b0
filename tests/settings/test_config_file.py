"""Writing a configuration file: for its owner alone, whole or not at all, and read back the same."""

import stat
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from frontierlab import Settings, create_config_file
from frontierlab.errors import ConfigurationError
from frontierlab.settings import as_variables
from tests.support.examples import examples


def test_written_file_is_for_its_owner_alone_and_reads_back(tmp_path):
    fields = {"es_address": "h", "es_index": ["a", "b-*"], "es_user": "u", "es_pswd": SecretStr("hunter-two")}
    path = create_config_file(tmp_path / "c.txt", **fields, es_verify_certs=False, coolr_host=None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Settings(path) == Settings(**fields, es_verify_certs=False)


def test_an_existing_file_is_kept_without_overwrite(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("es_port = 1\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="exists already; overwrite=True replaces it"):
        create_config_file(path, es_port=2)
    assert Settings(path).es_port == 1
    create_config_file(path, overwrite=True, es_port=2)
    assert Settings(path).es_port == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "fields",
    [
        {"es_port": "x"},
        {"es_prt": 1},
        {"es_user": "a\nb", "es_pswd": "x"},
        {"es_user": '"a"', "es_pswd": "x"},
        {"es_index": ["a b"]},
        {"es_user": "me"},
        {"es_pswd": "x"},
        {"es_api_key": "x", "es_user": "me", "es_pswd": "x"},
        {"es_ca_certs": "/no/such/file.pem"},
        {"spark_options": {"spark.x": "a\nb"}},
    ],
    ids=str,
)
def test_invalid_settings_are_not_written(tmp_path, fields):
    name = next(name for name in fields if len(fields) == 1 or "es_user" in fields)
    with pytest.raises(ConfigurationError, match=name):
        create_config_file(tmp_path / "c.txt", **fields)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="There is no folder"):
        create_config_file(tmp_path / "none" / "c.txt", es_port=1)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_starts_at_the_folder_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "ca.pem").touch()
    fields = {"data_dir": "my data", "coolr_file": "~/c.parquet", "es_ca_certs": "ca.pem", "browser": Path("b/chrome")}
    settings = Settings(create_config_file("conf/c.txt", notebooks="n=x/n.ipynb", **fields))
    assert settings.data_dir == folder / "my data"
    assert settings.coolr_file == Path.home() / "c.parquet"
    assert settings.es_ca_certs == folder / "ca.pem"
    assert settings.browser == folder / "b/chrome"
    assert settings.notebooks == {"n": folder / "x/n.ipynb"}


QUOTES = "'\"`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
WORD = st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters=f"{QUOTES},#"), min_size=1
)
LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1)
ODD = st.text(st.sampled_from([*"'\"# =\\%a,\t\u3000\ufeff\x85"]), min_size=1)
SECRET = st.one_of(LINE, ODD)
VALUE = SECRET.filter(lambda text: not {text[0], text[-1]} & {*QUOTES})
OPTION = st.one_of(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")), ODD)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "data_dir": st.sampled_from([Path("/data/with a space/ü"), Path("/a #b"), Path("~/it's")]),
        "coolr_archive": st.just(Path('/a "quoted" folder')),
        "spark_master": VALUE,
        "es_address": st.sampled_from(["h", "http://h:1/p", "[::1]"]),
        "es_port": st.integers(1, 65535),
        "es_api_key": SECRET,
        "broker_url": st.sampled_from(["redis://u:p%23@h:1/0", "rediss://h?ssl_cert_reqs=none"]),
        "result_backend": SECRET.filter(lambda text: not text.lower().startswith("redis")),
        "es_verify_certs": st.booleans(),
        "es_index": st.lists(WORD, min_size=1),
        "es_caching_efficiency_index": WORD,
        "es_retry_seconds": st.floats(0, allow_nan=False),
        "limit_queries": st.integers(1),
        "db_instances": st.lists(st.text("ABC123", min_size=1), min_size=1),
        "periodic": st.lists(st.sampled_from(["catalogue", "report"])),
        "spark_options": st.dictionaries(WORD.filter(lambda t: "=" not in t), OPTION, min_size=1),
        "notebooks": st.dictionaries(
            st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1),
            st.sampled_from([Path("/a b/c.ipynb"), Path("/it's #1.ipynb"), Path("~/x=y.ipynb")]),
            min_size=1,
        ),
    },
)


def other_process(variables, monkeypatch):
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return Settings()


@given(FIELDS)
def test_written_settings_are_read_back(tmp_path_factory, fields):
    path = create_config_file(tmp_path_factory.getbasetemp() / "round.txt", overwrite=True, **fields)
    settings = Settings(**fields)
    assert Settings(path).model_dump() == settings.model_dump()
    with pytest.MonkeyPatch.context() as patch:
        assert other_process(as_variables(settings), patch).model_dump() == settings.model_dump()


@settings(max_examples=examples(400))
@given(SECRET)
@example('"hunter two"')
@example("'hunter' # two'")
@example("\" #' #")
@example("#")
@example(" \t")
@example("")
@example("a\nb")
@example("a\0b")
def test_every_password_is_written_and_read_back_or_refused(tmp_path_factory, password):
    path = tmp_path_factory.getbasetemp() / "password.txt"
    fields = {"es_user": "u", "es_pswd": password}
    if not password or {*password} & {*"\n\0"}:
        with pytest.raises(ConfigurationError, match="es_pswd"):
            create_config_file(path, overwrite=True, **fields)
        return
    written = Settings(create_config_file(path, overwrite=True, **fields))
    assert written.es_pswd.get_secret_value() == password
    with pytest.MonkeyPatch.context() as patch:
        assert other_process(as_variables(written), patch).es_pswd.get_secret_value() == password


def test_a_null_character_in_a_variable_is_refused():
    given = Settings(es_user="u", es_pswd="a\nb")
    assert as_variables(given)["FRONTIERLAB_ES_PSWD"] == "a\nb"
    with pytest.raises(ConfigurationError, match="es_pswd cannot be given to another process"):
        as_variables(Settings(es_user="u", es_pswd="a\0b"))
