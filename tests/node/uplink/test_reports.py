"""Proves node/uplink/reports.py under a top-level node that lies; under an honest one tests/whole/ does."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.config import Config
from node.metrics import UPLINK_QUEUE
from node.uplink import reports
from proto import uplink_pb2 as pb
from registry.clerk import count_resolutions
from registry.postgres import filing
from tests.fakes.certificate import own_certificate, signed_certificate
from tests.node.uplink.side import Side
from tests.registry.world import PREFIX, request


async def test_a_heartbeat_says_how_far_behind_it_is_and_has_messages_fetched(side: Side):
    await side.approve()
    await side.world.write(request("create", "A"))
    told: list[pb.HeartbeatRequest] = []
    waiting = 0

    def heartbeat(given: pb.HeartbeatRequest) -> tuple[int, pb.HeartbeatResponse]:
        told.append(given)
        return 1000, pb.HeartbeatResponse(messages=waiting)

    side.liar.says["Heartbeat"] = heartbeat
    await side.reports.heartbeat()
    assert not side.mail.is_set()
    waiting = 1
    assert await side.reports.heartbeat() == reports.HEARTBEAT_SECONDS
    assert side.mail.is_set()
    assert (told[0].machine, told[0].unreceipted) == ("one", 2)
    assert told[0].oldest_unreceipted > 0
    await side.reports.measure()
    assert side.totals.gauge(UPLINK_QUEUE) == 2


@pytest.mark.parametrize(
    ("public_url", "told"),
    [
        ("", ""),
        ("http://id.example", ""),
        ("https://id.example", "https://id.example/iiidap/"),
        ("https://标识.example", ""),
        ("https://id.example?x", ""),
        ("https://id.example/node/", "https://id.example/node/iiidap/"),
    ],
)
def test_where_iiidap_is_answered_is_told_when_it_is_https(public_url: str, told: str):
    assert reports._iiidap(Config(public_url=public_url), "192.0.2.1") == told


@pytest.mark.parametrize(
    ("public_url", "names", "address", "told"),
    [
        ("", ("id.example",), "192.0.2.1", "https://id.example:8443/iiidap/"),
        ("", ("*.example", "id.example", "www.example"), "", "https://id.example:8443/iiidap/"),
        ("", ("id.example", "192.0.2.1"), "192.0.2.1", "https://192.0.2.1:8443/iiidap/"),
        ("", ("2001:db8::7",), "2001:db8::7", "https://[2001:db8::7]:8443/iiidap/"),
        ("", ("*.example",), "192.0.2.1", ""),
        ("", ("192.0.2.2",), "192.0.2.1", ""),
        ("", (), "192.0.2.1", ""),
        ("http://id.example", ("id.example",), "192.0.2.1", ""),
        ("https://x.example", ("id.example",), "192.0.2.1", "https://x.example/iiidap/"),
    ],
)
def test_without_a_public_url_it_is_told_by_what_the_certificate_is_for(
    tmp_path: Path, public_url: str, names: tuple[str, ...], address: str, told: str
):
    file = tmp_path / "https.pem"
    signed_certificate(file, *names)
    config = Config(public_url=public_url, certificate=str(file))
    assert reports._iiidap(config, address) == told
    own_certificate(file)
    assert reports._iiidap(Config(certificate=str(file)), "127.0.0.1") == "", "strangers have no copy of it"


async def test_windows_are_told_until_they_are_taken(side: Side):
    await side.approve()
    await count_resolutions(side.world.pool, "one", {side.world.prefix_no: (5, 2)}, 0, 300)
    told: list[tuple[str, int, int]] = []
    code = 2306

    def statistics(given: pb.ReportStatisticsRequest) -> tuple[int, pb.ReportStatisticsResponse]:
        told.extend((window.prefix, window.resolved, window.resolve_failed) for window in given.windows)
        return code, pb.ReportStatisticsResponse()

    side.liar.says["ReportStatistics"] = statistics
    assert await side.reports.statistics() > 0
    code = 1000
    assert await side.reports.statistics() == 0
    assert await side.reports.statistics() > 0
    assert told == [(PREFIX, 5, 2)] * 2


async def test_a_window_that_is_refused_is_named_and_told_again_when_its_counts_change(side: Side):
    await side.approve()
    counts = {side.world.prefix_no: (5, 2)}
    for start in (0, 300_000):
        await count_resolutions(side.world.pool, f"machine {start}", counts, start, 300)
    told: list[int] = []

    def statistics(given: pb.ReportStatisticsRequest) -> tuple[int, pb.ReportStatisticsResponse]:
        told.extend(window.start for window in given.windows)
        bad = [at for at, window in enumerate(given.windows) if window.start == 0]
        senseless = [-1, 10**6]
        refused = [pb.RefusedWindow(place=at, zh="不要", en="not wanted\n") for at in (*bad, *senseless)]
        return 1000, pb.ReportStatisticsResponse(refused=refused)

    side.liar.says["ReportStatistics"] = statistics
    with capture_logs() as logged:
        assert await side.reports.statistics() == 0
        assert await side.reports.statistics() > 0
    refusals = [each for each in logged if each["event"] == "window_refused"]
    assert [(each["prefix"], each["start"], each["why"]) for each in refusals] == [(PREFIX, 0, "not wanted ")]
    await count_resolutions(side.world.pool, "machine 0", {side.world.prefix_no: (6, 2)}, 0, 300)
    await side.reports.statistics()
    assert told == [0, 300_000, 0]


async def test_routes_are_told_until_they_are_taken(side: Side):
    await side.approve()
    told: list[pb.Route] = []

    def route(given: pb.PutRouteRequest) -> tuple[int, pb.PutRouteResponse]:
        told.append(given.route)
        return 1000, pb.PutRouteResponse()

    side.liar.says["PutRoute"] = route
    for _ in range(2):
        assert await side.reports.routes() == reports.ROUTE_SECONDS
    config = side.around.config
    assert [(each.prefix, each.serial, each.address, each.http_port) for each in told] == [
        (config.prefix, 1, "127.0.0.1", config.http_port),
        (PREFIX, 1, "127.0.0.1", config.http_port),
    ]
    assert {(each.tcp_port, each.udp_port) for each in told} == {(config.native_port, config.native_port)}


async def test_a_refused_route_keeps_no_other_back_and_is_told_again_after_a_while(
    side: Side, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(filing, "MOST", 1)
    await side.approve()
    told: list[str] = []
    unwanted = side.around.config.prefix

    def route(given: pb.PutRouteRequest) -> tuple[int, pb.PutRouteResponse]:
        told.append(given.route.prefix)
        return 2304 if given.route.prefix == unwanted else 1000, pb.PutRouteResponse()

    side.liar.says["PutRoute"] = route
    for _ in range(3):
        await side.reports.routes()
    assert told == [unwanted, PREFIX]
    monkeypatch.setattr(reports, "ROUTE_AGAIN_SECONDS", 0.0)
    await side.reports.routes()
    assert told == [unwanted, PREFIX, unwanted]
