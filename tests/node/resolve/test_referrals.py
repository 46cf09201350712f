"""How long a referral is kept, for whom it holds, and what happens when it leads nowhere."""

import pytest

from node.resolve.referrals import ANEW_SECONDS, FRESH_SECONDS, KEPT_SECONDS, REFERRALS_MOST, Referrals
from proto.identifier import Identifier
from proto.values.site import Site
from proto.web_reply import Referral

SITE, OTHER = (Site((2, 11), serial, primary=True, multi_primary=False, servers=()) for serial in (1, 2))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def referral(site: Site = SITE, ttl: int = 100) -> Referral:
    return Referral((site,), ttl, None)


def sites(referrals: Referrals, name: str) -> tuple[Site, ...] | None:
    kept = referrals.find(Identifier.parse(name))
    return kept.sites if kept else None


def test_the_nearest_prefix_counts() -> None:
    referrals = Referrals(Clock())
    referrals.keep("88.777", referral())
    referrals.keep("88.777.1", referral(OTHER))
    assert sites(referrals, "88.777.1/x") == (OTHER,)
    assert sites(referrals, "88.777.1.9/x") == (OTHER,)
    assert sites(referrals, "88.777.10/x") == (SITE,)
    assert sites(referrals, "88.777/x") == (SITE,)
    assert sites(referrals, "88.7777/x") is None
    assert sites(referrals, "88/x") is None


@pytest.mark.parametrize(("ttl", "life"), [(0, ANEW_SECONDS), (100, 100), (2**32 - 1, KEPT_SECONDS)])
def test_it_is_kept_as_long_as_it_says_within_bounds(ttl: int, life: float) -> None:
    clock = Clock()
    referrals = Referrals(clock)
    referrals.keep("88.777", referral(ttl=ttl))
    clock.now += life - 0.01
    assert sites(referrals, "88.777/x") == (SITE,)
    clock.now += 0.01
    assert sites(referrals, "88.777/x") is None


def test_soon_it_is_to_be_asked_for_anew_and_what_points_nowhere_is_forgotten() -> None:
    clock = Clock()
    referrals = Referrals(clock)
    referrals.keep("88.777", referral(ttl=KEPT_SECONDS))
    below = Identifier.parse("88.777.1/x")
    kept = referrals.find(below)
    assert kept is not None
    clock.now += FRESH_SECONDS - 0.01
    assert referrals.is_fresh(kept)
    clock.now += 0.01
    assert not referrals.is_fresh(kept)
    assert referrals.find(below) is kept
    referrals.forget(below)
    referrals.forget(below)
    assert referrals.find(below) is None


def test_one_that_leads_nowhere_is_dropped_unless_heard_a_moment_ago() -> None:
    clock = Clock()
    referrals = Referrals(clock)
    referrals.keep("88.777", referral())
    kept = referrals.find(Identifier.parse("88.777/x"))
    assert kept is not None
    assert not referrals.led_nowhere(kept)
    assert sites(referrals, "88.777/x") == (SITE,)
    clock.now += ANEW_SECONDS
    assert referrals.led_nowhere(kept)
    assert sites(referrals, "88.777/x") is None
    referrals.keep("88.777", referral(OTHER))
    assert referrals.led_nowhere(kept), "an old one says nothing of the new one"
    assert sites(referrals, "88.777/x") == (OTHER,)


def test_the_longest_unused_are_forgotten() -> None:
    referrals = Referrals(Clock())
    referrals.keep("88.1", referral())
    referrals.keep("88.2", referral())
    for n in range(3, REFERRALS_MOST + 1):
        referrals.keep(f"88.{n}", referral())
    sites(referrals, "88.1/x")
    referrals.keep("88.0", referral())
    assert sites(referrals, "88.1/x") == (SITE,)
    assert sites(referrals, "88.2/x") is None
    assert len(referrals._kept) == REFERRALS_MOST
