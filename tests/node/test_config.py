"""Settings: where they come from, which one wins, and that a bad or unknown one is one sentence that names it."""

import base64
from dataclasses import fields
from pathlib import Path

import pytest

from node import config as settings
from node.config import Config, ConfigError, load

KEY = base64.b64encode(bytes(range(32))).decode()


def test_without_anything_said_the_defaults_hold() -> None:
    assert load({"PATH": "/bin", "HOME": "/"}) == Config()
    assert Config().zone.key == "Asia/Shanghai"


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('http_port = 1001\noperator_port = 1002\nworkers = 3\npublic_url = "https://标识.example"\n')
    environment = {"IDNODE_OPERATOR_PORT": "2002", "IDNODE_WORKERS": "4"}
    config = load(environment, file, {"workers": 5, "http_port": None})
    assert (config.http_port, config.operator_port, config.workers) == (1001, 2002, 5)
    assert config.public_url == "https://标识.example"


def test_the_environment_of_this_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDNODE_PEER_RATE", "7")
    assert settings.from_environment().peer_rate == 7


@pytest.mark.parametrize("name", ["IDNODE_TEST_STRICT", "IDNODE_PASSWORD"])
def test_variables_that_are_no_settings_are_passed_over(name: str) -> None:
    assert load({name: "1"}) == Config()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IDNODE_HTTP_PORT", "0"),
        ("IDNODE_HTTP_PORT", "65536"),
        ("IDNODE_HTTP_PORT", "http"),
        ("IDNODE_HTTP_PORT", ""),
        ("IDNODE_WORKERS", "0"),
        ("IDNODE_WORKERS", "65"),
        ("IDNODE_WORKERS", "1.5"),
        ("IDNODE_REQUESTS", "7"),
        ("IDNODE_WRITE_ROWS", "1999"),
        ("IDNODE_REUSE_DELETED", "maybe"),
        ("IDNODE_LOG_LEVEL", "loud"),
        ("IDNODE_TIMEZONE", "Mars/Base"),
        ("IDNODE_TIMEZONE", ""),
        ("IDNODE_TIMEZONE", "Asia"),
        ("IDNODE_TIMEZONE", "x" * 300),
        ("IDNODE_TIMEZONE", "/etc/localtime"),
        ("IDNODE_TRUST_ROOTS", "88/ROOT"),
        ("IDNODE_TRUST_ROOTS", "88/ROOT=abc"),
        ("IDNODE_SECRET_KEY", "short"),
        ("IDNODE_SECRET_KEY", base64.b64encode(bytes(31)).decode()),
        ("IDNODE_PREFIX", "eighty-eight"),
        ("IDNODE_TRUSTED_PROXIES", "127.0.0.1, proxy.example"),
        ("IDNODE_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("IDNODE_FORWARD_NETWORKS", "10.0.0.0/8, elsewhere"),
        ("IDNODE_FORWARD_NETWORKS", "10.0.0.1/8"),
        ("IDNODE_TOPLEVEL_URL", "toplevel:8100"),
        ("IDNODE_TOPLEVEL_URL", "http://"),
        ("IDNODE_TOPLEVEL_URL", "http://toplevel:port"),
        ("IDNODE_TOPLEVEL_URL", "https://node:s3cr3t@toplevel:8100"),
        ("IDNODE_TOPLEVEL_URL", "https://node@toplevel"),
        ("IDNODE_CERTIFICATE_KEY", "/etc/idnode/privkey.pem"),
        ("IDNODE_AUDIT_SECONDS", "soon"),
        ("IDNODE_AUDIT_SECONDS", "nan"),
        ("IDNODE_AUDIT_SECONDS", "-0.5"),
        ("IDNODE_DATABASE_URL", "localhost:5432/idnode"),
        ("IDNODE_DATABASE_URL", "mysql://localhost/idnode"),
        ("IDNODE_REDIS_URL", "localhost:6379"),
        ("IDNODE_REDIS_URL", "http://localhost:6379"),
    ],
)
def test_a_bad_value_is_one_sentence_in_two_languages_that_names_the_setting(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({variable: value})
    chinese, english = str(caught.value).split("。 ")
    assert variable in chinese
    assert variable in english
    assert english.endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IDNODE_DATABASE_URL", "postgresql://idnode@/idnode?host=/run/postgres"),
        ("IDNODE_DATABASE_URL", "postgres://db.example/idnode"),
        ("IDNODE_REDIS_URL", "redis://localhost"),
        ("IDNODE_REDIS_URL", "rediss://cache.example:6380/1"),
        ("IDNODE_REDIS_URL", "unix:///run/valkey.sock"),
        ("IDNODE_SECRET_KEY", KEY),
        ("IDNODE_TOPLEVEL_URL", "http://toplevel:8100"),
        ("IDNODE_TOPLEVEL_URL", "https://[2001:db8::1]/idis/"),
    ],
)
def test_what_servers_are_called_is_taken(variable: str, value: str) -> None:
    name = variable.removeprefix("IDNODE_").lower()
    assert getattr(load({variable: value}), name) == value
    assert getattr(load({variable: ""}), name) == ""


