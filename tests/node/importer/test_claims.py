"""The verbs `sign` and `certify` against a node in this process: what they make is what `verify` believes."""

import shlex
from pathlib import Path

import pytest

from loadtest.native import framed
from node import cli, verifier
from node.elsewhere import TRUSTED_SECONDS
from node.importer import claims
from node.importer.claims import DAYS, INDEX
from node.resolve.forwarded import MESSAGE_TYPE
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys.public import fingerprint, to_der
from proto.native.bodies import Question
from proto.native.envelope import ENVELOPE_OCTETS
from proto.native.message import TRUSTED_QUERY, TRUSTED_RESULT, Message
from proto.trust import CHAIN_MOST, PERMISSIONS, Finding, Root
from proto.value import Value
from proto.values.claims import Certificate, Signature
from proto.values.public_key import pem
from tests.fakes.in_process import PASSWORD, Node, node
from tests.fakes.small_registry import PREFIX
from tests.proto.keys.made import key, private

PAGE = (Path(__file__).parents[3] / "docs" / "trust.md").read_text("utf-8")
ROOT, ADMIN, BAG = f"300:{PREFIX}/ROOT", f"301:{PREFIX}/ADMIN", f"{PREFIX}/包 1"
SECRET = {"index": 300, "type": "HS_SECKEY", "data": "not for all", "permissions": "1100"}
URL, NOTE = {"index": 1, "type": "URL", "data": "http://x/"}, {"index": 2, "type": "NOTE", "data": "x"}


