"""Proves node/importer/results.py: answers in a clerk's words, and a results file that survives any interruption."""

import codecs
import csv
import os
from pathlib import Path

import pytest

from node.importer import results as module
from node.importer.problem import Problem
from node.importer.results import CONFIRMED, FINE, Line, Result, journal_path, of_batch, of_reconcile, open_results
from node.importer.run import ENGLISH
from node.importer.units import Tally, Together, Unit
from node.listen import replies, snms_api

NAMES = {"colour": "颜色", "styleNo": "款号"}
OPTIONS = {"work": "import", "prefix": "88.999.1001"}


def unit(row: int) -> Unit:
    return Unit(row, 1, f"88.999.1001/B-{row}", b"{}")


def lines(first: int, last: int) -> list[Line]:
    return [Line(unit(row), Result.REGISTERED) for row in range(first, last + 1)]


def table(path: Path) -> list[list[str]]:
    octets = path.read_bytes()
    assert octets.startswith(codecs.BOM_UTF8)
    return list(csv.reader(octets.decode("utf-8-sig").splitlines()))


@pytest.mark.parametrize(
    ("answer", "sent_before", "result", "reason"),
    [
        ({"msg": "success"}, False, Result.REGISTERED, ""),
        ({"msg": "success"}, True, Result.REGISTERED, ""),
        ({"msg": "标识已存在", "differs": []}, False, Result.SAME, ""),
        ({"msg": "标识已存在", "differs": []}, True, Result.REGISTERED, CONFIRMED),
        (
            {"msg": "标识已存在", "differs": ["colour", "x"]},
            True,
            Result.DIFFERENT,
            "不同的属性：颜色、x",
        ),
        ({"msg": "标识已存在"}, False, Result.SAME, "节点没有说明内容是否一致，请对账"),
        ({"msg": "缺少必填属性颜色（colour）"}, True, Result.REFUSED, "缺少必填属性颜色（colour）"),
    ],
)
def test_an_answer_of_batch_create(answer: dict[str, object], sent_before: bool, result: Result, reason: str) -> None:
    assert of_batch(unit(2), answer, NAMES, sent_before) == Line(unit(2), result, reason)


@pytest.mark.parametrize("tables", [module.RECONCILED, module.REHEARSED])
def test_an_answer_of_reconcile(tables: dict[str, Result]) -> None:
    def told(**answer: object) -> Line:
        return of_reconcile(unit(2), answer, NAMES, tables)

    assert told(result="missing", differs=[]) == Line(unit(2), tables["missing"])
    assert told(result="same") == Line(unit(2), tables["same"])
    assert told(result="different", differs=["styleNo", "colour"]).reason == "不同的属性：款号、颜色"
    assert told(result="invalid", message="后缀不符合") == Line(unit(2), tables["invalid"], "后缀不符合")


def test_every_result_has_an_english_word_and_a_verdict() -> None:
    assert set(ENGLISH) == set(Result)
    assert {r for r in Result if r not in FINE} == {
        Result.DIFFERENT,
        Result.REFUSED,
        Result.WOULD_REFUSE,
        Result.MISSING,
        Result.UNLIKE,
        Result.INVALID,
    }


