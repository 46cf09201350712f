"""The verb `key add` against a node in this process: where the key comes to lie, and what stops it."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from node import cli
from proto.identifier import Identifier
from proto.keys import public
from tests.fakes.certificate import client_certificate
from tests.fakes.in_process import PASSWORD, Node, node
from tests.fakes.small_registry import PREFIX


async def added(made: Node, *words: str) -> int:
    access = ("--url", str(made.client.make_url("")), "--username", "leather", "--password", PASSWORD)
    arguments = cli._parser().parse_args(["key", "add", *words, *access])
    return int(await arguments.run(arguments))


def pairs(folder: Path) -> tuple[list[rsa.RSAPrivateKey], list[str]]:
    """Two private keys, and files with their public halves; with the first lies the private one."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    files = [str(folder / f"{n}.pem") for n in range(2)]
    for made_key, file in zip(keys, files, strict=True):
        Path(file).write_bytes(made_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    private = folder / "private.pem"
    private.write_bytes(keys[0].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return keys, files


async def test_a_key_is_put_into_an_identifier_and_replaced_only_when_told(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    keys, files = pairs(tmp_path)
    handle = f"{PREFIX}/钥 1"
    async with node(database) as made:

        async def held() -> dict[int, bytes]:
            stored = (await made.house.lookup.look([Identifier.parse(handle)]))[0]
            return {value.index: value.data for value in (await made.house.lookup.record(stored))[0].values}

        first, second = (public.to_octets(each.public_key()) for each in keys)
        assert await added(made, handle, "301", files[0]) == 0
        print_ = public.fingerprint(keys[0].public_key()).hex()
        assert capsys.readouterr().out == f"301:{handle}  RSA  {print_}\n"
        assert await added(made, handle, "302", files[1]) == 0
        assert await held() == {301: first, 302: second}
        assert await added(made, handle, "301", files[1]) == 2
        assert "Index conflict for 301" in capsys.readouterr().err
        assert await added(made, handle, "301", files[1], "--replace") == 0
        assert await held() == {301: second, 302: second}
        for words, why in (
            ((handle, "303", str(tmp_path / "private.pem")), "private.pem"),
            ((handle, "303", str(tmp_path / "none")), "cannot read"),
            ((handle, "0", files[0]), "positive"),
            (("88.999.2001/x", "1", files[0]), "refuses"),
        ):
            assert await added(made, *words) == 2
            assert why in capsys.readouterr().err, words
        assert (await held()).keys() == {301, 302}


async def test_the_key_of_a_clients_certificate_lies_where_the_certificate_says(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    handle, file = f"{PREFIX}/CERT", tmp_path / "client.pem"
    async with node(database) as made:
        key = client_certificate(file, f"301:{handle}")
        assert await added(made, handle, "301", str(file), "--certificate") == 0
        assert capsys.readouterr().out == f"301:{handle}  EC  {public.fingerprint(key.public_key()).hex()}\n"
        stored = (await made.house.lookup.look([Identifier.parse(handle)]))[0]
        held = (await made.house.lookup.record(stored))[0].values
        assert [(each.index, each.data) for each in held] == [(301, public.to_octets(key.public_key()))]
        assert await added(made, handle, "302", str(file), "--certificate") == 2
        assert f'it is for "301:{handle}", not for "302:{handle}"' in capsys.readouterr().err
        assert await added(made, handle, "302", str(file)) == 2, "it is no bare key"
        client_certificate(file, "")
        assert await added(made, handle, "302", str(file), "--certificate") == 2
        assert 'it is for ""' in capsys.readouterr().err
        _, files = pairs(tmp_path)
        assert await added(made, handle, "302", files[0], "--certificate") == 2, "nor a bare key a certificate"
