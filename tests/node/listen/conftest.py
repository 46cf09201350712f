"""Connections and bodies are tried on the loop that workers run on: its transports are not asyncio's."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop

ON_UVLOOP = {"test_connection.py", "test_bodies.py", "test_http.py", "test_https.py"}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop} if item.path.name in ON_UVLOOP else {"asyncio": asyncio.new_event_loop}
