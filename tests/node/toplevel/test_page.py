"""Proves node/toplevel/page.py: it shows what the books hold, in both languages, harmless whatever they hold."""

import asyncio
import re
import subprocess
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pytest

from node.toplevel import page
from node.toplevel.faults import Faults
from node.toplevel.rules import STATE_NAMES
from proto import uplink_pb2 as pb
from proto.chain import Kind
from tests.fakes.secondary_node import Chain, enterprise, entry
from tests.waiting import PATIENCE

LEATHER = "88.999.1001"


@pytest.fixture
async def busy(top: Any) -> Any:
    """Books with something of everything."""
    node = await top.enrolled()
    await node.file(LEATHER)
    await node.file("88.999.1002")
    await top.audit()
    chain = Chain(LEATHER)
    chain.add(entry("", 5, Kind.PREFIX_ENABLED, ""))
    chain.add(*(entry(f"BAG-{n}") for n in range(1200)))
    chain.add(entry("BAG-0", 2, Kind.DELETED))
    await node.push(chain.stream())
    beat = pb.HeartbeatRequest(version="0.1.0", machine="ab12cd", oldest_unreceipted=top.clock[0] - 7000, unreceipted=3)
    await node.ask("Heartbeat", beat)
    window = pb.Window(prefix=LEATHER, start=top.clock[0] - 600_000, seconds=300, registered_total=1199)
    await node.ask("ReportStatistics", pb.ReportStatisticsRequest(windows=[window]))
    bag = pb.Template(prefix=LEATHER, version="bag", epoch=1, state=pb.TEMPLATE_STATE_PUBLISHED, revision=2)
    bag.name_zh, bag.name_en = "手袋<b>", "Bag"
    await node.ask("PushTemplates", pb.PushTemplatesRequest(templates=[bag]))
    order = {"kind": "suspend", "prefix": "88.999.1002", "reason": "抽查不合格"}
    async with top.session.post(f"{top.url}/control/orders", json=order) as response:
        assert response.status == 202
    return top


async def shown(top: Any, query: str = "", **headers: str) -> str:
    async with top.session.get(f"{top.url}/{query}", headers=headers) as response:
        assert response.status == 200
        assert "script" not in response.headers["Content-Security-Policy"]
        html: str = await response.text()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_it_shows_what_the_books_hold(busy: Any):
    text = await shown(busy)
    for told in (
        "国家顶级节点（模拟）",
        "88.999 节点",
        "ab12cd",
        "心跳时最早未回执 7 s",
        f"{LEATHER} 广州市第1皮具有限公司 正常",
        "有效标识 1,199",
        "节点所报有效标识 1,199",
        "1,200 / 0 / 1 / 0",
        "88.999.1002 广州市第1皮具有限公司 已停用",
        "抽查不合格",
        f"{LEATHER} #2 新增 BAG-0 等1,200条",
        f"{LEATHER} #1 前缀启用",
        f"{LEATHER} bag 手袋&lt;b&gt;, 第2版，0个属性, 已发布",
        "88.999.1002 停用 等待",
        "逐批验证，尚未整链复算",
    ):
        assert told in text, told
    assert "无心跳" not in text


async def test_it_tells_what_a_proof_found(busy: Any):
    async with busy.session.get(f"{busy.url}/control/verify?prefix={LEATHER}"):
        assert "链完整 复算至第3号" in await shown(busy)
    await busy.office.pool.execute("DELETE FROM toplevel.change WHERE number = 2")
    async with busy.session.get(f"{busy.url}/control/verify?prefix={LEATHER}"):
        assert "链不完整 缺少第2号变更" in await shown(busy)
    assert "chain broken change 2 is missing" in await shown(busy, "?lang=en")


async def test_it_speaks_the_language_asked_for(busy: Any):
    for text in (await shown(busy, "?lang=en"), await shown(busy, **{"Accept-Language": "en-GB,zh"})):
        assert "National top-level node (simulated)" in text
        assert "Live identifiers 1,199" in text
        assert "chain" in text
    assert "国家顶级节点" in await shown(busy, **{"Accept-Language": "de"})


