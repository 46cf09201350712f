"""Holds the imports to the drawing in ARCHITECTURE.md: the contracts of pyproject.toml, kept by import-linter.

What a single pure module may import is test_purity.py's.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).parent / "lint-imports"


def test_the_contracts_are_kept():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it needs rich
    done = subprocess.run(
        [LINTER, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_contract_was_taken_out():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert ["node", "registry", "proto"] in layers
    forbidden = {
        (source, to)
        for c in contracts
        if c["type"] == "forbidden"
        for source in c["source_modules"]
        for to in c["forbidden_modules"]
    }
    wanted = {
        ("loadtest", "registry"),
        ("loadtest", "node"),
        ("proto", "asyncio"),
        ("proto", "asyncpg"),
        ("registry", "aiohttp"),
        ("registry", "redis"),
    }
    assert wanted <= forbidden
