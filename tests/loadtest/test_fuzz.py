"""Proves loadtest/fuzz/: some inputs hold, every message in it is one, and whatever breaks a promise is told."""

import pytest

from loadtest.fuzz import trial as trials
from loadtest.fuzz.__main__ import main
from loadtest.fuzz.inputs import OCTETS_MOST, inputs, well_formed
from loadtest.fuzz.trial import Trial
from proto.codes import OpCode
from proto.native import bodies
from proto.native.bodies import answer_body, request_body
from proto.native.message import Message
from proto.native.stream import Stream
from proto.octets import Reader


def test_what_holds_is_told(capsys: pytest.CaptureFixture[str]):
    assert main(["--inputs", "3000", "--seed", "5"]) == 0
    told = capsys.readouterr().out
    assert "3,000  inputs" in told
    for name in ("understood", "packet", "refused: handle", "refused: messageLength", "refused: value"):
        assert name in told


def test_the_same_seed_makes_the_same_inputs():
    assert list(inputs(1, 50)) == list(inputs(1, 50)) != list(inputs(2, 50))
    assert max(map(len, inputs(1, 500))) <= OCTETS_MOST


def test_what_it_begins_with_is_understood():
    for octets in well_formed():
        trial = Trial()
        trial.run(0, octets)
        assert trial.told["understood"] or trial.told["packet"]


def test_it_begins_with_every_operation_and_every_layout():
    """Those of proto/native/bodies.py: whatever is read from the wire is tried."""
    asked, answered, layouts = set(), set(), set()
    for octets in well_formed():
        stream = Stream(OCTETS_MOST)
        stream.feed(octets)
        framed = stream.take()
        if framed is None:
            continue  # in packets
        message = Message.from_octets(framed.message)
        (answered if message.code else asked).add(message.op)
        body = answer_body(message, framed.envelope.version)[0] if message.code else request_body(message)
        layouts.add(type(body))
    classes = {each for each in vars(bodies).values() if isinstance(each, type) and hasattr(each, "to_octets")}
    known = {each for each in classes if each.__module__ == bodies.__name__ and each is not bodies.Body}
    assert layouts == known
    assert asked == set(OpCode) | {1001}
    alike = {bodies.ANSWERS[op] for op in answered}
    assert alike == set(bodies.ANSWERS.values())


def test_a_crash_is_told_with_its_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def crashes(message: Message) -> None:
        raise IndexError(Reader(message.body).rest)

    monkeypatch.setattr(trials, "request_body", crashes)
    assert main(["--inputs", "1000"]) == 1
    assert "of seed 1" in capsys.readouterr().err