def test_networks_are_read_from_a_list() -> None:
    assert load({}).networks == ()
    given = load({"IDNODE_FORWARD_NETWORKS": " 127.0.0.0/8,fd00::/8 , 192.0.2.1,"})
    assert [str(network) for network in given.networks] == ["127.0.0.0/8", "fd00::/8", "192.0.2.1/32"]


def test_the_key_is_thirty_two_octets() -> None:
    assert Config(secret_key=KEY).key() == bytes(range(32))
    with pytest.raises(ConfigError, match="IDNODE_SECRET_KEY"):
        Config().key()


def test_a_bad_secret_is_not_repeated() -> None:
    for variable in ("IDNODE_SECRET_KEY", "IDNODE_DATABASE_URL", "IDNODE_REDIS_URL", "IDNODE_TOPLEVEL_URL"):
        value = "https://node:s3cr3t@toplevel" if variable == "IDNODE_TOPLEVEL_URL" else "s3cr3t"
        with pytest.raises(ConfigError) as caught:
            load({variable: value})
        assert "s3cr3t" not in str(caught.value)


def test_proxies_are_trusted_only_when_they_are_listed() -> None:
    assert not Config().proxies.trusts("127.0.0.1")
    proxies = load({"IDNODE_TRUSTED_PROXIES": "127.0.0.1, 2001:db8::/32"}).proxies
    assert [proxies.trusts(text) for text in ("127.0.0.1", "2001:db8::7", "127.0.0.2")] == [True, True, False]


def test_an_unknown_setting_is_told_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="IDNODE_HTPP_PORT"):
        load({"IDNODE_HTPP_PORT": "8000"})
    file = tmp_path / "node.toml"
    file.write_text("htpp_port = 8000\n")
    with pytest.raises(ConfigError, match="htpp_port") as caught:
        load({}, file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", [b"http_port = \n", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "node.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load({}, file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("line", ["http_port = true", "http_port = [1]", "workers = 2.5"])
def test_a_number_in_the_file_must_be_one(tmp_path: Path, line: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(line)
    with pytest.raises(ConfigError, match="whole number"):
        load({}, file)


def test_every_setting_says_what_it_is_in_both_languages_and_where_it_ends() -> None:
    for entry in fields(Config):
        notes = entry.metadata
        assert "" not in {notes["zh"], notes["en"]}, entry.name
        assert type(entry.default) in {str, int, float}, entry.name
        bounded = notes["low"] is not None and notes["high"] is not None
        assert bounded == isinstance(entry.default, int | float), entry.name


def test_both_bounds_can_be_set() -> None:
    for entry in fields(Config):
        for bound in ("low", "high"):
            if entry.metadata[bound] is not None:
                config = load({settings.variable(entry.name): str(entry.metadata[bound])})
                assert getattr(config, entry.name) == entry.metadata[bound]


def test_what_is_shown_of_the_settings_holds_no_secret() -> None:
    marked = {entry.name for entry in fields(Config) if entry.metadata["secret"]}
    assert marked >= {"secret_key", "database_url", "redis_url"}
    config = Config(database_url="postgresql://x:hush@y/z", secret_key=base64.b64encode(b"hush" * 8).decode())
    assert config.shown.keys() == {entry.name for entry in fields(Config)} - marked
    assert "hush" not in str(config.shown)
    assert config.secret_key not in str(config.shown)
