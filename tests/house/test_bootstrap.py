"""`./idnode` itself, on a small project with the real venv and the real pip, and its locks. No network: packages are
wheels made here. What the verbs do afterwards is proven elsewhere; that the real
lock installs is proven by whoever runs this through `./idnode test`."""

import hashlib
import importlib.util
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
BASE_LOCK, TEST_LOCK = "requirements.lock", "requirements-test.lock"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# Builds the editable wheel; stands still at the gate, if there is one, until it is opened.
BACKEND = """
import os, pathlib, socket, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    gate = pathlib.Path("gate")
    if gate.exists():
        with socket.create_connection(("127.0.0.1", int(gate.read_text()))) as knocking:
            knocking.recv(1)
    info = "tiny-1.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, "tiny-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.pth", os.getcwd())
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\nidnode = tinycli:main\\n")
        wheel.writestr(info + "RECORD", "")
    return "tiny-1-py3-none-any.whl"
"""
COMMAND = """
import sys, thing
def main():
    print("command", thing.WORD, *sys.argv[1:])
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The bootstrap as a module, unstarted."""
    loader = SourceFileLoader("idnode_bootstrap", str(ROOT / "idnode"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Checkout:
    """A checkout of a small project, with `idnode` and two locks."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        self.wheels = wheels
        folder.mkdir()
        wheels.mkdir()
        shutil.copy(ROOT / "idnode", folder)
        shutil.copytree(ROOT / "third_party", folder / "third_party")
        for name, text in {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "tinycli.py": COMMAND}.items():
            (folder / name).write_text(text)
        thing = self.wheel("thing", "thing.py", "WORD = 'one'")
        runner = self.wheel(
            "pytest", "pytest/__main__.py", "import os, sys; print('tests in', os.getcwd(), *sys.argv[1:])"
        )
        (folder / BASE_LOCK).write_text(thing)
        (folder / TEST_LOCK).write_text(thing + runner)

    def wheel(self, name: str, path: str, text: str, version: int = 1) -> str:
        """Makes a wheel of one file; its line in a lock."""
        made = self.wheels / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info/"
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr(path, text)
            archive.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(info + "RECORD", "")
        return f"{name} @ {made.as_uri()} --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.folder / "idnode"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"HOME": str(self.wheels), "PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_USER": "1"},
            cwd="/",
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Status, stdout, stderr."""
        with self.popen(*arguments) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out.strip(), err

    @property
    def stamp(self) -> Path:
        return self.folder / ".venv" / "idnode.json"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "check out 码", tmp_path / "wheels")


def test_first_start_makes_the_venv_and_the_second_one_only_hands_over(checkout: Checkout) -> None:
    status, out, err = checkout.run("up", "--host", "a b")
    assert (status, out) == (0, "command one up --host a b")
    assert all(" · " in line for line in err.splitlines())
    assert 0 < len(err.splitlines()) <= 4
    made = checkout.stamp.stat().st_mtime_ns
    assert checkout.run("resolve") == (0, "command one resolve", "")
    assert checkout.stamp.stat().st_mtime_ns == made


def test_test_adds_to_a_venv_and_its_venv_serves_up_too(checkout: Checkout) -> None:
    assert checkout.run("up")[:2] == (0, "command one up")
    status, out, err = checkout.run("test", "-k", "some thing")
    assert (status, out) == (0, f"tests in {checkout.folder} -k some thing")
    assert "making .venv" not in err
    assert checkout.run("up") == (0, "command one up", "")


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    assert checkout.run("up")[:2] == (0, "command one up")
    (checkout.folder / BASE_LOCK).write_text(checkout.wheel("thing", "thing.py", "WORD = 'two'", version=2))
    assert checkout.run("up")[:2] == (0, "command two up")


def test_a_moved_checkout_heals(checkout: Checkout) -> None:
    assert checkout.run("up")[0] == 0
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    status, out, err = checkout.run("up")
    assert (status, out) == (0, "command one up")
    assert "making .venv again" in err
    assert checkout.run("up")[2] == ""


def test_another_python_heals(checkout: Checkout) -> None:
    assert checkout.run("up")[0] == 0
    python = checkout.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")
    assert checkout.run("up")[:2] == (0, "command one up")


def test_a_start_killed_in_the_middle_heals_after_its_pip_has_ended(checkout: Checkout) -> None:
    gate = checkout.folder / "gate"
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(120)
        gate.write_text(str(door.getsockname()[1]))
        with checkout.popen("up") as first:
            standing, _ = door.accept()
            first.kill()
    gate.unlink()
    second = checkout.popen("up")
    assert second.stderr
    assert "another start" in second.stderr.readline()
    assert not checkout.stamp.exists()
    standing.close()
    out, err = second.communicate(timeout=120)
    assert (second.returncode, out.strip()) == (0, "command one up")
    assert "making .venv again" in err


def test_two_starts_at_once_do_not_collide(checkout: Checkout) -> None:
    starts = [checkout.popen("up", str(number)) for number in range(2)]
    told = [start.communicate(timeout=120) for start in starts]
    assert [out.strip() for out, _ in told] == ["command one up 0", "command one up 1"]
    assert sum("making .venv" in err for _, err in told) == 1


def test_a_wrong_hash_is_a_sentence_with_what_pip_said_and_heals(checkout: Checkout) -> None:
    lock = checkout.folder / BASE_LOCK
    good = lock.read_text()
    lock.write_text(re.sub("sha256:.", "sha256:x", good))
    status, out, err = checkout.run("up")
    assert (status, out) == (1, "")
    assert "pip could not install" in err
    assert "Traceback" not in err
    assert "hash" in err
    lock.write_text(good)
    assert checkout.run("up")[:2] == (0, "command one up")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_venv_is_not_removed(checkout: Checkout, kind: str) -> None:
    there = checkout.folder / ".venv"
    kept = there if kind == "file" else there / "work"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    status, _, err = checkout.run("up")
    assert status == 1
    assert "move it away" in err
    assert kept.read_text() == "mine"


# --- the right Python ---


def test_no_suitable_python_is_a_sentence(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "OLDEST", (3, 98))
    monkeypatch.setattr(script, "NEWEST", (3, 99))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        script.use_a_good_python()
    assert end.value.code == 1
    told = capfd.readouterr().err
    assert "需要 Python" in told
    assert "is needed" in told
    assert told.count("\n") == 1


def test_another_python_on_the_path_takes_over_and_signposts_are_passed_by(tmp_path: Path) -> None:
    for name, does in {
        "python3.99": "exit 127",
        "python3.98": 'test "$1" = -c || echo became "$0" "$2" "$3"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    code = f"""
import sys
from importlib.machinery import SourceFileLoader
script = SourceFileLoader("script", {str(ROOT / "idnode")!r}).load_module()
script.OLDEST, script.NEWEST, sys.argv[1:] = (3, 98), (3, 99), ["up", "--now"]
script.use_a_good_python()
"""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", code],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["became", str(tmp_path / "python3.98"), "up", "--now"]


# --- pip, which comes along ---


def test_the_pip_that_comes_along_is_the_one_its_maker_published(script: ModuleType) -> None:
    published = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
    assert hashlib.sha256(Path(script.PIP).read_bytes()).hexdigest() == published
    told = Path(script.PIP).with_name("README.md").read_text(encoding="utf-8")
    assert published in told
    assert Path(script.PIP).name in told


def test_the_venv_has_that_pip_whatever_the_python_brings(checkout: Checkout, script: ModuleType) -> None:
    assert checkout.run("up")[0] == 0
    python = checkout.folder / ".venv" / "bin" / "python"
    asked = [python, "-I", "-m", "pip", "--version"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert told.split()[:2] == Path(script.PIP).name.split("-")[:2]


def test_a_checkout_without_it_is_a_sentence_with_what_python_said(checkout: Checkout, script: ModuleType) -> None:
    (checkout.folder / "third_party" / Path(script.PIP).name).unlink()
    status, out, err = checkout.run("up")
    assert (status, out) == (1, "")
    assert "cannot make .venv" in err
    assert Path(script.PIP).name in err
    assert "Traceback" not in err


# --- the locks ---


def pins(lock: str) -> dict[str, str]:
    """Name → the whole requirement, markers and hashes included."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line.split("#")[0] for line in text.splitlines() if re.match("[A-Za-z0-9]", line)]
    return {re.split("[ =;@\\[]", line)[0]: " ".join(line.split()) for line in lines}


def test_every_pin_has_a_hash_and_names_no_place() -> None:
    for lock in (BASE_LOCK, TEST_LOCK):
        found = pins(lock)
        assert len(found) > 20
        assert all("==" in pin and "--hash=sha256:" in pin for pin in found.values())
        assert "://" not in (ROOT / lock).read_text()


def test_the_test_lock_holds_all_of_the_other_one() -> None:
    base, test = pins(BASE_LOCK), pins(TEST_LOCK)
    marker = re.compile(" ; [^-]*(?= --)")  # may be gone in the test lock: something else wants it everywhere
    assert all(test[name] in (pin, marker.sub("", pin)) for name, pin in base.items())


def test_the_bootstrap_wants_the_pythons_of_the_project(script: ModuleType) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["requires-python"]
    assert wanted == f">=3.{script.OLDEST[1]},<3.{script.NEWEST[1] + 1}"