def test_the_file_is_csv_that_excel_opens(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with open_results(path, "d", OPTIONS) as kept:
        kept.append([Line(unit(2), Result.REFUSED, 'a "b",\nc')], Tally(1), True)
    assert (
        path.read_bytes() == ("\ufeff行号,标识,结果,原因\r\n" + '2,88.999.1001/B-2,已拒绝,"a ""b"",\nc"\r\n').encode()
    )


@pytest.mark.parametrize(
    ("identifier", "reason"),
    [
        ("88.999.1001/B-2", ""),
        ("", "x"),
        ("", ""),
        ("88.999.1001/a,b", ""),
        ('88.999.1001/"', ""),
        ("88.999.1001/é", ""),
        ("88.999.1001/B\n", ""),
        ("=1", ""),
        ("88.999.1001/B-2", "a,b"),
        ("88.999.1001/B-2", CONFIRMED),
    ],
)
def test_a_line_is_what_the_csv_module_writes(identifier: str, reason: str) -> None:
    of = unit(2)._replace(identifier=identifier)
    slow = module._csv([("2", identifier, Result.SAME, reason)])
    assert module._shown(of, Result.SAME, reason) == slow


def test_those_registered_together_are_told_as_one_by_one(tmp_path: Path) -> None:
    together = Together(2, [unit(row).identifier for row in range(2, 5)], b"")
    one_by_one, at_once = tmp_path / "one.csv", tmp_path / "all.csv"
    for path, told in ((one_by_one, lines(2, 4)), (at_once, together)):
        with open_results(path, "d", OPTIONS) as kept:
            kept.append(lines(1, 1), Tally(1))
            kept.append(told, Tally(4))
    assert at_once.read_bytes() == one_by_one.read_bytes()
    assert journal_path(at_once).read_bytes() == journal_path(one_by_one).read_bytes()


def test_what_is_expected_is_what_our_node_answers() -> None:
    identifiers = [unit(row).identifier for row in (2, 3)]
    rows = [{"handle": each, "msg": replies.SNMS_SUCCESS_TEXT} for each in identifiers]
    assert module.well(identifiers) == snms_api.success(rows).body


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_run_as_a_formula(tmp_path: Path, start: str) -> None:
    with open_results(tmp_path / "r.csv", "d", OPTIONS) as kept:
        kept.append([Line(unit(2)._replace(identifier=start + "1"), Result.REFUSED, start + "cmd")], Tally())
    assert f"'{start}1" in (octets := (tmp_path / "r.csv").read_bytes().decode())
    assert f"'{start}cmd" in octets


def test_what_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    with open_results(tmp_path / "r.csv", "d", OPTIONS) as kept:
        kept.append([Line(unit(2), Result.REFUSED, "\udcff")], Tally())
    assert table(tmp_path / "r.csv")[1][3] == "\\udcff"


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with open_results(path, "d", OPTIONS) as kept:
        assert not kept.resumed
        kept.append(lines(2, 4), Tally(3))
    with open_results(path, "d", OPTIONS) as kept:
        assert kept.resumed
        assert (kept.journal.units, kept.journal.row, kept.journal.counts) == (3, 4, {"已登记": 3})
        kept.append(lines(5, 6), Tally(5, 1), True)
    assert [row[0] for row in table(path)] == ["行号", "2", "3", "4", "5", "6"]
    assert (kept.journal.rows, kept.journal.empty, kept.journal.finished) == (5, 1, True)


def test_lines_the_journal_does_not_know_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with open_results(path, "d", OPTIONS) as kept:
        kept.append(lines(2, 4), Tally(3))
    whole = path.read_bytes()
    path.write_bytes(whole + b"5,88.999.1001/B-5,\xe5\xb7")
    with open_results(path, "d", OPTIONS):
        assert path.read_bytes() == whole


@pytest.mark.parametrize("step", ["replace", "truncate"])
def test_dying_at_the_very_beginning_is_no_harm(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.csv"
    with monkeypatch.context() as patched:
        patched.setattr(module.Results, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt), open_results(path, "d", OPTIONS):
            pass
    if step == "replace":
        journal_path(path).unlink()
    with open_results(path, "d", OPTIONS) as kept:
        kept.append(lines(2, 2), Tally(1), True)
    assert len(table(path)) == 2


def test_a_long_file_is_read_back_in_portions() -> None:
    assert list(module._portions(10, 4)) == [4, 4, 2]
    assert list(module._portions(0, 4)) == []


def test_a_finished_one_is_left_alone_even_if_excel_saved_it(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with open_results(path, "d", OPTIONS) as kept:
        kept.append(lines(2, 2), Tally(1), True)
    path.write_bytes(b"saved by Excel")
    with open_results(path, "d", OPTIONS) as kept:
        assert kept.journal.finished
    assert path.read_bytes() == b"saved by Excel"


def refusal(path: Path, input_: str = "d", **options: str) -> str:
    with pytest.raises(Problem) as caught, open_results(path, input_, OPTIONS | options):
        pass
    return caught.value.zh


def test_another_import_does_not_write_into_it(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with open_results(path, "d", OPTIONS) as kept:
        kept.append(lines(2, 2), Tally(1))
    before = path.read_bytes()
    assert "不同的是：输入文件 · file、模板 · template" in refusal(path, "other", template="bag")
    assert "不同的是：企业前缀 · prefix）" in refusal(path, prefix="88.999.2001")
    assert path.read_bytes() == before
    with open_results(path, "other", OPTIONS, restart=True) as kept:
        assert not kept.resumed
    assert len(table(path)) == 1


def test_one_in_which_nothing_was_done_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with open_results(path, "d", OPTIONS):
        pass
    with open_results(path, "other", OPTIONS) as kept:
        assert not kept.resumed


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"precious")
    assert "已经存在" in refusal(path)
    assert path.read_bytes() == b"precious"


def test_a_file_changed_by_hand_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with open_results(path, "d", OPTIONS) as kept:
        kept.append(lines(2, 2), Tally(1))
    changed = path.read_bytes().replace(b"B-2", b"B-3")
    for octets in (changed, changed[:-1]):
        path.write_bytes(octets)
        assert "被改动过" in refusal(path)


@pytest.mark.parametrize(("octets", "word"), [(b"{", "读不出"), (b'{"format":9,"input":"","options":{}}', "另一版本")])
def test_a_broken_journal_gets_a_sentence(tmp_path: Path, octets: bytes, word: str) -> None:
    path = tmp_path / "r.csv"
    journal_path(path).write_bytes(octets)
    assert word in refusal(path)


def test_two_programs_do_not_write_one_file(tmp_path: Path) -> None:
    with open_results(tmp_path / "r.csv", "d", OPTIONS):
        assert "另一个程序" in refusal(tmp_path / "r.csv")


def test_a_place_that_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    assert "写不了结果文件" in refusal(tmp_path / "none" / "r.csv")


def test_a_full_disk_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with open_results(tmp_path / "r.csv", "d", OPTIONS) as kept:
        kept.append(lines(2, 2), Tally(1))
        with monkeypatch.context() as patched:
            patched.setattr(module.os, "fsync", full)
            with pytest.raises(Problem, match="No space left"):
                kept.save()


def test_nobody_saves_beside_a_thread_that_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_results(tmp_path / "r.csv", "d", OPTIONS) as kept:
        kept.append(lines(2, 2), Tally(1))
        alone: list[bool] = []
        monkeypatch.setattr(module.Results, "_save", lambda of: alone.append(of._saving.locked()))
        kept.save()
        kept.save()
    assert alone == [True]
