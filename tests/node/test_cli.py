"""The command line: every verb and flag of the contract, and one sentence with exit code 2 for what cannot be done.

The verb `user` (users.py) is proven here, too, and so is what stands in node/verbs: administration, asking, given,
importing, keeping, records, running, shell.
"""

import asyncio
import base64
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node import cli
from node.embedded import Servers
from node.verbs import administration, shell
from registry import application
from registry.account import Account, Due, Vault
from registry.examiner import Examiner
from registry.filing import Filing
from registry.lookup import Lookup
from registry.postgres.connection import open_pool
from registry.prefix import PrefixState
from registry.rights import Role
from registry.steward import Steward
from tests.fakes import applicant

KEY = bytes(range(32))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting in the environment, no .idnode in the folder."""
    for name in [name for name in os.environ if name.startswith("IDNODE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def idnode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; its exit code, output and errors."""

    def run(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["idnode", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, database: str) -> str:
    """A database of its own, named by the environment."""
    monkeypatch.setenv("IDNODE_DATABASE_URL", database)
    monkeypatch.setenv("IDNODE_SECRET_KEY", base64.b64encode(KEY).decode())
    return database


def asked(database: str, question: Callable[[Steward, Lookup], Coroutine[Any, Any, Any]]) -> Any:
    async def ask() -> Any:
        pool = await open_pool(database, size=1, name="idnode-test")
        try:
            return await question(Steward(pool), Lookup(pool))
        finally:
            await pool.close()

    return asyncio.run(ask())


def is_a_sentence(run: tuple[int, str, str], *parts: str) -> None:
    """Exit code 2, nothing on standard output, one line on standard error that holds `parts`, and no trace."""
    code, out, err = run
    assert code == 2, err
    assert out == ""
    assert err.startswith("idnode: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


# -- verbs and flags


CHIEF = ("chief", "--person", "周 1001")

CONTRACT = [
    "up --data d --http-port 1 --https-port 2 --native-port 3 --operator-port 4 --toplevel-port 5 --host 0.0.0.0 "
    "--operator-host 127.0.0.1 --public-url https://x --workers 3 --no-samples",
    "serve --http-port 1 --native-port 0 --client-cert-port 2 --config c.toml",
    "toplevel --toplevel-port 5 --host 0.0.0.0 --config c.toml",
    "migrate",
    "doctor --data d",
    "resolve 88.999.1001/A --url http://127.0.0.1:1",
    "user add name --program --enterprise 88.999.1001 --ask-password",
    "user list",
    "user disable name",
    "enterprise add 某某公司 --name-en Some --prefix 88.999.7 --industry leather",
    "enterprise list",
    "enterprise applications --all",
    "enterprise show 1",
    "enterprise verify 1 --as he --refuse 证照不清",
    "enterprise review 1 --as shen",
    "enterprise quota 88.999.7 --identifiers 1000 --calls none --room 0",
    "enterprise erase 88.999.7",
    "uplink forget",
    "audit --data d verify",
    "audit export --format csv --actor a --action prefix_changed --object x --since 2026-11-23 --until 2026-11-24",
    "access-log read --from 2026-11-23 --to 2026-11-24 --identifier 88.999.1001/A --account a",
    "template refer",
    "key add 88.999.1001/ADMIN 301 c.pem --certificate --replace --data d",
    "import f.csv --enterprise leather --template t --dry-run",
    "import f.parcel --signed-by 00 --data d",
    "export 88.999.7 f.parcel --to 88.777 --data d",
    "reconcile f.csv --enterprise leather --template t",
    "forget 88.999.1/A 88.999.1/B --file more.txt --attribute inspector --attribute phone --reason 本人请求",
]


@pytest.mark.parametrize("line", CONTRACT)
def test_every_verb_and_flag_of_the_contract_is_taken(line: str) -> None:
    assert callable(cli._parser().parse_args(line.split()).run)


@pytest.mark.parametrize("line", ["user {} list", "user list {}", "enterprise {} show 1", "enterprise show 1 {}"])
@pytest.mark.parametrize("flag", ["data", "config"])
def test_where_the_node_is_may_be_said_before_and_behind_an_action(line: str, flag: str) -> None:
    read = cli._parser().parse_args(line.format(f"--{flag} there").split())
    assert getattr(read, flag) == Path("there")
    assert cli._parser().parse_args(["user", "list"]).data == shell.DEFAULT_DATA


def test_every_verb_s_file_knows_it_and_no_other() -> None:
    files = {verb.file: import_module(f"node.verbs.{verb.file}") for verb in cli.VERBS}
    known = [(name, file) for file, module in files.items() for name in module.VERBS]
    assert sorted(known) == sorted((verb.name, verb.file) for verb in cli.VERBS)


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["--help"], []),
        (["import", "f.csv", "--template", "t"], ["aiohttp"]),
        (["resolve", "88.999.1001/A"], ["aiohttp", "node.config"]),
    ],
)
def test_a_verb_loads_what_it_needs_and_no_more(words: list[str], loaded: list[str]) -> None:
    heavy = ["aiohttp", "asyncpg", "node.config", "node.listen", "node.supervisor", "registry.steward"]
    told = f"import atexit, sys; atexit.register(lambda: print(*(m for m in {heavy} if m in sys.modules)))"
    code = f"{told}; from node import cli; cli._parser().parse_args({words})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == loaded


