"""Proves loadtest/counts.py: what is read out of a node's metrics."""

from loadtest.counts import grown, resolutions, version

TEXT = """# HELP idnode_build_info 1, with the version
# TYPE idnode_build_info gauge
idnode_build_info{version="0.1.0"} 1.0
# TYPE idnode_resolutions_total counter
idnode_resolutions_total{outcome="found",where="hot"} 1.5e+06
idnode_resolutions_total{where="own",outcome="absent"} 7.0
idnode_resolutions_total{where="own",outcome="absent",machine="b"} 3.0
idnode_resolutions_created{where="own",outcome="absent"} 1.7e+09
"""


def test_resolutions_are_counted_by_where_and_outcome() -> None:
    assert resolutions(TEXT) == {("hot", "found"): 1_500_000, ("own", "absent"): 10}
    assert version(TEXT) == "0.1.0"


def test_a_node_that_does_not_count_has_no_counts() -> None:
    assert resolutions("idnode_ready 1.0\n") == {}
    assert version("") is None


def test_only_what_grew_is_told() -> None:
    before = {("hot", "found"): 5.0, ("own", "found"): 2.0}
    after = {("hot", "found"): 9.0, ("own", "found"): 2.0, ("own", "absent"): 1.0}
    assert grown(before, after) == {("hot", "found"): 4, ("own", "absent"): 1}