async def done(made: Node, *words: str) -> int:
    """A verb of the shell."""
    access = ["--url", str(made.client.make_url("")).rstrip("/")]
    if words[0] != "verify":
        access += ["--username", "leather", "--password", PASSWORD]
    arguments = cli._parser().parse_args([*words, *access])
    return int(await arguments.run(arguments))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with private and public keys."""
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    for name in ("rsa", "ec", "dsa", "sm2"):
        (tmp_path / f"{name}.key").write_text(key(name)["pem"])
        (tmp_path / f"{name}.pem").write_text(pem(to_der(private(name).public())))
    return tmp_path


async def held(made: Node, handle: str) -> dict[int, Value]:
    stored = (await made.house.lookup.look([Identifier.parse(handle)]))[0]
    return {value.index: value for value in (await made.house.lookup.record(stored))[0].values}


async def trusted(made: Node, handle: str = BAG) -> tuple[int, bool]:
    """The code of a trusted query, and whether it is marked as trusted."""
    asked = Message(OpCode.RESOLUTION, flags=TRUSTED_QUERY, body=Question(handle).to_octets())
    headers = {"Content-Type": MESSAGE_TYPE}
    async with made.client.post("/", data=framed(asked, 1).to_octets(), headers=headers) as response:
        told = Message.from_octets((await response.read())[ENVELOPE_OCTETS:])
    return told.code, told.has(TRUSTED_RESULT)


async def test_a_record_is_signed_certified_and_verified(
    database: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Root(f"{PREFIX}/ROOT", fingerprint(private("rsa").public()))
    async with node(database, trust_roots=str(root)) as made:
        assert (await made.call("PUT", f"/api/handles/{BAG}", [URL, NOTE, SECRET]))[0] == 201
        assert await done(made, "sign", BAG, "--by", ADMIN, "--key", str(files / "ec.key")) == 0
        told = capsys.readouterr().out
        assert told.startswith(f"400:{BAG}  HS_SIGNATURE  1,2  {ADMIN}\n")
        assert "idnode certify" in told, "nobody could tell whose key it is"
        assert await done(made, "verify", BAG, "--root", str(root)) == 1
        assert capsys.readouterr().out.splitlines()[0] == f"未知 unknown  {BAG}"

        certify = ("certify", "--by", ROOT, "--key", str(files / "rsa.key"))
        assert await done(made, *certify, ROOT) == 0
        assert capsys.readouterr().out.splitlines()[1] == f"IDNODE_TRUST_ROOTS={root}"
        assert await done(made, *certify, ADMIN, str(files / "ec.pem")) == 0
        assert capsys.readouterr().out == f"400:{PREFIX}/ADMIN  HS_CERT  {ADMIN}  EC\n"
        assert await done(made, "verify", BAG, "--root", str(root)) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"可信 trusted  {BAG}"
        assert await trusted(made) == (ResponseCode.SUCCESS, True)
        assert [line.split()[:2] for line in lines[2:]] == [
            ["HS_SIGNATURE", ADMIN],
            ["HS_CERT", ADMIN],
            ["HS_CERT", ROOT],
            ["根", "root"],
        ]
        assert await done(made, "verify", BAG) == 1
        assert "IDNODE_TRUST_ROOTS" in capsys.readouterr().out

        claim = Signature.from_octets((await held(made, BAG))[400].data)
        assert [index for index, _ in claim.digests] == [1, 2], "of a secret not even a digest is told"
        assert claim.term.expires is not None
        assert claim.term.issued is not None
        assert claim.term.expires - claim.term.issued == claims.DAYS * 86_400
        lowest = Certificate.from_octets((await held(made, f"{PREFIX}/ADMIN"))[400].data)
        assert lowest.permissions == (("handlesUnderThisPrefix", f"0.NA/{PREFIX}"),)

        sign = ("sign", BAG, "--by", ADMIN, "--key", str(files / "ec.key"))
        assert (await made.call("PUT", f"/api/handles/{BAG}?index=1", [URL | {"data": "http://y/"}]))[0] == 200
        assert await done(made, "verify", BAG, "--root", str(root)) == 1
        assert capsys.readouterr().out.splitlines()[0] == f"不可信 untrusted  {BAG}"
        assert await trusted(made) == (ResponseCode.CREDENTIAL_REFUSED, False)
        assert await done(made, *sign) == 2
        assert "Index conflict for 400" in capsys.readouterr().err
        assert await done(made, *sign, "--replace", "--only", "1") == 0
        assert f"400:{BAG}  HS_SIGNATURE  1  {ADMIN}" in capsys.readouterr().out
        assert await done(made, "verify", BAG, "--root", str(root)) == 1, "not all of it is signed"
        assert "not signed" in capsys.readouterr().out
        assert await trusted(made) == (ResponseCode.SUCCESS, False)


async def test_the_handle_of_a_prefix_is_signed_by_a_key_that_lies_there(
    database: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its site, too, which no record holds."""
    handle, key_ = f"0.NA/{PREFIX}", f"301:0.NA/{PREFIX}"
    root = Root(f"{PREFIX}/ROOT", fingerprint(private("rsa").public()))
    async with node(database, trust_roots=str(root), host="192.0.2.1", native_port=2641) as made:
        certify = ("certify", "--by", ROOT, "--key", str(files / "rsa.key"))
        assert await done(made, *certify, ROOT) == 0
        assert await done(made, "key", "add", handle, "301", str(files / "ec.pem")) == 0
        assert await done(made, *certify, key_, str(files / "ec.pem")) == 0
        lowest = Certificate.from_octets((await held(made, handle))[400].data)
        assert lowest.permissions == (("handlesUnderThisPrefix", handle),)
        by = ("--by", key_, "--key", str(files / "ec.key"), "--index", "401")
        assert (await made.call("PUT", f"/api/handles/{BAG}", [URL]))[0] == 201
        assert await done(made, "sign", BAG, *by) == 0
        assert await trusted(made) == (ResponseCode.SUCCESS, True)
        again = ("--replace", "--may", f"thisHandle:{handle}")
        assert await done(made, *certify, key_, str(files / "ec.pem"), *again) == 0
        capsys.readouterr()
        assert await done(made, "sign", handle, *by) == 0
        assert capsys.readouterr().out == f"401:{handle}  HS_SIGNATURE  301,500  {key_}\n"
        assert await trusted(made, handle) == (ResponseCode.SUCCESS, True)
        assert await done(made, "verify", handle, "--root", str(root)) == 0


