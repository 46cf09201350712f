"""The page as a real browser shows it: in both languages, light and dark, on a phone, and with values that would harm.

What it looks like cannot be asked without script; so a copy of the page's own octets measures itself.
"""

import re
import struct
import subprocess
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from node.console import pages
from proto.identifier import Identifier

PHONE = "390,844"
BAG = "88.999.1001/BAG-2026-000017"
PATIENCE = 120
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

Browse = Callable[..., str]


@pytest.fixture
def browse(program: Callable[[str], str], tmp_path: Path) -> Browse:
    """What Chromium makes of an address, as HTML; options are Chromium's own."""
    chromium = program("chromium")

    def run(address: str, *options: str) -> str:
        command = [chromium, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *options, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def first_pixel(picture: Path) -> tuple[int, ...]:
    """Red, green and blue of the upper left corner of a PNG; no filter changes that pixel."""
    octets, at, data = picture.read_bytes(), 8, b""
    while at < len(octets):
        length, kind = struct.unpack_from(">I4s", octets, at)
        data += octets[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return tuple(zlib.decompress(data)[1:4])


def fetched(address: str) -> str:
    """The page as it is sent to a browser."""
    request = urllib.request.Request(address, headers={"Accept": "text/html", "Accept-Language": "zh"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return str(response.read().decode())


MEASURE = """<script>addEventListener("load", () => {
const root = document.documentElement, outer = parent.document.documentElement.dataset;
outer.wide = root.scrollWidth;
outer.cells = root.querySelectorAll("td").length;
outer.owned = root.dataset.owned ?? "no";
})</script></body>"""


def measuring(html: str, width: int, folder: Path) -> str:
    """The address of a frame `width` wide (windows have a least width) around a copy of a page that measures itself."""
    style = f"<style>{pages.STATIC['page.css'].decode()}</style>"
    html, links = re.subn(r'<link rel="stylesheet"[^>]*>', lambda _: style, html)
    assert links == 1
    inner = escape(html.replace("</body>", MEASURE))
    frame = f'<iframe width="{width}" height="844" frameborder="0" srcdoc="{inner}"></iframe>'
    copy = folder / "page.html"
    copy.write_text(f'<!doctype html><meta charset="utf-8">{frame}', encoding="utf-8")
    return copy.as_uri()


def measured(dom: str) -> dict[str, str]:
    """What a `measuring` page found out."""
    return dict(re.findall(r'data-(\w+)="([^"]*)"', dom[: dom.index(">", dom.index("<html"))]))


def rows(dom: str) -> dict[str, str]:
    """The table, as text."""
    found = re.findall(r'<th scope="row">(.*?)</th><td[^>]*>(.*?)</td>', dom, re.DOTALL)
    return {label: re.sub("<[^>]*>", "", value) for label, value in found}


def test_the_page_speaks_the_language_of_the_browser(world: Any, browse: Browse) -> None:
    zh = browse(f"{world.http}/{BAG}", "--accept-lang=zh-CN", "--dump-dom")
    en = browse(f"{world.http}/{BAG}", "--accept-lang=en-GB", "--dump-dom")
    assert '<html lang="zh-CN">' in zh
    assert '<html lang="en">' in en
    assert rows(zh)["颜色"] == rows(en)["Colour"] == "焦糖棕"
    assert len(rows(zh)) == len(rows(en)) > 20
    assert rows(zh)["重量"].endswith(" g")
    chosen = browse(f"{world.http}/{BAG}?lang=en", "--accept-lang=zh-CN", "--dump-dom")
    assert rows(chosen) == rows(en)


def test_a_reference_leads_to_the_page_of_what_it_names(world: Any, browse: Browse) -> None:
    dom = browse(f"{world.http}/{BAG}", "--accept-lang=zh-CN", "--dump-dom")
    link = re.search(r'<a class="code" href="(/88\.999\.1001/LB-[^"]*)">', dom)
    assert link
    batch = browse(world.http + link[1], "--accept-lang=zh-CN", "--dump-dom")
    assert "皮料批次" in batch
    assert "皮革种类" in rows(batch)


def test_nothing_that_is_not_public_reaches_the_browser(world: Any, browse: Browse) -> None:
    dom = browse(f"{world.http}/{BAG}", "--accept-lang=zh-CN", "--dump-dom")
    assert not {"客户", "单位成本", "防伪码", "建议零售价"} & rows(dom).keys()


def test_what_was_never_registered_is_said_in_a_sentence(world: Any, browse: Browse) -> None:
    dom = browse(f"{world.http}/88.999.1001/BAG-NEVER-000001", "--accept-lang=zh-CN", "--dump-dom")
    assert "<h1>没有登记过</h1>" in dom
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(f"{world.http}/88.999.1001/BAG-NEVER-000001")


def test_the_form_of_the_landing_page_arrives_at_the_page(world: Any, browse: Browse) -> None:
    landing = browse(f"{world.http}/", "--accept-lang=zh-CN", "--dump-dom")
    assert re.search(r'<form action="/"[^>]*>.*name="identifier"', landing, re.DOTALL)
    assert landing.count("<li>") >= 3, "samples to begin with"
    arrived = browse(f"{world.http}/?identifier=88.999.1001%2FBAG-2026-000017", "--accept-lang=zh-CN", "--dump-dom")
    assert rows(arrived)["颜色"] == "焦糖棕"


@pytest.mark.parametrize(("scheme", "paper"), [(1, (0xF4, 0xF5, 0xF3)), (0, (0x0F, 0x14, 0x13))], ids=["light", "dark"])
def test_the_style_sheet_is_let_in_and_follows_day_and_night(
    world: Any, browse: Browse, tmp_path: Path, scheme: int, paper: tuple[int, ...]
) -> None:
    picture = tmp_path / "page.png"
    browse(
        f"{world.http}/{BAG}",
        f"--screenshot={picture}",
        f"--window-size={PHONE}",
        f"--blink-settings=preferredColorScheme={scheme}",
    )
    assert first_pixel(picture) == paper


@pytest.mark.parametrize("path", ["", BAG, "88.999.2001/PACK-XH-P092-000001", "?lang=en", f"{BAG}?lang=en"])
@pytest.mark.parametrize("width", [320, 390])
def test_no_page_is_wider_than_a_phone(world: Any, browse: Browse, tmp_path: Path, path: str, width: int) -> None:
    copy = measuring(fetched(f"{world.http}/{path}"), width, tmp_path)
    assert measured(browse(copy, "--dump-dom"))["wide"] == str(width)


HARM = [
    "<script>document.documentElement.dataset.owned = 1</script>",
    "<img src=x onerror='document.documentElement.dataset.owned = 1'>",
    '"><svg onload="document.documentElement.dataset.owned = 1">',
    "w" * 4096,
    "长" * 4096,
    "https://example.com/" + "w" * 4000,
    "\u202e\u062a\u0643\u0644\u0641\u0629 ABC",
]


def test_values_that_would_harm_neither_run_nor_widen_the_page(browse: Browse, tmp_path: Path) -> None:
    values = [
        {"index": 2000 + n, "type": f"t{n}", "data": {"format": "string", "value": harm}, "ttl": 1}
        for n, harm in enumerate(HARM)
    ]
    longest = Identifier.parse("88.999.1001/" + "W" * 243)
    look = pages.Look("zh", False, "88.999")
    html = pages.found_page(look, longest, msgspec.json.encode(values), None, ZoneInfo("Asia/Shanghai"))
    found = measured(browse(measuring(html, 390, tmp_path), "--dump-dom"))
    assert found == {"wide": "390", "cells": str(len(HARM)), "owned": "no"}


def test_the_measure_would_notice_both(browse: Browse, tmp_path: Path) -> None:
    html = '<link rel="stylesheet"><body><p style="width: 500px">' + HARM[1] + "</p></body>"
    found = measured(browse(measuring(html, 390, tmp_path), "--dump-dom"))
    assert int(found["wide"]) > 390
    assert found["owned"] == "1"