async def test_a_node_that_is_silent_and_faults_that_are_on_are_seen(busy: Any):
    busy.clock[0] += page.SILENT_SECONDS * 1000 + 1
    busy.fault(outage=True, refused_prefixes={"88.999.7": "x"}, delay_seconds=0.5)
    text = await shown(busy)
    assert "无心跳" in text
    for told in ("全部中断 True", "指定驳回的前缀 88.999.7", "应答延迟（秒） 0.5"):
        assert told in text


async def test_times_are_those_of_the_zone(busy: Any):
    assert "2026-11-22 16:15:54+08:00" in await shown(busy)


async def test_in_a_browser_it_is_styled_renews_itself_and_is_no_wider_than_a_phone(
    busy: Any, program: Callable[[str], str], tmp_path: Path
):
    chromium = program("chromium")
    async with busy.session.get(busy.url) as response:
        html = await response.text()
    assert f'<meta http-equiv="refresh" content="{page.REFRESH_SECONDS}">' in html
    sheets = "".join(octets.decode() for octets in page.STATIC.values())
    html, links = re.subn(r'<link rel="stylesheet"[^>]*>', "", html)
    assert links == len(page.STATIC)
    measure = """<script>addEventListener("load", () => {
        const root = document.documentElement, outer = parent.document.documentElement.dataset;
        outer.wide = root.scrollWidth;
        outer.round = getComputedStyle(document.querySelector("section:nth-of-type(2)")).borderRadius;
        })</script></body>"""
    inner = escape(html.replace("</head>", f"<style>{sheets}</style></head>").replace("</body>", measure))
    copy = tmp_path / "page.html"
    copy.write_text(f'<!doctype html><meta charset="utf-8"><iframe width="390" height="844" srcdoc="{inner}"></iframe>')
    quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
    ]
    done = await asyncio.to_thread(
        subprocess.run, [chromium, *quiet, copy.as_uri()], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    found = dict(re.findall(r'data-(\w+)="([^"]*)"', done.stdout[: done.stdout.index("<head")]))
    assert found == {"wide": "390", "round": "16px"}


async def test_an_empty_page_is_a_page(top: Any):
    text = await shown(top)
    assert text.count("还没有。") == 5


async def test_what_would_harm_is_text(top: Any):
    node = await top.enrolled()
    harm = "<script>alert(1)</script>"
    await node.ask("CreateEnterprise", pb.CreateEnterpriseRequest(enterprise=enterprise(ent_name_cn=harm)))
    await node.file(LEATHER)
    async with top.session.get(top.url) as response:
        html = await response.text()
    assert harm not in html
    assert "&lt;script&gt;" in html


async def test_the_style_sheets_are_there_and_nothing_else(top: Any):
    for name, status in (("page.css", 200), ("books.css", 200), ("page.py", 404), ("..%2Fpage.py", 404)):
        async with top.session.get(f"{top.url}/static/{name}") as response:
            assert response.status == status


async def test_books_that_are_away_are_told(top: Any):
    top.office.pool.terminate()
    async with top.session.get(top.url) as response:
        assert response.status == 503


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-5, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (3_600_000, "1 h"), (200_000_000, "2 d")],
)
def test_times_are_told_in_units_people_use(milliseconds: int, text: str):
    assert page._ago(milliseconds) == text


def test_there_is_a_word_for_everything_in_both_languages():
    assert set(page.FAULTS) == set(Faults.__struct_fields__)
    assert set(page.KINDS) == set(Kind)
    assert set(page.ORDERS) == set(pb.OrderKind.values()) - {0}
    assert set(STATE_NAMES) == set(pb.PrefixState.values()) - {0}
    for table in (page.WORDS, page.FAULTS, page.KINDS, page.ORDERS):
        for zh, en in table.values():
            assert re.search("[\u4e00-\u9fff]", zh)
            assert re.search("[A-Za-z]", en)
