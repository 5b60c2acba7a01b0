"""Settings: where they come from, what is refused and how, and that secrets stay secret."""

import traceback
from pathlib import Path

import pytest

from frontierlab import Settings, create_config_file
from frontierlab.errors import ConfigurationError

SECRET = "hunter-two"
TODAY = """\
coolr_file = /data/coolr.parquet
ES_address = es.example.org
ES_port = 9201
ES_USER = reader
ES_PSWD = hunter-two

ES_INDEX = frontier-new-*, frontier_sql
ES_CachingEfficiency_Index = caching
COOLR_host = coolr.example.org:8080/
# the largest number of queries
limit_queries = 1000
db_instances = CONDBR2 OFLP200  MONP200
"""


@pytest.fixture
def today(tmp_path):
    return written(tmp_path, TODAY)


def written(folder, text, encoding="utf-8"):
    path = folder / "configuration.txt"
    path.write_text(text, encoding=encoding)
    return path


def refusal(*args, **fields):
    with pytest.raises(ConfigurationError, match=r".") as caught:
        Settings(*args, **fields)
    return str(caught.value)


# ---- files of today


def test_todays_file_is_read(today):
    settings = Settings(today)
    assert settings.coolr_file == Path("/data/coolr.parquet")
    assert settings.es_url == "https://es.example.org:9201"
    assert (settings.es_user, settings.es_pswd.get_secret_value()) == ("reader", SECRET)
    assert settings.es_index == ("frontier-new-*", "frontier_sql")
    assert settings.es_caching_efficiency_index == "caching"
    assert settings.coolr_host == "coolr.example.org:8080/"
    assert settings.limit_queries == 1000
    assert settings.db_instances == ("CONDBR2", "OFLP200", "MONP200")


def test_file_with_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = written(tmp_path, TODAY.replace("\n", "\r\n"), "utf-8-sig")
    assert Settings(path) == Settings(written(tmp_path, TODAY))


def test_an_empty_value_in_a_file_is_ignored(tmp_path):
    path = written(tmp_path, "ES_USER =\nES_PSWD = \nlimit_queries =\n")
    assert Settings(path) == Settings()


@pytest.mark.parametrize("password", ["a=b#c", "#ab", "a%20b?", "it's", 'half"', "ü b\u00a0c"])
def test_a_password_may_contain_special_characters(tmp_path, password):
    path = written(tmp_path, f"es_user = u\nes_pswd ={password}\n")
    assert Settings(path).es_pswd.get_secret_value() == password


# ---- comments and quotes


def test_comment_after_a_value(tmp_path):
    text = """\
    db_instances = CONDBR2 OFLP200   # COMP200 MONP200 not needed
    es_index = frontier-new-*,frontier_sql\t# two
    data_dir = /data/a#b # here
    limit_queries = 1000 #
    es_address = es.example.org\u3000# a full-width space
    coolr_host = # none yet
    es_user = "me # too" # in quotes it is no comment
    es_pswd = "a #b"  # nor here
    notebooks = a=/x/a#b.ipynb '/y/c #d.ipynb' # "of the night"
    """
    settings = Settings(written(tmp_path, text))
    assert settings.db_instances == ("CONDBR2", "OFLP200")
    assert settings.es_index == ("frontier-new-*", "frontier_sql")
    assert settings.data_dir == Path("/data/a#b")
    assert settings.limit_queries == 1000
    assert settings.es_url == "https://es.example.org:9200"
    assert settings.coolr_host is None
    assert settings.es_user == "me # too"
    assert settings.es_pswd.get_secret_value() == "a #b"
    assert settings.notebooks == {"a": Path("/x/a#b.ipynb"), "c #d": Path("/y/c #d.ipynb")}


