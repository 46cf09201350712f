"""Proves loadtest/settings.py and loadtest/target.py: what the command line and ready.json come to."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.settings import NUMBERS, SettingsError, nameless, parse
from loadtest.target import Address, TargetError, from_ready

READY = {
    "http": "http://127.0.0.1:8000",
    "operator": "http://127.0.0.1:9600",
    "admin": {"username": "admin", "password": "p"},
    "enterprises": [{"prefix": "88.999.2001"}, {"prefix": "88.999.1001"}],
}


@pytest.fixture
def ready(tmp_path: Path) -> str:
    file = tmp_path / "ready.json"
    file.write_text(json.dumps(READY))
    return str(file)


def test_ready_json_says_where_the_node_is(ready: str) -> None:
    target = from_ready(Path(ready))
    assert target.node == Address("127.0.0.1", 8000)
    assert target.operator == Address("127.0.0.1", 9600)
    assert (target.username, target.password) == ("admin", "p")
    assert target.prefixes == ("88.999.1001", "88.999.2001")


def test_a_node_of_its_own_is_wanted_when_none_is_named(
    ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nameless([])
    assert nameless(["--rate", "5"])
    assert not nameless(["--ready", ready])
    assert not nameless(["--url", "http://127.0.0.1:1"])
    (tmp_path / ".idnode").mkdir()
    (tmp_path / ".idnode" / "ready.json").write_text("{}")
    assert not nameless([])


def test_the_defaults_are_a_whole_command(ready: str) -> None:
    settings = parse(["--ready", ready], "")
    assert settings.mix.shares == {"warm": 70.0, "cold": 20.0, "absent": 10.0}
    assert settings.numbers == {name: number.default for name, number in NUMBERS.items()}
    assert settings.rate == 1000.0
    assert settings.yardstick is None


def test_every_option_is_heard(ready: str) -> None:
    words = "--seconds 5 --seed 7 --rate 20.5 --population 100 --hot 9 --zipf 0 --batch 2000 --processes 2"
    words += " --connections 8 --warm-up 0 --pairs 5 --mix batch=1,foreign=1 --foreign-prefix 88.7.1"
    words += " --yardstick http://[::1]:81/x --operator http://h:1 --report r.json --closed"
    settings = parse(["--ready", ready, *words.split()], "")
    assert settings.rate is None
    assert settings["seconds"] == 5.0
    assert settings.whole("batch") == 2000
    assert settings["warm-up"] == 0.0
    assert settings.foreign == "88.7.1"
    assert str(settings.yardstick) == "[::1]:81"
    assert settings.target.operator == Address("h", 1)
    assert settings.report == Path("r.json")
    assert parse(["--ready", ready, "--yardstick", "nginx"], "").yardstick == "nginx"


def test_a_node_may_be_named_by_its_address(tmp_path: Path) -> None:
    words = ["--url", "http://node", "--username", "u", "--prefix", "88.1.1", "--prefix", "88.1.2"]
    target = parse(words, "from the environment").target
    assert target.node == Address("node", 80)
    assert (target.username, target.password, target.prefixes) == ("u", "from the environment", ("88.1.1", "88.1.2"))
    assert parse([*words, "--password", "p"], "").target.password == "p"
    for missing in (words, words[:4], words[:2]):
        with pytest.raises(TargetError, match="--username"):
            parse(missing, "")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--mix", "warm=x"], "--mix"),
        (["--hot", "100", "--population", "100"], "--hot"),
        (["--mix", "foreign=1"], "--foreign-prefix"),
        (["--foreign-prefix", "88.7.1"], "--foreign-prefix"),
        (["--connections", "1", "--processes", "2"], "--connections"),
        (["--report", "/nowhere/r.json"], "--report"),
    ],
)
def test_what_makes_no_sense_is_a_sentence_in_both_languages(words: list[str], what: str, ready: str) -> None:
    with pytest.raises(SettingsError, match=rf"{what}.*[\u4e00-\u9fff].*[a-z]"):
        parse(["--ready", ready, *words], "")


@pytest.mark.parametrize("url", ["https://node", "node:80", "http://", "http://h:99999", "http://h:x", "ftp://h"])
def test_an_address_must_be_plain_http(url: str, ready: str) -> None:
    with pytest.raises(TargetError, match="http://host:port"):
        parse(["--ready", ready, "--yardstick", url], "")


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_bounds(name: str, ready: str, capsys: pytest.CaptureFixture[str]) -> None:
    number = NUMBERS[name]
    for value in (number.least - 1, number.most + 1, "x"):
        with pytest.raises(SystemExit):
            parse(["--ready", ready, f"--{name}={value}"], "")
        assert f"--{name}" in capsys.readouterr().err
    # The hot set must lie within the population, and each process wants a connection.
    wide = ["--population", "1000000", "--connections", "10000"]
    for value in (number.least, number.most):
        more = ["--hot", "1"] if name == "population" and value > 1 else []
        words = ["--ready", ready, *wide, f"--{name}={value}", *more, "--mix", "absent=1"]
        assert parse(words, "").numbers[name] == value


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"admin": null}', json.dumps(READY | {"http": None})])
def test_a_broken_ready_json_is_a_sentence(content: str, tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    file.write_text(content)
    with pytest.raises(TargetError):
        from_ready(file)
    with pytest.raises(TargetError, match="idnode up"):
        from_ready(tmp_path / "none.json")


def test_help_is_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["--help"], "")
    told: Any = capsys.readouterr().out
    assert end.value.code == 0
    for name in (*NUMBERS, "mix", "yardstick", "report"):
        assert f"--{name}" in told
    assert all(number.zh in told.replace("\n", "") for number in NUMBERS.values() if len(number.zh) < 6)
