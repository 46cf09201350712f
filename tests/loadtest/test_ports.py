"""Proves loadtest/ports.py: ports nobody listens on, out of the way of the kernel's own."""

import socket

import pytest

from loadtest import ports
from loadtest.ports import PORTS, free_ports


def test_ports_are_free_and_different() -> None:
    found = free_ports(5)
    assert len(set(found)) == 5
    assert all(port in PORTS for port in found)
    for port in found:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_somebody_listens_on_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = free_ports(2)
    monkeypatch.setattr(ports, "PORTS", range(min(taken, free), max(taken, free) + 1, abs(taken - free)))
    with socket.create_server(("127.0.0.1", taken)):
        assert free_ports(1) == [free]
        with pytest.raises(OSError, match="no 2 free ports"):
            free_ports(2)
