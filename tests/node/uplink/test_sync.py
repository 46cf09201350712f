"""Proves what of node/uplink/sync.py and __main__.py needs no other side; the rest is proven by the whole.

(tests/whole/test_uplink.py, under a real top-level node.)
"""

import random

import pytest

from node.config import Config
from node.uplink import sync
from node.uplink.__main__ import route_address
from registry.filing import Particulars
from registry.postgres.filing import EnterpriseToFile
from tests.registry.world import PARTICULARS


def test_pauses_double_and_are_bounded_and_spread():
    chance = random.Random(5)
    for failures in (1, 2, 3, 4, 10, 10_000):
        bound = min(sync.BACKOFF_LAST, sync.BACKOFF_FIRST * 2.0 ** min(failures - 1, 50))
        drawn = [sync.backoff(failures, chance) for _ in range(50)]
        assert all(bound / 2 <= pause <= bound for pause in drawn)
        assert len(set(drawn)) > 40


def test_every_particular_of_an_enterprise_is_told():
    filed = EnterpriseToFile(1, "某厂", "Some", PARTICULARS, "", 1)
    told = sync.enterprise(filed)
    assert (told.ent_name_cn, told.ent_name_en) == ("某厂", "Some")
    nested = {"contact": told.contact, "legal": told.legal_person}
    for name in Particulars.__dataclass_fields__:
        group, _, part = name.partition("_")
        where, field = (nested[group], part) if group in nested else (told, name)
        assert getattr(where, field) == getattr(PARTICULARS, name)


@pytest.mark.parametrize(
    ("host", "route", "address"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("0.0.0.0", "", ""),
        ("::", "", ""),
        ("localhost", "", ""),
        ("0.0.0.0", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_route_is_an_address_others_can_use(host: str, route: str, address: str):
    assert route_address(Config(host=host, route_address=route)) == address
