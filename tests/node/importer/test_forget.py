"""The verb `forget` against a node in this process: what is asked, what is told, and what stops it."""

import argparse
from pathlib import Path

import pytest

from node.importer import forget
from tests.fakes.in_process import PASSWORD, Node, node
from tests.fakes.small_registry import PREFIX


async def forgotten(made: Node, *words: str) -> int:
    parser = argparse.ArgumentParser()
    forget.add_arguments(parser)
    access = ("--url", str(made.client.make_url("")), "--username", "leather", "--password", PASSWORD)
    return await forget.run_forget(parser.parse_args([*words, "--reason", "本人请求", *access]))


async def test_identifiers_by_name_and_from_a_list_are_blanked_in_several_calls(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "CALL_IDENTIFIERS", 2)
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    listed = tmp_path / "list.txt"
    listed.write_text(f"\ufeff{PREFIX}/B\r\n\r\n {PREFIX}/C \r\n", "utf-8")
    async with node(database) as made:
        await made.create("A", "B", "C", styleNo="S1", colour="红")
        assert await forgotten(made, f"{PREFIX}/A", "--file", str(listed), "--attribute", "colour") == 0
        assert capsys.readouterr().out.splitlines() == [f"{PREFIX}/{name}\tblanked\t[1]" for name in "ABC"]
        assert await made.registry.pool.fetchval("SELECT count(*) FROM blanked") == 3
        assert await forgotten(made, f"{PREFIX}/A", f"{PREFIX}/Z", "--attribute", "colour") == 1
        assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["nothing", "refused"]
        assert await forgotten(made, "--attribute", "colour") == 2
        assert await forgotten(made, "--file", str(tmp_path / "none"), "--attribute", "colour") == 2
        assert await forgotten(made, f"{PREFIX}/A", "--attribute", "HS_ADMIN") == 2
        assert "no identifier" in capsys.readouterr().err