@pytest.mark.parametrize(
    "line",
    [
        f"es_pswd = {SECRET} # of the reader",
        f"ES_API_KEY = {SECRET} #",
        f"broker_url = redis://:{SECRET}@h #x",
        f"result_backend = redis://:{SECRET}@h #x",
        f"spark_options = spark.secret={SECRET} # mine",
        f'es_pswd = "{SECRET}',
        f"es_pswd = '{SECRET}'s'",
        f'es_pswd = "{SECRET}"s # it is',
        f'spark_options = spark.secret="{SECRET}',
        f'spark_options = "spark.secret={SECRET} spark.b=2"',
    ],
)
def test_unclear_line_of_a_secret_is_refused(tmp_path, line):
    path = written(tmp_path, f"es_port = 1\n{line}\n")
    said = refusal(path)
    assert said.startswith(f"{path}, line 2: ")
    assert "quot" in said.lower()
    assert SECRET not in said


def test_quotes_around_a_value_or_a_word_are_removed(tmp_path):
    text = """\
    ES_address = "es.example.org"
    ES_INDEX = "frontier-new-*"
    db_instances = "CONDBR2" 'OFLP200', MONP200
    limit_queries = '1000'
    es_pswd = '"hunter''s"'
    es_user = "me"
    data_dir = "/data/with a space"
    periodic = "report caching"
    """
    settings = Settings(written(tmp_path, text))
    assert settings.es_url == "https://es.example.org:9200"
    assert settings.es_index == ("frontier-new-*",)
    assert settings.db_instances == ("CONDBR2", "OFLP200", "MONP200")
    assert settings.limit_queries == 1000
    assert settings.es_pswd.get_secret_value() == '"hunter\'s"'
    assert settings.data_dir == Path("/data/with a space")
    assert settings.periodic == ("report", "caching")


@pytest.mark.parametrize(
    "line",
    [
        'ES_address = "es.example.org',
        'ES_address = es.example.org"',
        'ES_INDEX = "a-*" b"',
        "db_instances = 'CONDBR2 OFLP200",
        'db_instances = CONDBR2 "OFLP200"x',
        "data_dir = '/data' or '/other'",
        "coolr_host = \"'h'\"",
        "notebooks = '/a.ipynb /b.ipynb'",
        "es_caching_efficiency_index = a b",
        "db_instances = CONDBR2_RO",
        "es_index = a b#c",
        "es_address = \u201ces.example.org\u201d",
        "es_index = \u201cfrontier-new-*\u201d",
        "data_dir = \u00ab/data\u00bb",
        "db_instances = \u2018CONDBR2\u2019",
    ],
)
def test_an_invalid_value_is_named_with_its_line(tmp_path, line):
    path = written(tmp_path, f"# mine\n{line}\n")
    assert f"{path}, line 2: " in refusal(path)


@pytest.mark.parametrize("value", ['"a"', "'a'", 'a"'])
@pytest.mark.parametrize("name", ["es_address", "es_index", "db_instances", "data_dir", "es_user", "spark_master"])
def test_variables_with_quotes_are_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"FRONTIERLAB_{name.upper()}", value)
    assert f"the variable FRONTIERLAB_{name.upper()}: {name}" in refusal()


@pytest.mark.parametrize("name", ["data_dir", "coolr_file", "es_user", "es_pswd", "spark_master", "coolr_host"])
def test_an_empty_argument_is_refused(name):
    assert f"the argument {name}: " in refusal(**{name: ""})


def test_a_missing_home_folder_is_refused(tmp_path):
    path = written(tmp_path, "data_dir = ~no-such-user/data\n")
    assert "line 1: data_dir" in refusal(path)
    assert "there is no home folder of that user" in refusal(path)


def test_notebook_whose_path_has_an_equals_sign_needs_a_name():
    assert "needs a name before it" in refusal(notebooks="/data/run=1/n.ipynb")
    assert Settings(notebooks="n=/data/run=1/n.ipynb").notebooks == {"n": Path("/data/run=1/n.ipynb")}


# ---- the broker


