"""Proves loadtest/ports.py: ports nobody listens on, out of the way of the kernel's own, found for one caller only."""

import socket

import pytest

from loadtest import ports
from loadtest.ports import PORTS, free_ports


def taken(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def test_ports_are_free_and_different() -> None:
    found = free_ports(5)
    assert len(set(found)) == 5
    assert all(port in PORTS for port in found)
    for port in found:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_somebody_listens_on_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    (busy,) = free_ports(1)
    free = next(port for port in PORTS if not taken(port))
    monkeypatch.setattr(ports, "PORTS", range(min(busy, free), max(busy, free) + 1, abs(busy - free)))
    with socket.create_server(("127.0.0.1", busy)):
        assert free_ports(1) == [free]
        with pytest.raises(OSError, match="no 2 free ports"):
            free_ports(2)


def test_a_port_is_found_for_one_caller_only(monkeypatch: pytest.MonkeyPatch) -> None:
    free = next(port for port in PORTS if not taken(port))
    monkeypatch.setattr(ports, "PORTS", range(free, free + 1))
    assert free_ports(1) == [free]
    with pytest.raises(OSError, match="no 1 free ports"):
        free_ports(1)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):
        with socket.create_server((host, free), family=family, reuse_port=True):
            pass
