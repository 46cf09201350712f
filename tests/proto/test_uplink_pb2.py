"""Holds the generated half of proto/uplink.proto to the written one, and that one to the rules of buf."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_generated_code_is_that_of_the_file(tmp_path: Path):
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, "proto/uplink.proto"], cwd=ROOT, check=True)
    for name in ("uplink_pb2.py", "uplink_pb2.pyi"):
        assert (ROOT / "proto" / name).read_text() == (tmp_path / "proto" / name).read_text(), f"proto/{name} is stale"


def test_buf_finds_nothing():
    found = subprocess.run(
        [Path(sys.executable).parent / "buf", "lint", "proto"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")