@pytest.mark.parametrize("sign", ["#", "/", "?", "%", "[", "%4", "/0?x=1#"])
@pytest.mark.parametrize("form", ["redis://:pa{}ss@h:6379/0", "rediss://me:12{}xy@h/0", "redis://me:12{}@h:1/0"])
@pytest.mark.parametrize("name", ["broker_url", "result_backend"])
def test_an_unescaped_broker_password_is_explained(name, form, sign):
    message = refusal(**{name: form.format(sign)})
    assert f"the argument {name}: {name} is not valid" in message
    assert "in a password # / @ % ? are written %23 %2F %40 %25 %3F, which may be the cause" in message
    assert "ss@" not in message
    assert "xy@" not in message


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6379/0",
        "redis://:p%23a%2Fs%40s%25@h:6379/0",
        "redis://me:pass@[2001:db8::1]:6379/15",
        "REDISS://h:1/0?ssl_cert_reqs=required&ssl_ca_certs=/etc/ca.pem",
        "redis://:a@b@h/0",
    ],
)
def test_valid_broker_urls(url):
    assert Settings(broker_url=url).broker_url.get_secret_value() == url


def test_results_may_be_kept_elsewhere():
    assert Settings(result_backend="db+sqlite:///r.sqlite").result_backend is not None


# ---- Kubernetes


