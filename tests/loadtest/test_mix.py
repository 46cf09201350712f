"""Proves loadtest/mix.py: what is asked comes from the seed, and every answer is held to what it must be."""

import json
from collections import Counter

import pytest

from loadtest.mix import CLASSES, HEADS, Ask, Mix, Place, Questions, World, readable, wrong, zipf
from loadtest.population import ITEMS, Population
from loadtest.response import Response

POPULATION = Population(("88.999.1001", "88.999.2001"), 7, 500)
WORLD = World(POPULATION, hot=50, zipf=1.0, rows=3, foreign="88.777.1", token="secret", host="node:8000")
ALL = Mix.parse("warm=4,cold=2,absent=2,foreign=1,batch=1")


def questions(number: int = 0, of: int = 1, **more: int) -> Questions:
    return Questions(WORLD, ALL, Place(run="r", number=number, of=of, **({"round": 1, "cold_from": 0} | more)))


def test_a_mix_is_read() -> None:
    assert Mix.parse("warm=70, cold=20,absent=0").shares == {"warm": 70.0, "cold": 20.0}
    assert Mix.parse("batch=0.5").shares == {"batch": 0.5}


@pytest.mark.parametrize("text", ["", "hot=1", "warm", "warm=x", "warm=-1", "warm=nan", "warm=1,warm=2", "warm=0"])
def test_a_bad_mix_is_a_sentence_in_both_languages(text: str) -> None:
    with pytest.raises(ValueError, match=r"[\u4e00-\u9fff].*[a-z]"):
        Mix.parse(text)


def test_classes_come_as_often_as_their_shares_say() -> None:
    asked = questions()
    drawn = Counter(asked.next_class() for _ in range(20_000))
    assert {name: round(count / 2000) for name, count in drawn.items()} == ALL.shares


def test_the_seed_makes_all_choices_but_the_names_of_new_registrations() -> None:
    one, other = questions(), questions()
    assert [one.next_class() for _ in range(100)] == [other.next_class() for _ in range(100)]
    for name in CLASSES:
        assert [one.ask(name) for _ in range(20)] == [other.ask(name) for _ in range(20)]
    assert [questions(number=1, of=2).ask("absent")] != [questions(number=0, of=2).ask("absent")]


def test_a_read_is_plain_and_asks_the_handle_api_as_one_of_three_clients() -> None:
    asked = questions()
    asks = {ask.handles[0]: ask for ask in (asked.ask("warm") for _ in range(2000))}
    heads = set()
    for handle, ask in asks.items():
        line, _, head = ask.octets.decode().partition("\r\n")
        assert line == f"GET /api/handles/{handle} HTTP/1.1"
        heads.add(head)
    assert heads == {f"Host: node:8000\r\n{kind}\r\n" for kind in HEADS}


def test_who_is_signed_in_asks_for_the_hot_set() -> None:
    asked = questions()
    hot = {POPULATION.serial(POPULATION.member(rank)) for rank in range(50)}
    asks = [asked.ask("signed") for _ in range(100)]
    assert {ask.serial for ask in asks} <= hot
    assert all(b"\r\nAuthorization: Bearer secret\r\n\r\n" in ask.octets for ask in asks)


def test_the_hot_set_is_asked_by_zipf_and_the_cold_ones_are_others() -> None:
    asked = questions()
    warm = Counter(asked.ask("warm").serial for _ in range(20_000))
    hot = [POPULATION.serial(POPULATION.member(rank)) for rank in range(50)]
    assert set(warm) == set(hot)
    assert warm[hot[0]] / warm[hot[9]] == pytest.approx(10, rel=0.3)
    assert not {asked.ask("cold").serial for _ in range(450)} & set(hot)
    assert zipf(3, 0.0) == [1.0, 1.0, 1.0]


def test_cold_ones_are_asked_once_over_processes_and_rounds_and_then_anew() -> None:
    first = [questions(number, 3) for number in range(3)]
    serials = [asked.ask("cold").serial for asked in first for _ in range(70)]
    begin = max(asked.cold_reached for asked in first)
    second = [questions(number, 3, round=2, cold_from=begin) for number in range(3)]
    serials += [asked.ask("cold").serial for asked in second for _ in range(80)]
    assert len(set(serials)) == len(serials) == 450
    assert second[0].ask("cold").serial == serials[0]


def test_absent_names_are_never_asked_twice_nor_registered() -> None:
    asked = [questions(number, 2) for number in range(2)]
    names = [ask.ask("absent").handles[0] for ask in asked for _ in range(1000)]
    assert len(set(names)) == 2000
    assert {name.split("/")[0] for name in names} == set(POPULATION.prefixes)
    assert all("/NONE-7-" in name for name in names)


