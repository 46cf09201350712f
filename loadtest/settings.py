"""The command line of the load test: one table of options with unit, default and bounds, in Chinese and in English."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.mix import CLASSES, ROWS_MOST, Mix
from loadtest.population import MOST
from loadtest.target import Address, Target, TargetError, from_ready

PROGRAM: Final = "python -m loadtest"
OWN_NGINX: Final = "nginx"
"""The yardstick that is started by ourselves."""


@dataclass(frozen=True, slots=True)
class Number:
    """An option that takes a number: its default and bounds, and what it is."""

    default: float
    least: float
    most: float
    zh: str
    en: str

    @property
    def kind(self) -> type[int] | type[float]:
        """Whole unless the default has a point."""
        return type(self.default)


NUMBERS: Final[Mapping[str, Number]] = {
    "seconds": Number(30.0, 0.1, 86_400.0, "每轮运行的秒数", "seconds of a run"),
    "seed": Number(1, 0, 2**63 - 1, "种子：标识、到达时刻与选择", "the seed of names, arrivals and choices"),
    "rate": Number(1000.0, 0.1, 1_000_000.0, "每秒到达的请求数", "requests that arrive in a second"),
    "population": Number(20_000, 1, MOST, "预先注册的标识数", "identifiers registered beforehand"),
    "hot": Number(1000, 1, 100_000, "其中常被问的", "of these, the hot set"),
    "zipf": Number(1.0, 0.0, 5.0, "热集的Zipf指数；0为均匀", "Zipf exponent of the hot set; 0: all alike"),
    "batch": Number(500, 1, ROWS_MOST, "每批注册的行数", "rows of a batch"),
    "processes": Number(1, 1, 64, "负载进程数", "processes of the crowd"),
    "connections": Number(64, 1, 10_000, "连接总数", "connections of all processes"),
    "warm-up": Number(2.0, 0.0, 600.0, "正式计数前只问热集的秒数", "seconds of asking for the hot set, uncounted"),
    "pairs": Number(3, 1, 100, "与标尺轮流比较的次数", "turns taken with the yardstick"),
}
"""The options that take a number, by name. Each process keeps the requests of the hot set, 400 octets each."""

READY: Final = Path(".idnode/ready.json")
"""Where `idnode up` writes how it is reached, unless told otherwise."""
MIX: Final = "warm=70,cold=20,absent=10"


@dataclass(frozen=True, slots=True)
class Settings:
    """One command. `numbers` are those of NUMBERS; `rate` is None when it runs closed; `yardstick` is an address, or
    OWN_NGINX, or None.
    """

    target: Target
    mix: Mix
    numbers: Mapping[str, float]
    rate: float | None
    foreign: str
    yardstick: Address | str | None
    report: Path | None

    def __getitem__(self, name: str) -> float:
        return self.numbers[name]

    def whole(self, name: str) -> int:
        """One of the numbers that are whole."""
        return int(self.numbers[name])


class SettingsError(Exception):
    """The command line does not make sense; the text is for people."""


def parse(arguments: Sequence[str], password: str) -> Settings:
    """The command line; `password` serves when it gives none. Raises SettingsError or TargetError; --help exits."""
    given = _parser().parse_args(arguments)
    mix = _read(Mix.parse, given.mix)
    settings = Settings(
        target=_target(given, password),
        mix=mix,
        numbers={name: getattr(given, name.replace("-", "_")) for name in NUMBERS},
        rate=None if given.closed else given.rate,
        foreign=given.foreign_prefix,
        yardstick=given.yardstick if given.yardstick in {None, OWN_NGINX} else Address.parse(given.yardstick),
        report=given.report,
    )
    _check(settings)
    return settings


def nameless(arguments: Sequence[str]) -> bool:
    """Whether no node is named on the command line, nor does one of this folder run. --help exits."""
    given = _parser().parse_args(arguments)
    return given.url is None and given.ready == READY and not READY.exists()


def _parser() -> argparse.ArgumentParser:
    classes = "; ".join(f"{name} {kind.zh} {kind.en}" for name, kind in CLASSES.items())
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="向运行中的节点施加负载并测量。 Puts load on a running node and measures."
    )
    add = parser.add_argument
    add(
        "--ready",
        type=Path,
        default=READY,
        help="就绪文件；没有时自己启动一个节点 what idnode up wrote; without it, a node of its own (%(default)s)",
    )
    add("--url", help="节点地址，代替--ready the node, instead of --ready: http://host:port")
    add("--username", help="登录名（与--url合用） who signs in, with --url")
    add("--password", help="口令，或环境变量IDNODE_PASSWORD the password, or the variable IDNODE_PASSWORD")
    add(
        "--prefix",
        action="append",
        help="注册用的前缀，可重复（与--url合用） prefix to register under, may be repeated",
    )
    add("--operator", help="运维端口，读/metrics the operator port, whose /metrics is read: http://host:port")
    add("--mix", default=MIX, help=f"份额 shares (%(default)s): {classes}")
    add("--closed", action="store_true", help="不按到达，各连接尽快地问 no arrivals: each connection asks without rest")
    for name, number in NUMBERS.items():
        add_number(parser, name, number)
    add("--foreign-prefix", default="", help="别的节点的前缀，用于foreign a prefix of another node, for foreign")
    add("--yardstick", help="轮流比较的服务器 a server to compare with in turn: http://host:port, nginx")
    add("--report", type=Path, metavar="FILE", help="结果写成JSON the result as JSON")
    return parser


def add_number(parser: argparse.ArgumentParser, name: str, number: Number) -> None:
    """Makes `--name` an option of the parser."""
    parser.add_argument(
        f"--{name}",
        type=_within(number),
        default=number.default,
        metavar="N",
        help=f"{number.zh} {number.en} (%(default)s; {number.least:g}…{number.most:g})",
    )


def _within(number: Number) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = number.kind(text)
        except ValueError:
            value = None
        if value is None or not number.least <= value <= number.most:
            bounds = f"{number.least:g}…{number.most:g}"
            raise argparse.ArgumentTypeError(f"应为{bounds}之间的数：{text} must be a number within {bounds}: {text}")
        return value

    return read


def _read(reader: Callable[[str], Any], text: str) -> Any:
    try:
        return reader(text)
    except ValueError as error:
        raise SettingsError(f"--mix: {error}") from None


def _target(given: argparse.Namespace, password: str) -> Target:
    operator = Address.parse(given.operator) if given.operator else None
    if given.url is None:
        found = from_ready(given.ready)
        return Target(found.node, found.username, found.password, found.prefixes, operator or found.operator)
    secret = given.password or password
    if not (given.username and secret and given.prefix):
        raise TargetError(
            "用--url时还要--username、--prefix，以及--password或IDNODE_PASSWORD。 "
            "With --url give --username, --prefix, and --password or IDNODE_PASSWORD."
        )
    return Target(Address.parse(given.url), given.username, secret, tuple(given.prefix), operator)


def _check(settings: Settings) -> None:
    """What no single option can tell."""
    mix = settings.mix.shares
    if {"warm", "cold"} & mix.keys() and settings["hot"] > settings["population"] - ("cold" in mix):
        raise SettingsError(
            "--hot应小于--population，好让有热有冷。 --hot must be less than --population, to have warm and cold ones."
        )
    if ("foreign" in mix) != bool(settings.foreign):
        raise SettingsError("foreign与--foreign-prefix要一起用。 foreign and --foreign-prefix go together.")
    if settings.report and not settings.report.parent.is_dir():
        raise SettingsError(
            f"--report：没有目录{settings.report.parent}。 There is no folder {settings.report.parent}."
        )
    if settings["connections"] < settings["processes"]:
        raise SettingsError(
            "--connections不能少于--processes。 --connections must not be less than --processes: each wants one."
        )