def test_variables_of_a_kubernetes_service_are_ignored(monkeypatch):
    for prefix in ("FRONTIERLAB_", "FRONTIERLAB_ES_"):
        monkeypatch.setenv(f"{prefix}SERVICE_HOST", "10.0.0.12")
        monkeypatch.setenv(f"{prefix}SERVICE_PORT", "8888")
        monkeypatch.setenv(f"{prefix}SERVICE_PORT_HTTP_ALT", "8888")
        monkeypatch.setenv(f"{prefix}PORT", "tcp://10.0.0.12:8888")
        monkeypatch.setenv(f"{prefix}PORT_8888_TCP", "tcp://10.0.0.12:8888")
        monkeypatch.setenv(f"{prefix}PORT_8888_TCP_PROTO", "tcp")
        monkeypatch.setenv(f"{prefix}PORT_8888_TCP_PORT", "8888")
        monkeypatch.setenv(f"{prefix}PORT_8888_TCP_ADDR", "fd00::12")
    assert Settings(es_address="h").es_url == "https://h:9200"
    monkeypatch.setenv("FRONTIERLAB_ES_PORT", "9201")
    assert Settings(es_address="h").es_url == "https://h:9201"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FRONTIERLAB_ES_ADRESS", "es.example.org"),
        ("FRONTIERLAB_PORT", "9200"),
        ("FRONTIERLAB_SERVICE_HOST", "es.example.org:1"),
        ("FRONTIERLAB_SERVICE_PORT", "http"),
        ("FRONTIERLAB_PORT_8888_TCP_PROTOCOL", "tcp"),
        ("FRONTIERLAB_ES_PORT", "tcp://10.0.0.12:8888"),
    ],
)
def test_other_unknown_variables_are_refused(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert variable in refusal()


def test_line_ends_only_at_a_line_break(tmp_path):
    path = written(tmp_path, "es_user = a\x0bb\x85c\u2028d\nes_pswd = x\n")
    assert Settings(path).es_user == "a\x0bb\x85c\u2028d"


def test_config_file_variable_names_the_file(today, monkeypatch):
    monkeypatch.setenv("CONFIG_FILE", str(today))
    assert Settings() == Settings(today)


def test_the_argument_overrides_the_config_file_variable(today, monkeypatch):
    monkeypatch.setenv("CONFIG_FILE", "/nowhere")
    assert Settings(today).es_port == 9201


# ---- priority


def test_variables_override_the_file_and_arguments_override_both(today, monkeypatch):
    monkeypatch.setenv("FRONTIERLAB_ES_PORT", "9202")
    monkeypatch.setenv("FRONTIERLAB_LIMIT_QUERIES", "")
    assert Settings(today).es_port == 9202
    assert Settings(today, es_port=9203).es_port == 9203
    assert Settings(today).limit_queries == 1000


def test_the_argument_none_removes_a_value(today):
    settings = Settings(today, es_user=None, es_pswd=None, es_api_key="key")
    assert settings.es_user is None
    assert settings.es_api_key is not None


def test_defaults():
    settings = Settings()
    assert settings.es_verify_certs is True
    assert settings.limit_queries == 5_000_000
    assert settings.db_instances == ("CONDBR2", "OFLP200", "COMP200", "MONP200")
    assert settings.catalogue_path == settings.data_dir / "catalogue.parquet"
    assert Settings(coolr_file="/c.parquet").catalogue_path == Path("/c.parquet")


def test_the_docstring_explains_every_key():
    for name, field in Settings.model_fields.items():
        assert f"\n    {name} : {field.description}\n" in Settings.__doc__


# ---- what is refused, and how


def test_unknown_key_of_a_file(tmp_path):
    path = written(tmp_path, "# mine\n\nES_INDX = a\n")
    message = refusal(path)
    assert f"{path}, line 3: unknown key 'ES_INDX'. Did you mean es_index?" in message
    assert all(name in message for name in Settings.model_fields)


def test_unknown_variable_and_unknown_argument(monkeypatch):
    assert "the arguments: unknown key 'es_idx'. Did you mean es_index?" in refusal(es_idx="a")
    monkeypatch.setenv("FRONTIERLAB_ES_PROT", "1")
    assert "unknown key 'FRONTIERLAB_ES_PROT'. Did you mean FRONTIERLAB_ES_PORT?" in refusal()


def test_missing_file(tmp_path, monkeypatch):
    path = tmp_path / "none.txt"
    assert f"{path}, which the argument names as the configuration file, cannot be read: No such file" in refusal(path)
    monkeypatch.setenv("CONFIG_FILE", str(path))
    assert "which the variable CONFIG_FILE names" in refusal()


def test_folder_or_binary_file_instead_of_a_file(tmp_path):
    assert "Is a directory" in refusal(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "it is not UTF-8 text" in refusal(tmp_path / "binary")


def test_wrong_type_names_the_place_and_the_valid_values(tmp_path, monkeypatch):
    path = written(tmp_path, "es_user = u\nlimit_queries = many\n")
    assert refusal(path).startswith(f"{path}, line 2: limit_queries 'many' is not valid")
    assert refusal(path).endswith("Valid: a whole number above 0: documents read at most in an extraction.")
    assert refusal(limit_queries=0).startswith("the argument limit_queries: limit_queries 0 is not valid")
    monkeypatch.setenv("FRONTIERLAB_ES_PORT", "70000")
    assert refusal().startswith("the variable FRONTIERLAB_ES_PORT: es_port '70000' is not valid")


def test_line_without_an_equals_sign_and_key_given_twice(tmp_path):
    assert "line 1: this line is not of the form key = value" in refusal(written(tmp_path, "es_port 9200\n"))
    message = refusal(written(tmp_path, "ES_PORT = 1\nes_port = 2\n"))
    assert "line 2: es_port is given twice" in message
    assert "line 1" in message


def test_fingerprint_is_64_hex_digits():
    for good in ("ab" * 32, ":".join(["AB"] * 32)):
        assert Settings(es_fingerprint=good).es_fingerprint == good
    assert "SHA-256 fingerprint" in refusal(es_fingerprint="ab" * 20)


def test_certificate_file_has_to_be_there(tmp_path):
    assert f"there is no file {tmp_path / 'ca.pem'}" in refusal(es_ca_certs=tmp_path / "ca.pem")


def test_verification_is_switched_off_only_by_false(tmp_path):
    assert Settings(written(tmp_path, "es_verify_certs = False")).es_verify_certs is False
    assert "es_verify_certs 'never' is not valid" in refusal(es_verify_certs="never")


def test_user_password_and_key_must_agree(today):
    assert "es_user and es_pswd go together" in refusal(es_user="u")
    assert "es_user and es_pswd go together" in refusal(es_pswd=SECRET)
    message = refusal(today, es_api_key="key")
    assert "es_api_key and es_user are both given" in message
    assert f"{today}, line 4" in message


def test_settings_do_not_change():
    with pytest.raises(ConfigurationError, match="es_port cannot be set: settings do not change"):
        Settings().es_port = 1


# ---- the address


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("es.example.org", "https://es.example.org:9300"),
        ("es.example.org:9201", "https://es.example.org:9201"),
        ("http://es.example.org", "http://es.example.org:9300"),
        ("HTTPS://es.example.org:9201/es/", "https://es.example.org:9201/es"),
        ("192.0.2.1", "https://192.0.2.1:9300"),
        ("[2001:db8::1]", "https://[2001:db8::1]:9300"),
        ("http://[2001:db8::1]:9201", "http://[2001:db8::1]:9201"),
    ],
)
def test_address_is_a_host_or_a_url(address, url):
    assert Settings(es_address=address, es_port=9300).es_url == url


