"""Windows of statistics: in which one a moment lies, and how one is told. Pure: counts and time are given."""

from collections.abc import Iterable, Mapping
from typing import Any

from proto import uplink_pb2 as pb


def start(moment: int, seconds: int) -> int:
    """When the window began in which `moment` lies, both in milliseconds since 1970 UTC."""
    length = seconds * 1000
    return moment - moment % length


def grown(before: Mapping[int, tuple[int, int]], after: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """The totals of `after` that are not those of `before`. Number 0 stands for prefixes that are not told apart."""
    return {number: counts for number, counts in after.items() if number and counts != before.get(number)}


def report(rows: Iterable[Any]) -> pb.ReportStatisticsRequest:
    """What is told of windows (rows as registry/postgres/uplink.py tells them)."""
    return pb.ReportStatisticsRequest(
        windows=[
            pb.Window(
                prefix=row["prefix"],
                start=row["start"],
                seconds=row["seconds"],
                registered_total=max(0, row["total"]),
                registered=row["registered"],
                updated=row["updated"],
                deleted=row["deleted"],
                resolved=row["resolved"],
                resolve_failed=row["resolve_failed"],
            )
            for row in rows
        ]
    )
