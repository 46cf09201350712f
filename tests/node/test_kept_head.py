"""The kept head: read as it was written, by who has the key, and no half of it."""

from pathlib import Path

import pytest

from node.kept_head import KeptHead
from registry.audit import Head, Kept

HEAD = Kept(Head(7, bytes(range(32))), bytes(32))


def test_a_head_is_kept_where_nobody_else_reads_it(tmp_path: Path) -> None:
    kept = KeptHead(tmp_path / "log", bytes(32))
    assert kept.read() == Kept(), "nothing was kept yet"
    for head in (HEAD, HEAD._replace(head=Head(8, bytes(32)))):
        kept.write(head)
        assert kept.read() == KeptHead(tmp_path / "log", bytes(32)).read() == head
    assert [(path.name, path.stat().st_mode & 0o777) for path in kept.path.parent.iterdir()] == [("audit-head", 0o600)]
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_not_kept_with_the_key_is_no_head(tmp_path: Path) -> None:
    kept = KeptHead(tmp_path, bytes(32))
    KeptHead(tmp_path, b"\1" * 32).write(HEAD)
    assert kept.read() is None
    for content in (b"", b"\xff\xfe", b"7 00 00"):
        kept.path.write_bytes(content)
        assert kept.read() is None


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    kept = KeptHead(tmp_path / "log", bytes(32))
    with pytest.raises(OSError, match="log"):
        kept.write(HEAD)
    with pytest.raises(OSError, match="log"):
        kept.read()
