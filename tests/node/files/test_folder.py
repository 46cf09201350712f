"""Proves node/files/folder.py: files are whole, encrypted, bound to their number and to the node's key."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from node.files.folder import EACH_MOST, Folder, FolderError
from registry.account import Vault

KEY, SECRET = bytes(range(32)), b"an identity document " * 99
NUMBER = 2 * EACH_MOST + 7


def only(path: Path) -> Path:
    (found,) = [each for each in path.rglob("*") if each.is_file()]
    return found


def test_what_is_kept_is_read_again_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "files", KEY)
    assert folder.keep(NUMBER, SECRET) == sha256(SECRET).digest()
    kept = only(tmp_path)
    assert kept.relative_to(tmp_path) == Path("files/2/2007")
    assert [path.stat().st_mode & 0o777 for path in (kept, kept.parent, folder.path)] == [0o600, 0o700, 0o700]
    assert b"identity" not in kept.read_bytes()
    assert Vault(KEY).open(str(NUMBER), kept.read_bytes()) == b"", "the key of files is not the node's own"
    assert Folder(tmp_path / "files", KEY).read(NUMBER) == SECRET


def test_what_was_changed_moved_or_kept_under_another_key_is_not_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path, KEY)
    folder.keep(NUMBER, SECRET)
    kept = only(tmp_path)
    kept.with_name("2008").write_bytes(kept.read_bytes())
    with pytest.raises(FolderError, match="file 2008 was changed"):
        folder.read(2008)
    with pytest.raises(FolderError, match="another IDNODE_SECRET_KEY"):
        Folder(tmp_path, bytes(32)).read(NUMBER)
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    with pytest.raises(FolderError, match="was changed"):
        folder.read(NUMBER)
    folder.remove(NUMBER)
    folder.remove(NUMBER)
    with pytest.raises(FolderError, match="No such file"):
        folder.read(NUMBER)


def test_a_disk_that_fails_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path, KEY)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(FolderError, match="No space left"):
            folder.keep(NUMBER, SECRET)
    with pytest.raises(FolderError):
        folder.read(NUMBER)
    folder.keep(NUMBER, SECRET)
    assert folder.read(NUMBER) == SECRET


def test_old_files_are_listed_and_old_drafts_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path, KEY)
    assert Folder(tmp_path / "none", KEY).subfolders() == []
    for number in (NUMBER, NUMBER + 1, 3):
        folder.keep(number, SECRET)
    (tmp_path / "stray").touch()
    drafts = [tmp_path / "2" / name for name in ("1.new", "2.new", "note.txt", "9" * 19)]
    for each in drafts:
        each.touch()
    for old in (tmp_path / "2" / "2007", drafts[0], *drafts[2:]):
        os.utime(old, (1000, 1000))
    assert {each.name: folder.older(each, 1001) for each in folder.subfolders()} == {"0": [], "2": [NUMBER]}
    assert [each.exists() for each in drafts] == [False, True, True, True]


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    Folder(tmp_path / "new" / "files", KEY).check()
    assert list(tmp_path.iterdir()) == [], "who checks changes nothing"
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FolderError):
            Folder(place, KEY).check()
