"""Proves node/uplink/templates.py: templates go up before the changes that name them, each as it is, once."""

from dataclasses import replace
from typing import Any

import pytest

from node.uplink import streams, templates
from node.uplink.client import AwayError
from node.uplink.templates import message
from proto import uplink_pb2 as pb
from registry import drafting
from registry.template import Item, State
from tests.node.uplink.side import Side
from tests.registry.world import BAG, PREFIX, request


class Heard:
    """What a top-level node was told, in order."""

    def __init__(self, side: Side) -> None:
        self.order: list[str] = []
        self.templates: list[pb.Template] = []
        side.liar.says |= {
            "Standing": lambda _: (1000, pb.StandingResponse()),
            "PushTemplates": self.templates_pushed,
            "PushChanges": self.changes_pushed,
        }

    def templates_pushed(self, given: pb.PushTemplatesRequest) -> tuple[int, pb.PushTemplatesResponse]:
        self.order += [f"template {each.version}" for each in given.templates]
        self.templates += given.templates
        return 1000, pb.PushTemplatesResponse()

    def changes_pushed(self, given: pb.PushChangesRequest) -> tuple[int, pb.PushChangesResponse]:
        (stream,) = given.streams
        self.order += [f"change {entry.template}" for change in stream.changes for entry in change.entries]
        place = pb.Place(prefix=PREFIX, number=stream.changes[-1].number, head=stream.changes[-1].head)
        return 1000, pb.PushChangesResponse(receipts=[pb.Receipt(place=place, verdict=pb.VERDICT_ACCEPTED)])


async def told(side: Side) -> None:
    while await side.streams.changes() != streams.LOOK_SECONDS:
        continue


async def test_a_template_goes_before_the_changes_that_name_it_and_again_when_it_changes(side: Side):
    await side.approve()
    heard, world = Heard(side), side.world
    await world.write(request("create", "A"))
    await told(side)
    assert [each for each in heard.order if each != "change "] == ["template bag", "change bag"]
    heard.order.clear()
    await told(side)
    assert heard.order == []
    await world.steward.add_template(drafting.next_version(world.bag, "bag-2"))  # a draft is nobody's business
    await told(side)
    assert heard.order == []
    draft = await world.lookup.named_template(PREFIX, "bag-2")
    assert draft
    await world.steward.replace_template(replace(draft, state=State.PUBLISHED))
    await world.write(request("create", "B", template="bag-2"))
    kept = await world.lookup.named_template(PREFIX, "bag")
    assert kept
    await world.steward.replace_template(replace(kept, zh="包", state=State.WITHDRAWN))
    await told(side)
    assert heard.order == ["template bag-2", "template bag", "change bag-2"]
    second, first = heard.templates[-2:]
    assert (second.line, second.revision, first.line, first.revision) == ("bag", 2, "bag", 1)
    assert (first.name_zh, first.state) == ("包", pb.TEMPLATE_STATE_WITHDRAWN)


async def test_what_the_top_level_node_lost_is_told_anew(side: Side):
    await side.approve()
    heard, world = Heard(side), side.world
    await world.write(request("create", "A"))
    await told(side)
    heard.order.clear()
    side.streams.lost()  # and it stands at 0: its books are older than our receipts
    await told(side)
    await told(side)
    assert "template bag" in heard.order
    heard.order.clear()
    await world.steward.forget_toplevel()
    assert await world.one("SELECT max(told) FROM template") == 0


async def test_refused_templates_do_not_hold_up_changes(side: Side):
    await side.approve()
    heard = Heard(side)
    await side.world.write(request("create", "A"))
    refused = pb.RefusedTemplate(place=0, zh="不", en="no\0")
    side.liar.says["PushTemplates"] = lambda _: (1000, pb.PushTemplatesResponse(refused=[refused]))
    await told(side)
    assert "change bag" in heard.order
    assert side.liar.asked["PushTemplates"] == 1
    await side.world.steward.replace_template(replace(side.world.bag, zh="包"))
    side.liar.says["PushTemplates"] = lambda _: (2306, pb.PushTemplatesResponse())
    await side.world.write(request("create", "B"))
    await told(side)
    assert heard.order.count("change bag") == 2
    side.liar.says["PushTemplates"] = pytest.fail
    with pytest.raises(AwayError):
        await side.streams.changes()


async def test_a_request_holds_so_much_and_no_more(side: Side, monkeypatch: pytest.MonkeyPatch):
    await side.approve()
    heard = Heard(side)
    monkeypatch.setattr(templates, "OCTETS_MOST", 1)
    for n in range(3):
        await side.world.steward.add_template(replace(side.world.bag, version=f"v{n}"))
    await told(side)
    assert sorted(heard.order)[-4:] == ["template bag", "template v0", "template v1", "template v2"]
    assert side.liar.asked["PushTemplates"] == 4


def test_the_message_says_all_of_a_template():
    items: tuple[Any, ...] = (
        Item(2000, "a", "甲", "A", required=True, access="internal"),
        Item(2001, "b", "乙", enabled=False, low=1, accuracy=2, unit="kg"),
    )
    said = message(replace(BAG, items=items, origin="88.1/META_x", epoch=9, revision=3), "bag-1")
    assert (said.prefix, said.version, said.epoch, said.revision) == (PREFIX, "bag", 9, 3)
    assert (said.line, said.origin, said.name_zh, list(said.category)) == (
        "bag-1",
        "88.1/META_x",
        "手袋",
        ["C", "19", "192", "1922"],
    )
    assert said.items[0] == pb.TemplateItem(
        index=2000, name="a", zh="甲", en="A", kind="text", required=True, enabled=True, access="internal"
    )
    assert said.items[1].rules == '{"low":1,"unit":"kg","accuracy":2}'
