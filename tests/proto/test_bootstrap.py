"""Proves proto/bootstrap.py: what is published is read, the longest entry counts, and nothing else is believed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.bootstrap import SERVICES_MOST, Bootstrap
from proto.errors import ProtoError

A, B = "https://a.example/iiidap/", "http://192.0.2.1:8000/iiidap/"


def read(*services: Any) -> dict[str, str]:
    told = {"version": "1.0", "publication": "2026-11-23T08:00:00Z", "description": "", "services": services}
    return dict(Bootstrap.from_octets(json.dumps(told).encode()).services)


def test_what_is_published_has_the_shape_of_the_draft() -> None:
    published = Bootstrap({"88.999": A, "88.100": B, "88.100.1": A}).to_octets("2026-11-23T08:00:00Z", "谁")
    assert json.loads(published) == {
        "version": "1.0",
        "publication": "2026-11-23T08:00:00Z",
        "description": "谁",
        "services": [[["88.100"], [B]], [["88.100.1", "88.999"], [A]]],
    }


PREFIXES = st.from_regex(r"[0-9]{2}\.[0-9]{1,4}(\.[0-9]{1,4})?", fullmatch=True)


@given(st.dictionaries(PREFIXES, st.sampled_from([A, B])))
def test_what_is_published_is_read_again(services: dict[str, str]) -> None:
    assert Bootstrap.from_octets(Bootstrap(services).to_octets("", "")) == Bootstrap(services)


def test_the_longest_entry_counts() -> None:
    known = Bootstrap({"88.100": A, "88.100.1": B})
    assert [known.base(prefix) for prefix in ("88.100", "88.100.1", "88.100.11", "88.100.1.2")] == [A, B, A, B]
    assert [known.base(prefix) for prefix in ("88", "88.10", "88.1000", "")] == [None] * 4


def test_of_several_urls_the_better_one() -> None:
    assert read([["88.100"], [B, A]], [["88.200"], [B]]) == {"88.100": A, "88.200": B}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)/",
        "ftp://a/",
        "//a/",
        "/iiidap/",
        "https://a.example/iiidap",
        "https://a.example/?/",
        "https://a.example/#/",
        "https://user@a.example/",
        "https://a.example/\r\nSet-Cookie: a=b/",
        "https://a example/",
        "https://例子/",
        "https:///",
        "https://[::1/",
        "https://a:99999/",
        "https://a/" + "x" * 255 + "/",
    ],
)
def test_urls_nobody_is_sent_to(url: str) -> None:
    assert read([["88.100"], [url]], [["88.200"], [url, B]]) == {"88.200": B}


def test_entries_that_are_no_prefixes_are_left_out() -> None:
    assert read([["88.100", "x", "", "88/1", "0.NA"], [A]], [[], [A]], [["88.200"], []]) == {"88.100": A}


@pytest.mark.parametrize(
    "octets", [b"", b"\xff", b"[]", b"{}", b'{"services":7}', b'{"services":[["88.1"]]}', b"[" * 99_999]
)
def test_what_is_no_register(octets: bytes) -> None:
    with pytest.raises(ProtoError, match="cannot be read"):
        Bootstrap.from_octets(octets)


def test_a_register_that_is_too_large() -> None:
    prefixes = [f"88.{n}" for n in range(SERVICES_MOST)]
    assert len(read([prefixes, [A]])) == SERVICES_MOST
    with pytest.raises(ProtoError, match="too large"):
        read([prefixes, [A]], [["88.99999"], [A]])