@pytest.mark.parametrize(
    "address", ["", "ftp://h", "https://", "h:port", "h:99999", "h?a=1", "h#a", "a b", "[::1", "::1"]
)
def test_invalid_addresses_are_refused(address):
    assert "the argument es_address: es_address" in refusal(es_address=address)


def test_missing_address_says_what_to_do():
    with pytest.raises(ConfigurationError, match=r"es_address is not set.*FRONTIERLAB_ES_ADDRESS"):
        _ = Settings().es_url


def test_missing_index_says_what_to_do():
    assert Settings(es_index="a, b-*").es_indices == "a,b-*"
    with pytest.raises(ConfigurationError, match=r"es_index is not set.*FRONTIERLAB_ES_INDEX"):
        _ = Settings().es_indices


# ---- secrets


def everything_said(error):
    """Return all that an error and its chain can show."""
    said = "".join(traceback.format_exception(error))
    while error is not None:
        said += f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__
    return said


def test_secrets_do_not_show(today):
    settings = Settings(today)
    key = Settings(es_api_key=SECRET)
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()} {key!r}"


@pytest.mark.parametrize(
    "act",
    [
        lambda: Settings(es_user="u", es_pswd=[SECRET]),
        lambda: Settings(es_user="u", es_pswd=SECRET, es_api_key=SECRET),
        lambda: Settings(es_user="u", es_pswd=SECRET, es_port="x"),
        lambda: Settings(es_api_key={"key": SECRET}),
        lambda: Settings(es_address=f"https://u:{SECRET}@h"),
        lambda: Settings(es_address=f"u:{SECRET}@h"),
        lambda: Settings(coolr_host=f"http://u:{SECRET}@h"),
        lambda: Settings(es_address=f"https://u:{SECRET}/x@h"),
        lambda: Settings(es_address=f"https://[u:{SECRET}@h"),
        lambda: Settings(es_address=f"u:{SECRET}"),
        lambda: Settings(coolr_host=f"u:{SECRET}"),
        lambda: Settings(es_address=f"https://u:{SECRET}\u2100h"),
        lambda: Settings(broker_url=f"redis://:{SECRET}\u2100@h"),
        lambda: Settings(broker_url=f"redis://[{SECRET}@h"),
        lambda: Settings(result_backend=f"redis://u:{SECRET}"),
        lambda: Settings(spark_options=f"spark.secret={SECRET} 'a"),
        lambda: Settings(spark_options={"spark.secret": [SECRET]}),
        lambda: Settings(spark_options={f"spark.secret={SECRET}": "x"}),
        lambda: create_config_file("unwritten.txt", es_pswd=SECRET, es_api_key=SECRET),
        lambda: create_config_file("unwritten.txt", spark_options={"spark.secret": f"{SECRET}\n"}),
        lambda: Settings.model_validate({"es_pswd": [SECRET]}),
        lambda: setattr(Settings(), "es_pswd", SECRET),
        lambda: create_config_file("unwritten.txt", es_pswd=[SECRET]),
        lambda: create_config_file("unwritten.txt", es_pswd=f"{SECRET}\n"),
    ],
)
def test_secrets_are_in_no_error(act):
    with pytest.raises(ConfigurationError, match=r".") as caught:
        act()
    assert SECRET not in everything_said(caught.value)


@pytest.mark.parametrize(
    "line", [f"ES_PSWD {SECRET}", f"ES_PSWD: {SECRET}=", f"ES_PSWD {SECRET}==", f"pswd = {SECRET}"]
)
def test_secrets_are_in_no_error_about_a_line(tmp_path, line):
    assert SECRET not in refusal(written(tmp_path, line))