async def test_the_example_of_the_documents_is_true(
    database: str, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, of in (("root.pem", "rsa.key"), ("admin.pem", "ec.key"), ("admin.pub", "ec.pem")):
        (files / of).rename(files / name)
    monkeypatch.chdir(files)
    example = PAGE.partition("```sh")[2].partition("```")[0]
    commands = [shlex.split(line, comments=True)[1:] for line in example.splitlines() if line.startswith("./idnode ")]
    assert [words[0] for words in commands] == ["certify", "certify", "key", "sign", "verify"]
    async with node(database) as made:
        for words in commands[:-1]:
            assert await done(made, *words) == 0, words
        set_ = next(line for line in capsys.readouterr().out.splitlines() if "ROOTS" in line)
        monkeypatch.setenv(*set_.split("=", 1))
        assert await done(made, *commands[-1]) == 0


async def test_a_key_at_the_handle_of_a_prefix_may_sign_what_lies_under_that_prefix(database: str, files: Path) -> None:
    async with node(database) as made:
        words = (f"300:0.NA/{PREFIX}", str(files / "ec.pem"), "--by", ROOT, "--key", str(files / "rsa.key"))
        assert await done(made, "certify", *words) == 0
        found = Certificate.from_octets((await held(made, f"0.NA/{PREFIX}"))[INDEX].data)
    assert found.permissions == (("handlesUnderThisPrefix", f"0.NA/{PREFIX}"),)


def test_every_reason_and_bound_is_on_the_page() -> None:
    bounds = (INDEX, DAYS, CHAIN_MOST, verifier.LOOKS_MOST, int(verifier.SECONDS), int(verifier.KEPT_SECONDS))
    words = [f"`{finding.word}`" for finding in Finding] + [f"`{what}" for what in PERMISSIONS]
    words += [f" {bound} " for bound in bounds] + [f"{TRUSTED_SECONDS // 60} 分钟"]
    assert [word for word in words if word not in PAGE] == []


async def test_every_kind_of_key_signs(database: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with node(database) as made:
        assert (await made.call("PUT", f"/api/handles/{BAG}", [URL]))[0] == 201
        for name in ("rsa", "dsa", "sm2"):
            by = ("--by", ROOT, "--key", str(files / f"{name}.key"), "--replace")
            assert await done(made, "certify", ROOT, *by) == 0
            assert await done(made, "sign", BAG, *by, "--days", "1") == 0
            said = capsys.readouterr().out
            assert "certify" not in said, "the key is certified"
            root = next(line for line in said.splitlines() if "ROOTS" in line).partition("=")[2]
            assert await done(made, "verify", BAG, "--root", root) == 0
            claim = Signature.from_octets((await held(made, BAG))[400].data)
            assert claim.algorithm == ("SM3" if name == "sm2" else "SHA-256")
            capsys.readouterr()


async def test_what_cannot_be_done_is_one_sentence(
    database: str, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by = ("--by", ADMIN, "--key", str(files / "ec.key"))
    async with node(database) as made:
        assert (await made.call("PUT", f"/api/handles/{BAG}", [URL, SECRET]))[0] == 201
        assert (await made.call("PUT", f"/api/handles/{PREFIX}/BARE", [SECRET]))[0] == 201
        for words, why in (
            (("sign", BAG, *by, "--only", "1", "300"), "no public values [300]"),
            (("sign", f"{PREFIX}/BARE", *by), "no public values to sign"),
            (("sign", f"{PREFIX}/NONE", *by), "100"),
            (("sign", BAG, "--by", ADMIN, "--key", str(files / "none")), "cannot read"),
            (("sign", BAG, "--by", ADMIN, "--key", str(files / "ec.pem")), "ec.pem"),
            (("certify", ROOT, *by), "name the file of the public key"),
            (("certify", ROOT, str(files / "ec.key"), *by), "ec.key"),
            (("certify", ADMIN, *by, "--may", "all"), "--may must be one of everything"),
            (("certify", "301:88.999.2001/x", str(files / "ec.pem"), *by), "refuses"),
        ):
            assert await done(made, *words) == 2, words
            said = capsys.readouterr()
            assert why in said.err, words
            assert said.out == ""
        assert await done(made, "verify", f"{PREFIX}/NONE") == 2
        assert await done(made, "verify", BAG) == 1
        assert "it is not signed" in capsys.readouterr().out
        assert set(await held(made, BAG)) == {1, 300}
        with pytest.raises(ProtoError, match="must look like 300:"):
            await done(made, "sign", BAG, "--by", f"{PREFIX}/ADMIN", "--key", str(files / "ec.key"))
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["verify", BAG, "--root", "88/ROOT"])
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["sign", BAG, *by, "--days", "0"])


async def test_a_key_may_have_a_passphrase(
    database: str, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "admpriv.bin").write_bytes(bytes.fromhex(key("rsa file, encrypted")["file"]))
    by = ("--by", ROOT, "--key", str(files / "admpriv.bin"), "--passphrase")
    async with node(database) as made:
        for said, result in ((key("rsa file, encrypted")["passphrase"], 0), ("another", 2)):
            monkeypatch.setattr(claims, "_passphrase", lambda said=said: said)
            assert await done(made, "certify", ROOT, *by, "--replace") == result
    assert "passphrase" in capsys.readouterr().err