def test_help_is_said_in_both_languages(idnode: Run) -> None:
    code, out, _ = idnode("--help")
    assert code == 0
    assert "二级节点" in out
    assert "secondary node" in out
    for verb in (
        "up",
        "serve",
        "toplevel",
        "migrate",
        "doctor",
        "resolve",
        "user",
        "enterprise",
        "import",
        "reconcile",
    ):
        assert f"\n    {verb} " in out or f"\n    {verb}\n" in out


def test_who_reads_no_further_ends_the_verb_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as shut, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", shut)
        with pytest.raises(SystemExit) as ended:
            shell.say("88.999.1001")
    assert ended.value.code == shell.PIPE_SHUT


def test_an_unknown_verb_is_refused(idnode: Run) -> None:
    code, _, err = idnode("upp")
    assert code == 2
    assert "upp" in err


# -- sentences


def test_a_bad_setting_stops_every_verb_with_its_name(idnode: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDNODE_WORKERS", "none")
    for words in (["up"], ["serve"], ["migrate"], ["doctor"], ["user", "list"], ["enterprise", "list"]):
        is_a_sentence(idnode(*words), "IDNODE_WORKERS")


def test_an_unknown_setting_stops_it(idnode: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDNODE_HTTPPORT", "1")
    is_a_sentence(idnode("serve"), "IDNODE_HTTPPORT")


def test_a_settings_file_that_is_not_there(idnode: Run) -> None:
    is_a_sentence(idnode("serve", "--config", "nowhere.toml"), "nowhere.toml")


def test_serve_says_what_it_needs(idnode: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    is_a_sentence(idnode("serve"), "IDNODE_DATABASE_URL")
    monkeypatch.setenv("IDNODE_DATABASE_URL", "postgresql://localhost/x")
    is_a_sentence(idnode("serve"), "IDNODE_SECRET_KEY")


def test_toplevel_says_what_it_needs(idnode: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    is_a_sentence(idnode("toplevel"), "IDNODE_TOPLEVEL_DATABASE_URL")
    monkeypatch.setenv("IDNODE_DATABASE_URL", "postgresql://localhost/x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        is_a_sentence(idnode("toplevel", "--toplevel-port", port), port, "--toplevel-port")


@pytest.mark.parametrize("words", [["migrate"], ["user", "list"], ["enterprise", "list"]])
@pytest.mark.parametrize("content", [None, "", "[]", "{}", "7"])
def test_without_servers_it_says_where_they_would_come_from(
    idnode: Run, tmp_path: Path, words: Sequence[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / ".idnode").mkdir()
        (tmp_path / ".idnode" / "servers.json").write_text(content)
    is_a_sentence(idnode(*words), "IDNODE_DATABASE_URL", "servers.json")


@pytest.mark.parametrize("content", [None, "[]", "{}"])
def test_resolve_says_that_no_node_is_running(idnode: Run, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".idnode").mkdir()
        (tmp_path / ".idnode" / "ready.json").write_text(content)
    is_a_sentence(idnode("resolve", "88.999.1001/A"), "ready.json")


def test_resolve_says_that_the_node_cannot_be_reached(idnode: Run) -> None:
    is_a_sentence(idnode("resolve", "88.999.1001/A", "--url", "http://127.0.0.1:1"), "cannot be reached")


def test_a_quota_is_shown_and_set(idnode: Run, served: str) -> None:
    idnode("enterprise", "add", "甲", "--prefix", "88.999.77", "--industry", "leather")
    code, out, _ = idnode("enterprise", "quota", "甲")
    assert (code, out.count("不限 none")) == (0, 3)
    code, out, _ = idnode("enterprise", "quota", "88.999.77", "--identifiers", "5", "--room", "0")
    assert [line.split()[-1] for line in out.splitlines()] == ["甲", "5", "none", "0"]
    assert [line.split()[-1] for line in idnode("enterprise", "quota", "甲", "--room", "none")[1].splitlines()] == [
        *("甲", "5", "none", "none")
    ]
    is_a_sentence(idnode("enterprise", "quota", "乙"), "乙")
    for wrong in ("-1", "x", "1e3", "9" * 19):
        assert idnode("enterprise", "quota", "甲", "--calls", wrong)[0] == 2


def test_a_prefix_is_packed_at_one_node_and_taken_in_at_another(
    idnode: Run, served: str, tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    idnode("enterprise", "add", "甲", "--prefix", "88.999.77", "--industry", "leather")
    file = str(tmp_path / "甲.parcel")
    is_a_sentence(idnode("export", "88.999.77", file, "--to", "88.999"), "88.999.77", "stop")
    is_a_sentence(idnode("enterprise", "erase", "88.999.77"), "没有迁出", "has not moved")
    asked(served, lambda steward, _: steward.set_prefix_state("88.999.77", PrefixState.STOPPED))
    waiting = Path(f"{file}.part")  # for what is written into it
    waiting.touch()
    waiting.chmod(0o666)
    code, out, _ = idnode("export", "88.999.77", file, "--to", "88.999")
    assert (code, Path(file).stat().st_mode & 0o777) == (0, 0o600)
    key = out.split()[-1]
    is_a_sentence(idnode("import", file, "--signed-by", key), "88.999.77", "lives")

    monkeypatch.setenv("IDNODE_DATABASE_URL", empty_database)
    idnode("migrate")
    is_a_sentence(idnode("import", file), key, "--signed-by")
    is_a_sentence(idnode("import", file, "--signed-by", "00" * 32), key)
    code, out, _ = idnode("import", file, "--signed-by", key)
    assert (code, out.split()[:2]) == (0, ["88.999.77", "甲"])
    assert "停用" in idnode("enterprise", "list")[1]
    assert idnode("enterprise", "erase", "88.999.77")[:2] == (0, "88.999.77  已清除 erased\n")
    assert "已迁出" in idnode("enterprise", "list")[1]
    assert idnode("import", file, "--signed-by", key)[0] == 0
    Path(file).write_bytes(Path(file).read_bytes().replace("甲".encode(), "乙".encode()))
    is_a_sentence(idnode("import", file, "--signed-by", key), "signature")
    assert idnode("import", str(tmp_path / "none.csv"))[0] == 2


def test_what_is_no_identifier_is_explained(idnode: Run) -> None:
    is_a_sentence(idnode("resolve", "nonsense"), "标识", "slash")


def test_a_database_that_is_away_is_a_sentence(idnode: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDNODE_DATABASE_URL", "postgresql://idnode@/idnode?host=/nowhere&port=5432")
    for words in (["migrate"], ["user", "list"]):
        is_a_sentence(idnode(*words))


def test_ctrl_c_is_no_error(idnode: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(work: Coroutine[Any, Any, int]) -> None:
        work.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.asyncio, "run", interrupted)
    code, out, err = idnode("doctor")
    assert (code, out, err) == (130, "", "")


# -- work


def test_migrate_takes_every_step_once(idnode: Run, monkeypatch: pytest.MonkeyPatch, empty_database: str) -> None:
    monkeypatch.setenv("IDNODE_DATABASE_URL", empty_database)
    code, out, _ = idnode("migrate")
    assert code == 0
    assert "0001 foundation" in out
    code, out, _ = idnode("migrate")
    assert code == 0
    assert out == "数据库结构已是最新 · the schema is up to date\n"


def test_migrate_finds_the_servers_of_a_running_up(idnode: Run, tmp_path: Path, empty_database: str) -> None:
    (tmp_path / "world").mkdir()
    servers = {"database_url": empty_database, "redis_url": "", "secret_key": base64.b64encode(KEY).decode(), "pid": 1}
    (tmp_path / "world" / "servers.json").write_text(json.dumps(servers))
    code, out, _ = idnode("migrate", "--data", "world")
    assert code == 0
    assert "0001 foundation" in out


def test_doctor_tells_by_its_exit_code(
    idnode: Run, monkeypatch: pytest.MonkeyPatch, served: str, servers: Servers
) -> None:
    monkeypatch.setenv("IDNODE_REDIS_URL", servers.redis_url)
    monkeypatch.setenv("IDNODE_HTTP_PORT", "18971")
    monkeypatch.setenv("IDNODE_NATIVE_PORT", "0")
    monkeypatch.setenv("IDNODE_OPERATOR_PORT", "18972")
    monkeypatch.setenv("IDNODE_TOPLEVEL_PORT", "18973")
    code, out, _ = idnode("doctor")
    assert code == 0, out
    assert [line[0] for line in out.splitlines()] == ["✔"] * 14
    monkeypatch.delenv("IDNODE_SECRET_KEY")
    code, out, _ = idnode("doctor")
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("✘")] != []


def test_doctor_beside_a_running_up_looks_at_what_that_has(
    idnode: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: str
) -> None:
    monkeypatch.delenv("IDNODE_DATABASE_URL")
    files = tmp_path / "files"
    files.mkdir()
    key = base64.b64encode(KEY).decode()
    world = {"database_url": served, "redis_url": "", "secret_key": key, "files": str(files), "pid": 1}
    (tmp_path / "servers.json").write_text(json.dumps(world))
    code, out, _ = idnode("doctor", "--data", str(tmp_path))
    assert code == 0, out
    assert f"✔ files          {files}" in out
    assert "_port" not in out, "its ports are its own"


def test_a_firm_is_registered_with_its_prefix_and_templates(idnode: Run, served: str) -> None:
    words = ["enterprise", "add", "广州某皮具有限公司", "--prefix", "88.999.77", "--industry", "leather"]
    for _ in range(2):
        assert idnode(*words)[0] == 0, "a second time changes nothing"
    code, out, _ = idnode("enterprise", "list")
    wanted = ["88.999.77", "leather", "启用", "未报送", "not", "filed", "广州某皮具有限公司"]
    assert (code, out.split()) == (0, wanted)
    template = asked(served, lambda _, lookup: lookup.named_template("88.999.77", "leather-handbag"))
    assert template is not None


def test_a_prefix_that_cannot_be_had_is_a_sentence(idnode: Run, served: str) -> None:
    words = ["enterprise", "add", "甲", "--industry", "leather", "--prefix"]
    is_a_sentence(idnode(*words, "88.1.77"), "88.1.77", "88.999")
    is_a_sentence(idnode(*words, "77"), "prefix")
    assert idnode(*words, "88.999.77")[0] == 0
    is_a_sentence(idnode("enterprise", "add", "乙", "--industry", "leather", "--prefix", "88.999.77"), "88.999.77")
    assert "乙" not in idnode("enterprise", "list")[1]


@pytest.mark.parametrize("name", ["", " ", "甲\n", "甲" * 256])
def test_a_firm_without_a_name_people_can_read_is_none(idnode: Run, served: str, name: str) -> None:
    words = ["--prefix", "88.999.77", "--industry", "leather"]
    is_a_sentence(idnode("enterprise", "add", name, *words), "ent_name_cn")
    assert idnode("enterprise", "list")[1] == ""


PARTICULARS = {
    "--credit-code": "91440114MAE9X8K18E",
    "--type": "2",
    "--province": "440000",
    "--city": "440100",
    "--county": "440114",
    "--address": "某路1号",
    "--contact": "张三",
    "--email": "a@example.com",
    "--phone": "020-1234567",
    "--legal-person": "李四",
    "--legal-id-type": "6",
    "--legal-id": "E01",
}
WHOLE = [word for pair in PARTICULARS.items() for word in pair]


def test_a_firm_under_a_top_level_node_is_pending_until_it_is_approved(
    idnode: Run, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDNODE_TOPLEVEL_URL", "http://127.0.0.1:1")
    words = ["enterprise", "add", "甲", "--prefix", "88.999.77", "--industry", "leather"]
    assert idnode(*words)[0] == 0
    assert "待审核  待报送 to be filed：缺少企业资料 no particulars" in idnode("enterprise", "list")[1]
    assert idnode(*words, *WHOLE)[0] == 0
    out = idnode("enterprise", "list")[1]
    assert "待审核  待报送 to be filed" in out
    assert "缺少" not in out


@pytest.mark.parametrize(
    ("zh", "en", "told"),
    [("", "", ""), ("抽查", "抽查", "：抽查"), ("抽查", "audit", "：抽查 audit"), ("", "audit", "：audit")],
)
def test_a_reason_is_told_once_whatever_its_language(zh: str, en: str, told: str) -> None:
    row = {"filing": Filing.REFUSED, "suspended": False, "unnamed": False, "reason_zh": zh, "reason_en": en}
    assert administration.filing_text(row) == f"被驳回 refused{told}"


def test_a_forgotten_top_level_node_is_enrolled_with_anew(idnode: Run, served: str) -> None:
    code, out, _ = idnode("uplink", "forget")
    assert code == 0
    assert "forgotten" in out


def test_references_are_noted_anew(idnode: Run, served: str) -> None:
    assert idnode("template", "refer")[:2] == (0, "已查看0个标识 · 0 identifiers looked at\n")


def test_particulars_that_cannot_be_filed_are_a_sentence(idnode: Run, served: str) -> None:
    words = ["enterprise", "add", "甲", "--prefix", "88.999.77", "--industry", "leather"]
    is_a_sentence(idnode(*words, *WHOLE[:2]), "--province", "--legal-id")
    is_a_sentence(idnode(*words, *WHOLE, "--credit-code", "91440114MAE9X8K181"), "ent_crt_code", "GB 32100")
    assert "甲" not in idnode("enterprise", "list")[1]


def test_accounts_are_added_reset_listed_and_shut(idnode: Run, served: str) -> None:
    idnode("enterprise", "add", "甲", "--prefix", "88.999.77", "--industry", "leather")
    code, out, _ = idnode("user", "add", *CHIEF)
    assert code == 0
    assert out.split()[:3] == ["chief", "person", "system_admin"]
    code, out, _ = idnode("user", "add", "AK-mes", "--program", "--enterprise", "88.999.77")
    name, kind, role, secret = out.split()
    assert (code, name, kind, role) == (0, "AK-mes", "program", "enterprise_admin")
    known = asked(served, lambda steward, _: steward.credentials("AK-mes"))
    assert Vault(KEY).secret_proves("AK-mes", known.secret, secret)
    code, out, _ = idnode("user", "add", "AK-mes", "--program")
    assert out.split()[:3] == ["AK-mes", "program", "enterprise_admin"], "a reset keeps whose it is"
    assert out.split()[3] != secret
    is_a_sentence(idnode("user", "add", "AK-mes"), "AK-mes")
    is_a_sentence(idnode("user", "add", *CHIEF, "--enterprise", "甲"), "chief")
    auditor = ["--role", "audit_admin", "--person"]
    is_a_sentence(idnode("user", "add", *CHIEF, *auditor, "王 1024"), "chief", "audit_admin")
    is_a_sentence(idnode("user", "add", "li", "--role", "enterprise_user"), "enterprise_user", "--enterprise")
    is_a_sentence(idnode("user", "add", "li", "--role", "verifier", "--enterprise", "甲"), "verifier", "--enterprise")
    assert idnode("user", "add", "li", "--role", "verifier")[1].split()[:3] == ["li", "person", "verifier"]
    assert idnode("user", "role", "li", "reviewer")[1].split() == ["li", "person", "reviewer"]
    is_a_sentence(idnode("user", "role", "li", "enterprise_user"), "enterprise_user", "--enterprise")
    is_a_sentence(idnode("user", "role", "nobody", "reviewer"), "nobody")
    assert idnode("user", "disable", "chief")[0] == 0
    code, out, _ = idnode("user", "list")
    assert [line.split() for line in out.splitlines()] == [
        ["AK-mes", "program", "enterprise_admin", "甲"],
        ["chief", "person", "system_admin", "-", "周", "1001", "停用", "disabled"],
        ["li", "person", "reviewer", "-"],
    ]


def test_a_password_can_be_chosen_and_is_not_shown(idnode: Run, served: str) -> None:
    code, out, _ = idnode("user", "add", *CHIEF, "--ask-password", typed="correct horse\n")
    assert code == 0
    assert "horse" not in out
    is_a_sentence(idnode("user", "add", *CHIEF, "--ask-password", typed="short\n"), "8")
    is_a_sentence(idnode("user", "add", *CHIEF, "--ask-password", typed="x" * 65 + "\n"), "64")


def test_who_is_handed_a_password_must_change_it_and_who_chose_it_need_not(idnode: Run, served: str) -> None:
    idnode("user", "add", "li", "--person", "李 1002")
    idnode("user", "add", *CHIEF, "--ask-password", typed="correct horse\n")
    for name in ("li", "chief"):
        known = asked(served, lambda steward, _, name=name: steward.account(name))
        asked(served, lambda steward, _, known=known: steward.issue_token(known.number, known.username.encode()))
    found = asked(served, lambda _, lookup: lookup.holders([b"li", b"chief"]))
    assert {digest: account.due for digest, account in found.items()} == {
        b"li": Due.PASSWORD,
        b"chief": Due.SECOND_FACTOR,
    }


def test_a_secret_is_drawn_anew_and_the_one_before_stays_good_for_a_while(idnode: Run, served: str) -> None:
    idnode("enterprise", "add", "甲", "--prefix", "88.999.77", "--industry", "leather")
    first = idnode("user", "add", "88.999.77/App_mes", "--program")[1].split()[-1]
    code, out, _ = idnode("user", "rotate", "88.999.77/App_mes", "--overlap", "60")
    assert code == 0
    known = asked(served, lambda steward, _: steward.credentials("88.999.77/App_mes"))
    proofs = [Vault(KEY).secret_proves(known.account.username, each, first) for each in known.secrets]
    assert proofs == [False, True]
    assert Vault(KEY).secret_proves(known.account.username, known.secret, out.split()[1])
    assert "原密钥至" in out
    assert "原密钥至" not in idnode("user", "rotate", "88.999.77/App_mes", "--overlap", "0")[1]
    is_a_sentence(idnode("user", "rotate", "88.999.77/App_mes", "--overlap", "-1"), "--overlap")
    idnode("user", "add", *CHIEF)
    is_a_sentence(idnode("user", "rotate", "chief"), "user add")
    is_a_sentence(idnode("user", "add", "88.999.77/App_mes2"), "--program")
    idnode("enterprise", "add", "乙", "--prefix", "88.999.78", "--industry", "leather")
    is_a_sentence(idnode("user", "add", "88.999.77/App_mes2", "--program", "--enterprise", "乙"), "88.999.77")


def test_nobody_holds_two_of_the_three_powers(idnode: Run, served: str) -> None:
    for words in (("a", "--role", "audit_admin"), ("a",), ("a", "--ask-password")):
        is_a_sentence(idnode("user", "add", *words), "--person")
    is_a_sentence(idnode("user", "add", "a", "--role", "audit_admin", "--person", "x" * 65), "64")
    assert idnode("user", "add", "a", "--role", "audit_admin", "--person", "王五 1024")[0] == 0
    for role in ("system_admin", "security_admin"):
        is_a_sentence(idnode("user", "add", "b", "--role", role, "--person", " 王五　１０２４"), "兼任")
    assert idnode("user", "add", "b", "--role", "verifier", "--person", "王五 1024")[0] == 0
    is_a_sentence(idnode("user", "role", "b", "security_admin"), "兼任")
    assert idnode("user", "add", "c", "--role", "verifier")[0] == 0
    is_a_sentence(idnode("user", "role", "c", "security_admin"), "--person")
    assert idnode("user", "add", "c", "--role", "security_admin", "--person", "赵六 1025")[0] == 0
    assert idnode("user", "disable", "c")[0] == 0
    assert idnode("user", "add", "a")[0] == 0, "a reset leaves who it is"
    assert [line.split()[-2:] for line in idnode("user", "list")[1].splitlines()] == [
        *[["王五", "1024"]] * 2,
        ["停用", "disabled"],
    ]


def test_a_program_is_given_its_public_key(idnode: Run, served: str, tmp_path: Path) -> None:
    idnode("user", "add", "AK", "--program")
    idnode("user", "add", *CHIEF)
    pem = tmp_path / "key.pem"
    is_a_sentence(idnode("user", "key", "AK", str(pem)), "key.pem")
    pem.write_text("-----BEGIN PUBLIC KEY-----\n")
    is_a_sentence(idnode("user", "key", "AK", str(pem)), "RSA")
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert idnode("user", "key", "AK", str(pem))[0] == 0
    is_a_sentence(idnode("user", "key", "chief", str(pem)), "RSA")
    known = asked(served, lambda steward, _: steward.credentials("AK"))
    assert known.public_key == public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    is_a_sentence(idnode("user", "forget-second-factor", "chief"), "chief")


def test_tokens_are_listed_and_revoked(idnode: Run, served: str) -> None:
    idnode("user", "add", *CHIEF)
    known = asked(served, lambda steward, _: steward.account("chief"))
    for digest in (b"1" * 32, b"2" * 32, b"3" * 32):
        asked(served, lambda steward, _, digest=digest: steward.issue_token(known.number, digest, "192.0.2.1"))
    lines = [line.split() for line in idnode("user", "tokens", "chief")[1].splitlines()]
    assert [line[0] for line in lines] == [(each * 32).hex() for each in (b"3", b"2", b"1")]
    assert {line[-1] for line in lines} == {"192.0.2.1"}
    assert idnode("user", "revoke", "chief", (b"2" * 32).hex())[0] == 0
    for wrong in ("x", (b"2" * 32).hex()):
        is_a_sentence(idnode("user", "revoke", "chief", wrong), wrong)
    assert idnode("user", "revoke", "chief")[1].strip() == "2"
    assert idnode("user", "tokens", "chief")[1] == ""


def test_what_is_wrong_with_an_account_is_a_sentence(idnode: Run, served: str) -> None:
    is_a_sentence(idnode("user", "add", "x" * 51), "50")
    is_a_sentence(idnode("user", "add", ""), "50")
    is_a_sentence(idnode("user", "add", "someone", "--enterprise", "nobody"), "nobody")
    is_a_sentence(idnode("user", "disable", "nobody"), "nobody")


def test_a_program_needs_the_node_s_key(idnode: Run, served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDNODE_SECRET_KEY")
    is_a_sentence(idnode("user", "add", "AK", "--program"), "IDNODE_SECRET_KEY")


def applied(database: str) -> None:
    """One enterprise applies, sent by an administrator."""

    async def apply(steward: Steward, _: Lookup) -> None:
        await steward.put_account(Account(0, "boss", "person", Role.SYSTEM_ADMIN, None), password="x")
        boss = await steward.account("boss")
        assert boss
        await steward.pool.executemany(
            "INSERT INTO file (number, account_no, kind, octets, sha256, created) VALUES ($1, $2, 'png', 1, $3, now())",
            [(number, boss.number, bytes(32)) for number in (11, 12, 13)],
        )
        form = application.form(applicant.form(), date(2026, 11, 23), "88.999")
        user = application.user(applicant.user("firm1"))
        assert await Examiner(steward.pool, Vault(KEY)).apply(user, "hash", form, boss) is None

    asked(database, apply)


def test_two_people_decide_from_the_shell(idnode: Run, served: str) -> None:
    applied(served)
    for name, role in (("he", "verifier"), ("shen", "reviewer")):
        words = ("user", "add", name, "--role", role, "--ask-password")
        assert idnode(*words, typed="a password of eight\n")[0] == 0
    assert "注册 待核验" in idnode("enterprise", "applications")[1]
    verify = ("enterprise", "verify", "1", "--as", "he")
    is_a_sentence(idnode(*verify, typed="another\n"), "密码错误")
    is_a_sentence(idnode(*verify[:4], "nobody", typed="x\n"), "密码错误")
    is_a_sentence(idnode("enterprise", "review", "1", "--as", "shen", typed="a password of eight\n"), "待核验")
    is_a_sentence(idnode("enterprise", "verify", "7", "--as", "he", typed="a password of eight\n"), "申请7")
    assert idnode(*verify, typed="a password of eight\n")[1] == "待审核\n"
    refuse = ("enterprise", "review", "1", "--as", "shen", "--refuse", "证照不清")
    assert idnode(*refuse, typed="a password of eight\n")[1] == "被驳回\n"
    assert idnode("enterprise", "applications")[1] == ""
    assert "被驳回" in idnode("enterprise", "applications", "--all")[1]
    shown = idnode("enterprise", "show", "1")[1]
    for part in ("E00000001", "6513", "verification he  通过", "驳回 refused：证照不清"):
        assert part in shown
    decided = idnode("audit", "export", "--action", "application_decided")[1]
    assert (decided.count('"role":"shell"'), '"by":"he"' in decided, '"by":"shen"' in decided) == (2, True, True)
    assert '"application 1"' in idnode("audit", "export", "--action", "data_read")[1]
    is_a_sentence(idnode("enterprise", "show", "7"), "申请7")
