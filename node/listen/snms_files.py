"""The SNMS OpenAPI, files: POST /snms/api/file/upload (secondary node API, v3 and v5 alike).

What a file may be is registry/file.py's, what becomes of it node/files/intake.py's.
"""

from typing import Final

from aiohttp import web

from node import clock
from node.files.folder import FolderError
from node.files.scanner import ScannerAwayError
from node.listen import replies
from node.listen.bodies import BODIES
from node.listen.http import COME_AGAIN, HOUSE, json_response
from node.listen.multipart import FORM_OCTETS, file_in
from node.listen.snms_api import BASES, Answer, enveloped, refused, signed, success
from registry.account import Account
from registry.file import PDF_OCTETS, FileError
from registry.rights import Right

UPLOAD: Final = "/snms/api/file/upload"
UPLOAD_OCTETS: Final = PDF_OCTETS + FORM_OCTETS
"""Largest body of an upload."""
_NO_FOLDER: Final = "本节点不接收文件：未设置IDNODE_FILES"
_NOT_NOW: Final = {
    ScannerAwayError: "文件暂时不能接收：病毒扫描不可用，请稍后再试",
    FolderError: "文件暂时不能接收：存储不可用，请稍后再试",
}
"""Nothing was kept, and the client may come again."""


@signed
async def upload(request: web.Request, account: Account) -> Answer:
    """POST …/file/upload: a form with one `file` → its number `id` and the `path` where it is read."""
    files = request.app[HOUSE].files
    if not account.may(Right.UPLOAD):
        return json_response(enveloped(replies.SNMS_NO_PERMISSION, replies.SNMS_NO_PERMISSION_TEXT))
    if files is None:
        return refused(_NO_FOLDER)
    try:
        with files.place(account.number):
            body = await request.app[BODIES].whole(request, UPLOAD_OCTETS)
            octets = file_in(request.headers.get("Content-Type", ""), body)
            number = await files.take(account.number, octets, clock.utc())
    except FileError as error:
        return refused(error.zh)
    except tuple(_NOT_NOW) as error:
        return json_response(enveloped(replies.SNMS_REFUSED, _NOT_NOW[type(error)]), 503, COME_AGAIN)
    return success({"id": number, "path": f"/api/v1/files/{number}"})


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    for base in BASES:
        app.router.add_post(base + UPLOAD, upload)