def test_foreign_names_stand_under_the_foreign_prefix() -> None:
    asked = questions()
    assert all(asked.ask("foreign").handles[0].startswith("88.777.1/LOAD-7-") for _ in range(50))


def test_a_batch_registers_new_names_in_the_words_of_the_openapi() -> None:
    asked = [questions(), questions(round=2), questions(number=1, of=2)]
    batches = [each.ask("batch") for each in asked for _ in range(2)]
    assert len({handle for batch in batches for handle in batch.handles}) == 3 * len(batches)
    head, _, body = batches[0].octets.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /identityv2/data/batchCreate HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in head
    assert head.endswith(b"\r\nContent-Length: %d" % len(body))
    rows = json.loads(body)
    assert [row["handle"] for row in rows] == batches[0].handles
    assert [value["index"] for value in rows[0]["value"]] == [item.index for item in ITEMS]


# --- What an answer must be ---

H = "88.999.1001/LOAD-7-000000001"


def found(handle: str = H, serial: str = "S", code: int = 1) -> bytes:
    values = [{"index": 2000, "type": "serialNo", "data": {"format": "string", "value": serial}}]
    return json.dumps({"responseCode": code, "handle": handle, "values": values}).encode()


def coded(code: int, handle: str = H) -> bytes:
    return json.dumps({"responseCode": code, "handle": handle}).encode()


def test_a_single_registers_a_new_name_each_time() -> None:
    asked = [questions(number=number, of=2) for number in (0, 1)]
    singles = [each.ask("single") for each in asked for _ in range(3)]
    assert len({ask.handles[0] for ask in singles}) == 6
    head, _, body = singles[0].octets.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /identityv2/data HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    row = json.loads(body)
    assert (row["handle"], len(row["value"])) == (singles[0].handles[0], len(ITEMS))
    assert row["value"][0]["data"]["value"] == singles[0].serial


def batch(*rows: tuple[str, str], status: int = 1) -> bytes:
    return json.dumps({"status": status, "data": [{"handle": h, "msg": m} for h, m in rows]}).encode()


RIGHT = [
    ("warm", 200, found()),
    ("cold", 200, found()),
    ("signed", 200, found()),
    ("absent", 404, coded(100)),
    ("foreign", 200, found()),
    ("foreign", 404, coded(100)),
    ("foreign", 400, coded(301)),
    ("batch", 200, batch((H, "success"))),
    ("single", 200, b'{"status":1,"message":"success","data":true}'),
]
WRONG = [
    ("warm", 404, coded(100), "not found"),
    ("warm", 200, found(handle="88.999.1001/other"), "another identifier"),
    ("warm", 200, found(serial="T"), "without its serialNo"),
    ("warm", 200, b'{"responseCode":1,"handle":"%s","values":[]}' % H.encode(), "without its serialNo"),
    ("warm", 200, found()[:-1], "unreadable"),
    ("warm", 200, b"\xff", "unreadable"),
    ("cold", 206, found(), "not found"),
    ("cold", 200, found(code=200), "not found"),
    ("absent", 200, found(), "not absent"),
    ("absent", 404, coded(301), "not absent"),
    ("absent", 404, coded(100, "88.999.1001/other"), "another identifier"),
    ("absent", 404, b"<html>", "unreadable"),
    ("foreign", 404, coded(301), "neither"),
    ("foreign", 200, found(handle="88.777.1/other"), "another identifier"),
    ("batch", 200, batch((H, "标识已存在")), "标识已存在"),
    ("batch", 200, batch(), "rows of other identifiers"),
    ("batch", 200, batch((H, "success"), (H, "success")), "rows of other identifiers"),
    ("batch", 200, b'{"status":-1,"data":null}', "not taken"),
    ("batch", 401, batch((H, "success")), "not taken"),
    ("single", 200, b'{"status":0,"message":"","data":null}', "not taken"),
    ("single", 503, b'{"status":1}', "not taken"),
    ("single", 200, b"[]", "unreadable"),
]


@pytest.mark.parametrize(("name", "status", "body"), RIGHT)
def test_a_right_answer_is_right(name: str, status: int, body: bytes) -> None:
    assert wrong(Ask(name, b"", [H], "S"), Response(status, body, closing=False)) == ""


@pytest.mark.parametrize(("name", "status", "body", "what"), WRONG)
def test_a_wrong_answer_is_told_with_what_is_wrong(name: str, status: int, body: bytes, what: str) -> None:
    told = wrong(Ask(name, b"", [H], "S"), Response(status, body, closing=False))
    assert told.startswith(f"{H}: ")
    assert what in told
    assert f"HTTP {status}" in told
    assert len(told) < 500


def test_a_yardstick_need_only_say_yes() -> None:
    ask = questions().ask("warm")
    assert readable(ask, Response(200, b"x", closing=False)) == ""
    assert "404" in readable(ask, Response(404, b"x", closing=False))
