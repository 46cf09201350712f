"""POST /snms/api/file/upload and where it is read: who may, what is told, and that no large body is taken in."""

import io
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from node.listen.snms_files import UPLOAD, UPLOAD_OCTETS
from registry.account import Account
from registry.rights import Role
from tests.fakes.clamd import INFECTED, clamd
from tests.fakes.in_process import KEPT, PASSWORD, Node, node
from tests.fakes.papers import PDF, picture


async def upload(running: Node, octets: bytes, who: str | None = "leather", base: str = "") -> tuple[int, Any]:
    form = FormData()
    form.add_field("file", io.BytesIO(octets), filename="../../营业执照.exe", content_type="text/html")
    headers = {"Authorization": f"Bearer {running.tokens[who]}"} if who else {}
    async with running.client.post(base + UPLOAD, data=form, headers=headers) as response:
        return response.status, await response.json()


async def colleague(running: Node, role: Role) -> None:
    """Signs in somebody of that role as `role`."""
    await running.house.steward.put_account(Account(0, str(role), "person", role, None), password=KEPT)
    running.tokens[str(role)] = await running.house.doorkeeper.sign_in(str(role), PASSWORD, "192.0.2.1") or ""


async def test_what_is_uploaded_is_read_by_whom_it_is_for(database: str, tmp_path: Path) -> None:
    async with node(database, files=str(tmp_path / "files")) as running:
        for base, octets in (("", PDF), ("/snmsapi", picture("PNG"))):
            status, answer = await upload(running, octets, base=base)
            assert (status, answer["status"], answer["message"]) == (200, 1, "success")
            assert answer["data"]["path"] == f"/api/v1/files/{answer['data']['id']}"
        assert (await upload(running, PDF, "program"))[1]["status"] == 1
        path, name = answer["data"]["path"], f"{answer['data']['id']}.png"
        for role in Role:
            if role not in {Role.ENTERPRISE_ADMIN, Role.ENTERPRISE_USER}:
                await colleague(running, role)
        allowed = {"leather", "verifier", "reviewer"}
        for who, token in running.tokens.items():
            headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
            async with running.client.get(path, headers=headers) as response:
                assert response.status == (200 if who in allowed else 404), who
                if who in allowed:
                    assert (await response.read()).startswith(b"\x89PNG")
                    told = response.headers
        assert told["Content-Type"] == "image/png"
        assert told["Content-Disposition"] == f'attachment; filename="{name}"'
        assert told["X-Content-Type-Options"] == "nosniff"
        assert told["Cache-Control"] == "private, no-store"
        assert "sandbox" in told["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in told
        assert (await running.call("GET", path, who=None))[0] == 401
        assert (await running.call("GET", "/api/v1/files/999999999"))[0] == 404
        (tmp_path / "files").rename(tmp_path / "away")
        assert (await running.call("GET", path))[0] == 503


async def test_who_may_not_upload_is_told(database: str, tmp_path: Path) -> None:
    async with node(database, files=str(tmp_path / "files")) as running:
        assert (await upload(running, PDF, None))[1]["status"] == -1
        await colleague(running, Role.REVIEWER)
        assert (await upload(running, PDF, "reviewer"))[1] == {"status": -3, "message": "没有操作权限", "data": None}
    async with node(database) as running:
        status, answer = await upload(running, PDF)
        assert (status, answer["status"], answer["data"]) == (200, -2, None)
        assert "IDNODE_FILES" in answer["message"]
        assert (await running.call("GET", "/api/v1/files/1"))[0] == 404


async def test_why_a_file_is_not_taken_is_told(database: str, tmp_path: Path) -> None:
    async with (
        clamd(tmp_path / "clamd") as scanning,
        node(database, files=str(tmp_path / "files"), clamd=scanning.path) as running,
    ):
        for octets, zh in (
            (b"GIF89a", "文件应为JPEG、PNG、BMP图片或PDF（以内容为准）"),
            (picture().ljust(1024**2 + 1, b"\0"), "图片不能超过1 MB"),
            (PDF + INFECTED, "文件含有病毒（Test.Virus）"),
        ):
            assert await upload(running, octets) == (200, {"status": -2, "message": zh, "data": None})
        status, answer = await running.call("POST", UPLOAD, {"file": "x"})
        assert (status, answer["message"]) == (200, "Content-Type应为multipart/form-data，并有boundary")
        scanning.says = b""
        status, answer = await upload(running, PDF)
        assert (status, answer["status"]) == (503, -2)
        assert answer["message"] == "文件暂时不能接收：病毒扫描不可用，请稍后再试"


async def test_a_body_beyond_the_bound_is_refused_unread(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(database, files=str(tmp_path / "files")) as running:
        status, answer = await upload(running, PDF + bytes(UPLOAD_OCTETS))
        assert (status, answer["status"]) == (200, -2)
        assert str(UPLOAD_OCTETS) in answer["message"]
        monkeypatch.setattr("node.files.intake.EACH_MOST", 0)
        assert (await upload(running, PDF))[0] == 503
