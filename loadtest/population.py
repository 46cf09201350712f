"""Whom the crowd asks for: identifiers whose names, order and values derive from a seed. Pure arithmetic; none is kept.

How they come to be registered is said in registering.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.said import Item

MOST: Final = 1_000_000_000
"""Largest population: nine digits in a name."""
CHUNK: Final = 1000
"""Members registered in one call, all under one prefix; neighbours stand under different ones."""
TEMPLATE: Final = "loadtest-1"
"""The version name of our template under each prefix; its number grows with every change of ITEMS."""

_ATTRIBUTES: Final = """
serialNo 序列号 required 64 public
productName 产品名称 required 64 public
model 型号 required 64 partners
producedOn 生产日期 required 10 partners
batchNo 生产批号 optional 64 partners
colour 颜色 optional 64 partners
material 主要材料 optional 128 partners
size 尺寸 optional 64 partners
weight 重量 optional 32 partners
standardNo 执行标准 optional 128 partners
inspectionResult 检验结论 optional 64 partners
manufacturerName 生产企业 optional 128 internal
plant 生产车间 optional 64 internal
orderNo 订单号 optional 64 internal
inspector 检验员 optional 64 internal
"""
"""Name, in Chinese, whether it must be there, most characters, who may see it."""


def _item(index: int, name: str, zh: str, need: str, most: str, access: str) -> Item:
    return Item(index, name, zh, need == "required", int(most), access)


ITEMS: Final = tuple(_item(2000 + place, *line.split()) for place, line in enumerate(_ATTRIBUTES.split("\n")[1:-1]))
"""Fifteen attributes, some 420 octets of text; two are public, which makes an answer of some 600 octets."""
CHECKED: Final = "serialNo"
"""The attribute an answer is checked for: it tells each identifier from every other."""

_COLOURS: Final = ("酒红", "驼色", "黑色", "深棕", "墨绿", "藏青", "米白", "焦糖")


def texts(serial: str, number: int) -> tuple[str, ...]:
    """The texts of the attributes in order."""
    return (
        serial,
        "手工缝制头层牛皮手提包 Hand-stitched handbag",
        f"TOTE-{number % 97:02d}-L-2026",
        f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
        f"B2026{number // CHUNK:06d}-{number % 3}",
        _COLOURS[number % len(_COLOURS)],
        "头层小牛皮，里料为棉麻混纺 calfskin, lined with cotton and linen",
        "320 × 240 × 120 mm",
        f"{800 + number % 400} g",
        "QB/T 1333-2018 背提包",
        "合格，缝线与五金逐件检验 passed, seams and fittings checked",
        "某某皮具有限公司第二制造中心 Second Works",
        f"三号楼 Hall 3, Line {number % 7 + 1}",
        f"PO-2026-{number // 250:07d}",
        f"QC-{number % 31:03d} 李某某",
    )


@dataclass(frozen=True, slots=True)
class Population:
    """`size` identifiers (1 … MOST) spread over `prefixes` in chunks."""

    prefixes: tuple[str, ...]
    seed: int
    size: int

    def prefix(self, number: int) -> str:
        """The prefix a member stands under."""
        return self.prefixes[number // CHUNK % len(self.prefixes)]

    def serial(self, number: int) -> str:
        """What member `number` (from 0) is called after its prefix, and carries as its serial number."""
        return f"LOAD-{self.seed}-{number:09d}"

    def chunks(self) -> Sequence[range]:
        """The members in the order they are registered in."""
        return [range(at, min(at + CHUNK, self.size)) for at in range(0, self.size, CHUNK)]

    def member(self, rank: int) -> int:
        """The member at `rank` (0 … size - 1) of the seeded order: each at exactly one rank, neighbours far apart.

        A Feistel network of four rounds over the next even power of two, walked until it ends within the population
        (Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002).
        """
        half = max(1, ((self.size - 1).bit_length() + 1) // 2)
        mask = (1 << half) - 1
        number = rank
        while True:
            left, right = number >> half, number & mask
            for turn in range(4):
                left, right = right, left ^ (_mixed(right, self.seed, turn) & mask)
            number = left << half | right
            if number < self.size:
                return number


def _mixed(half: int, seed: int, turn: int) -> int:
    """32 bits that depend on every bit of the half, as Knuth's multiplicative hashing and a shift have it."""
    mixed = (half * 0x9E3779B1 + seed * 0x85EBCA6B + turn * 0xC2B2AE35) & 0xFFFFFFFF
    mixed = ((mixed ^ mixed >> 15) * 0x2C1B3C6D) & 0xFFFFFFFF
    return mixed ^ mixed >> 13
