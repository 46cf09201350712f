"""Proves node/toplevel/rules.py: fields and verdicts by literals, the chain by whatever Hypothesis thinks of."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.toplevel import rules
from node.toplevel.rules import Change, Code, Filed, Flaw, Standing
from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST, Kind
from proto.values.site import Protocol
from tests.fakes.secondary_node import Chain, enterprise, entry, link

LEATHER = "88.999.1001"
NODE, OTHER = 1, 2
BEGIN = Standing(0, HEAD_FIRST)


def refused(refusal: rules.Refusal | None) -> tuple[int, str]:
    """The code and the first word of the sentence; (0, "") when nothing is refused."""
    if refusal is None:
        return 0, ""
    assert refusal.zh
    assert refusal.en
    return int(refusal.code), refusal.en.split()[0]


# -- filing


def changed(path: str, value: Any) -> pb.Enterprise:
    made = enterprise()
    holder, _, name = path.rpartition(".")
    setattr(getattr(made, holder) if holder else made, name, value)
    return made


def test_plausible_particulars_are_filed():
    assert rules.enterprise(enterprise()) is None


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("ent_type", 0, 2003),
        ("ent_type", 6, 2004),
        ("ent_crt_code", "", 2003),
        ("ent_crt_code", "91350100M000100Y44", 2005),
        ("ent_crt_code", "x" * 19, 2005),
        ("ent_crt_code", "x" * 33, 2004),
        ("ent_crt_type", 2, 2004),
        ("ent_name_cn", "", 2003),
        ("ent_name_cn", "名" * 256, 2004),
        ("ent_name_cn", "a\0b", 2005),
        ("ent_name_en", "n" * 256, 2004),
        ("ent_province_code", "", 2003),
        ("ent_province_code", "44", 2005),
        ("ent_province_code", "044000", 2005),
        ("ent_city_code", "320100", 2004),
        ("ent_county_code", "440300", 2004),
        ("ent_addr_cn", "", 2003),
        ("ent_addr_cn", "a\nb", 2005),
        ("ent_web_site", "http://a b", 2005),
        ("ent_desc", "d" * 1025, 2004),
        ("contact.name", "", 2003),
        ("contact.email", "nobody", 2005),
        ("contact.phone", "020-phone", 2005),
        ("contact.phone", "0" * 17, 2004),
        ("legal_person.name", "", 2003),
        ("legal_person.id_type", 0, 2003),
        ("legal_person.id_type", 7, 2004),
        ("legal_person.id_no", "", 2003),
        ("legal_person.id_no", "1" * 33, 2004),
    ],
)
def test_each_field_has_its_rule_and_its_sentence(path: str, value: Any, code: int):
    assert refused(rules.enterprise(changed(path, value))) in {(code, path), (code, "ent_city_code")}


def test_an_enterprise_may_have_another_certificate():
    made = changed("ent_crt_type", 3)
    made.ent_crt_code = "社证字第1号"
    assert rules.enterprise(made) is None


def test_what_is_changed_in_part_leaves_the_rest_as_it_was():
    part = pb.Enterprise(ent_addr_cn="新址", contact=pb.Contact(name="新人"))
    made = rules.changed(enterprise(), part)
    assert (made.ent_addr_cn, made.contact.name, made.ent_web_site) == ("新址", "新人", "")
    assert (made.ent_name_cn, made.legal_person) == (enterprise().ent_name_cn, enterprise().legal_person)
    assert rules.in_part(part) is None


@pytest.mark.parametrize("field", ["ent_type", "ent_crt_type", "ent_crt_code", "ent_name_cn", "legal_person"])
def test_what_needs_all_of_it_is_not_changed_in_part(field: str):
    part = pb.Enterprise()
    if field == "legal_person":
        part.legal_person.name = "新人"
    else:
        setattr(part, field, 3 if field in {"ent_type", "ent_crt_type"} else "x")
    assert refused(rules.in_part(part)) == (2004, field)


def test_what_need_not_be_told_need_not_be_told():
    for path in ("ent_name_en", "ent_county_code", "ent_addr_en", "ent_web_site", "ent_desc"):
        assert rules.enterprise(changed(path, "")) is None


@pytest.mark.parametrize(
    ("prefix", "key", "known", "code"),
    [
        ("88.999", bytes(32), None, 0),
        ("88.999", bytes(32), bytes(32), 0),
        ("88.999", bytes(32), bytes([1]) * 32, 2201),
        ("88.999", bytes(31), None, 2005),
        ("88.999.1", bytes(32), None, 2005),
        ("88", bytes(32), None, 2005),
        ("", bytes(32), None, 2005),
    ],
)
def test_who_may_enrol(prefix: str, key: bytes, known: bytes | None, code: int):
    asked = pb.EnrolRequest(public_key=key, name_zh="节点")
    assert refused(rules.enrolment(prefix, asked, known))[0] == code


def test_a_node_has_a_name():
    assert refused(rules.enrolment("88.999", pb.EnrolRequest(public_key=bytes(32)), None)) == (2003, "name_zh")


@pytest.mark.parametrize(
    ("prefix", "owner", "state", "code"),
    [
        (LEATHER, NODE, None, 0),
        (LEATHER, NODE, pb.PREFIX_STATE_REFUSED, 0),
        (LEATHER, NODE, pb.PREFIX_STATE_PENDING, 2302),
        (LEATHER, NODE, pb.PREFIX_STATE_NORMAL, 2302),
        (LEATHER, NODE, pb.PREFIX_STATE_SUSPENDED, 2302),
        (LEATHER, None, None, 2303),
        (LEATHER, OTHER, None, 2201),
        ("88.998.1001", NODE, None, 2201),
        ("88.999", NODE, None, 2005),
        ("88.999.x", NODE, None, 2005),
        ("88.999.1001.1", NODE, None, 2005),
    ],
)
def test_which_prefix_may_be_filed(prefix: str, owner: int | None, state: int | None, code: int):
    known = None if state is None else Filed(1, NODE, state)
    assert refused(rules.filing("88.999", NODE, prefix, owner, known))[0] == code


@pytest.mark.parametrize(("owner", "code"), [(NODE, 0), (OTHER, 2201), (None, 2303)])
def test_what_is_of_the_speaker(owner: int | None, code: int):
    assert refused(rules.of_speaker(NODE, owner, "前缀", "prefix"))[0] == code


def test_only_what_passed_its_audit_is_routed():
    codes = {state: refused(rules.audited(state))[0] for state in rules.STATE_NAMES}
    assert codes == {
        pb.PREFIX_STATE_PENDING: 2304,
        pb.PREFIX_STATE_NORMAL: 0,
        pb.PREFIX_STATE_REFUSED: 2304,
        pb.PREFIX_STATE_SUSPENDED: 0,
    }


# -- orders, voices, routes, windows


def test_orders_follow_the_state_of_the_prefix():
    after = {
        (kind, state): new if isinstance(new := rules.order(kind, state), int) else new.code
        for kind in rules.ORDER_KINDS
        for state in rules.STATE_NAMES
    }
    moved = {pair: new for pair, new in after.items() if new not in {pair[1], Code.PROHIBITED}}
    assert moved == {
        ("suspend", pb.PREFIX_STATE_NORMAL): pb.PREFIX_STATE_SUSPENDED,
        ("resume", pb.PREFIX_STATE_SUSPENDED): pb.PREFIX_STATE_NORMAL,
    }
    assert {kind for (kind, _), new in after.items() if new == Code.PROHIBITED} == {"suspend", "resume"}


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_no_fence_below_the_highest_is_heard(fence: int, highest: int):
    assert refused(rules.fence(fence, highest))[0] == (2201 if fence < highest else 0)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("version", "", 2003),
        ("machine", "m" * 65, 2004),
        ("machine", "\0", 2005),
        ("started", -1, 2004),
        ("oldest_unreceipted", 2**62, 2004),
        ("unreceipted", -1, 2004),
        ("iiidap", "http://id.example/iiidap/", 2005),
        ("iiidap", "https://id.example", 2005),
        ("iiidap", f"https://{'x' * 255}/", 2005),
    ],
)
def test_what_a_voice_tells_of_itself_has_bounds(field: str, value: Any, code: int):
    beat = pb.HeartbeatRequest(version="0.1.0", machine="ab12", started=1, oldest_unreceipted=0, unreceipted=7)
    assert rules.heartbeat(beat) is None
    setattr(beat, field, value)
    assert refused(rules.heartbeat(beat)) == (code, field)


ROUTE = pb.Route(prefix=LEATHER, serial=5, address="192.0.2.7", http_port=8000)


def routed(**given: Any) -> pb.Route:
    made = pb.Route()
    made.CopyFrom(ROUTE)
    for name, value in given.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("route", "known", "code"),
    [
        (ROUTE, None, 0),
        (ROUTE, ROUTE, 0),
        (routed(serial=6, address="2001:db8::1"), ROUTE, 0),
        (routed(address="127.0.0.1"), None, 0),
        (routed(address="192.0.2.8"), ROUTE, 2004),
        (routed(serial=4), ROUTE, 2004),
        (routed(serial=0), None, 2004),
        (routed(address=""), None, 2003),
        (routed(address="node.example"), None, 2005),
        (routed(address="0.0.0.0"), None, 2004),
        (routed(address="224.0.0.1"), None, 2004),
        (routed(address="fe80::1%eth0"), None, 2004),
        (routed(address="::1"), None, 2004),
        (routed(http_port=0), None, 2003),
        (routed(tcp_port=65_536), None, 2004),
        (routed(udp_port=-1), None, 2004),
    ],
)
def test_which_route_follows_which(route: pb.Route, known: pb.Route | None, code: int):
    assert refused(rules.route(route, known))[0] == code


def test_the_site_of_a_route_has_its_ports():
    site = rules.site(routed(tcp_port=2641, udp_port=2642, serial=70_000))
    ways = {each.protocol: each.port for each in site.servers[0].interfaces}
    assert ways == {Protocol.TCP: 2641, Protocol.UDP: 2642, Protocol.HTTP: 8000}
    assert {each.protocol for each in site.servers[0].interfaces if each.admin} == {Protocol.TCP, Protocol.HTTP}
    assert site.serial == 70_000 & 0xFFFF


@pytest.mark.parametrize(
    ("field", "value"),
    [("start", -1), ("start", 2**60), ("seconds", 0), ("seconds", 86_401), ("registered", -1), ("resolve_failed", -1)],
)
def test_windows_have_bounds(field: str, value: int):
    window = pb.Window(prefix=LEATHER, start=0, seconds=300, registered_total=10)
    assert rules.window(window) is None
    setattr(window, field, value)
    assert refused(rules.window(window)) == (2004, field)


def test_lists_have_bounds():
    assert rules.too_many("entries", 3, 3) is None
    assert refused(rules.too_many("entries", 4, 3)) == (2004, "entries")


# -- streams


def judged(at: Standing, known: dict[int, bytes], stream: pb.Stream) -> rules.Judgement:
    return rules.stream(stream.prefix, at, known, stream.changes)


names = st.text("ABCabc019-_.:/", min_size=1, max_size=12)
entries = st.builds(
    entry, names, st.integers(1, 2**31), st.sampled_from([1, 2, 3, 4]), st.sampled_from(["", "leather-handbag", "模板"])
)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    made = Chain(LEATHER)
    for each in draw(st.lists(st.lists(entries, min_size=1, max_size=4), min_size=1, max_size=8)):
        made.add(*each)
    return made


@given(chains(), st.data())
def test_a_chain_is_taken_however_it_is_cut_and_repeated(chain: Chain, data: st.DataObject):
    at, known = BEGIN, {}
    while at.number < len(chain.changes):
        first = data.draw(st.integers(1, at.number + 1))
        last = data.draw(st.integers(at.number + 1, len(chain.changes)))
        judgement = judged(at, known, chain.stream(first, last))
        assert judgement.verdict == pb.VERDICT_ACCEPTED, judgement.en
        assert [c.number for c in judgement.accepted] == list(range(at.number + 1, last + 1))
        known |= {c.number: c.head for c in judgement.accepted}
        at = judgement.standing
    assert at == Standing(len(chain.changes), chain.head)


@given(chains(), st.data())
def test_a_stream_that_begins_too_late_is_a_gap(chain: Chain, data: st.DataObject):
    at = data.draw(st.integers(0, len(chain.changes) - 1))
    before = Standing(at, chain.changes[at - 1].head if at else HEAD_FIRST)
    chain.add(entry("X"))
    judgement = judged(before, {}, chain.stream(data.draw(st.integers(at + 2, len(chain.changes)))))
    assert (judgement.verdict, judgement.standing, judgement.accepted) == (pb.VERDICT_GAP, before, ())


SPOILT = {
    "suffix": lambda e: setattr(e, "suffix", e.suffix + "X"),
    "version": lambda e: setattr(e, "version", e.version + 1),
    "kind": lambda e: setattr(e, "kind", e.kind % 4 + 1),
    "template": lambda e: setattr(e, "template", e.template + "x"),
    "digest": lambda e: setattr(e, "digest", bytes([e.digest[0] ^ 1]) + e.digest[1:]),
}


@pytest.mark.parametrize("field", SPOILT)
@given(chain=chains(), data=st.data())
@settings(max_examples=30)
def test_one_entry_told_wrongly_is_a_wrong_head_and_all_before_it_stays(field: str, chain: Chain, data: st.DataObject):
    at = data.draw(st.integers(0, len(chain.changes) - 1))
    SPOILT[field](data.draw(st.sampled_from(list(chain.changes[at].entries))))
    judgement = judged(BEGIN, {}, chain.stream())
    assert judgement.verdict == pb.VERDICT_WRONG_HEAD
    assert judgement.standing.number == at == len(judgement.accepted)


@given(chains(), st.data())
def test_another_past_is_told_apart(chain: Chain, data: st.DataObject):
    at = data.draw(st.integers(1, len(chain.changes)))
    known = {c.number: c.head for c in chain.changes}
    other = Chain(LEATHER)
    other.changes.extend(chain.changes[: at - 1])
    other.add(entry("ANOTHER-PAST"))
    judgement = judged(Standing(len(chain.changes), chain.head), known, other.stream(at))
    assert (judgement.verdict, judgement.accepted) == (pb.VERDICT_DIVERGED, ())


def test_entries_changed_under_a_known_head_are_a_wrong_head():
    chain = Chain(LEATHER)
    chain.add(entry("A"))
    chain.changes[0].entries[0].version = 2
    known = {1: chain.head}
    assert judged(Standing(1, chain.head), known, chain.stream()).verdict == pb.VERDICT_WRONG_HEAD


def sound(**change: Any) -> pb.Change:
    entries_ = change.pop("entries", [entry("A")])
    made = pb.Change(number=1, made=1, entries=entries_, head=link(LEATHER, HEAD_FIRST, entries_))
    for name, value in change.items():
        setattr(made, name, value)
    return made


MALFORMED = {
    "no entries": sound(entries=[]),
    "number 0": sound(number=0),
    "number below 0": sound(number=-(2**63)),
    "made before 1970": sound(made=-1),
    "made never": sound(made=2**62),
    "short head": sound(head=bytes(31)),
    "short digest": sound(entries=[pb.Entry(suffix="A", version=1, kind=1, digest=bytes(31))]),
    "two digests of uneven length": sound(
        entries=[
            pb.Entry(suffix="A", version=1, kind=1, digest=bytes(31)),
            pb.Entry(suffix="B", version=1, kind=1, digest=bytes(33)),
        ]
    ),
    "version 0": sound(entries=[entry("A", 0)]),
    "unknown kind": sound(entries=[entry("A", 1, 5)]),
    "nothing happened to nobody": sound(entries=[entry("", 1, 1)]),
    "an identifier that is stopped": sound(entries=[entry("A", 1, 11)]),
    "long template": sound(entries=[entry("A", template="t" * 129)]),
    "template with a zero": sound(entries=[entry("A", template="\0")]),
    "suffix with a zero": sound(entries=[entry("\0")]),
    "suffix with a space at its end": sound(entries=[entry("A ")]),
    "long suffix": sound(entries=[entry("A" * 255)]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_told_so(name: str):
    judgement = judged(BEGIN, {}, pb.Stream(prefix=LEATHER, changes=[MALFORMED[name]]))
    assert (judgement.verdict, judgement.standing) == (pb.VERDICT_MALFORMED, BEGIN)
    assert judgement.zh
    assert judgement.en


@given(st.binary(max_size=200))
def test_whatever_the_octets_say_a_stream_is_judged(octets: bytes):
    try:
        stream = pb.Stream.FromString(octets)
    except Exception:  # noqa: BLE001 - only what is a stream is judged
        return
    judgement = rules.stream(LEATHER, BEGIN, {}, stream.changes)
    assert judgement.verdict != pb.VERDICT_UNSPECIFIED


def test_entries_are_counted_by_kind():
    chain = Chain(LEATHER)
    chain.add(entry("A"), entry("B"))
    chain.add(entry("A", 2, Kind.DELETED))
    accepted = judged(BEGIN, {}, chain.stream()).accepted
    assert [rules.counted(accepted, kind) for kind in (1, 2, 3, 4)] == [2, 0, 1, 0]  # type: ignore[arg-type]


# -- proof


def kept(chain: Chain) -> tuple[Change, ...]:
    return judged(BEGIN, {}, chain.stream()).accepted


@given(chains())
def test_a_proof_walks_the_chain_to_its_head(chain: Chain):
    at: Standing | Flaw = BEGIN
    for change in kept(chain):
        assert isinstance(at, Standing)
        at = rules.walk(LEATHER, at, change)
    assert at == Standing(len(chain.changes), chain.head)


def test_a_proof_stops_at_what_is_missing_or_spoilt():
    chain = Chain(LEATHER)
    chain.add(entry("A"))
    chain.add(entry("B"))
    first, second = kept(chain)
    assert isinstance(rules.walk(LEATHER, BEGIN, second), Flaw)
    for spoilt in (
        Change(1, 1, first.head, ["X"], [1], [1], [""], first.digests),
        Change(1, 1, first.head, ["A"], [1], [1], [""], b""),
    ):
        assert isinstance(rules.walk(LEATHER, BEGIN, spoilt), Flaw)


@pytest.mark.parametrize(
    ("walked", "counted", "astray", "word"),
    [
        (Standing(2, HEAD_FIRST), 5, "", None),
        (BEGIN, 5, "", "number 2"),
        (Flaw("缺", "missing"), 5, "", "number 2"),
        (Standing(2, HEAD_FIRST), 5, "BAG-1", "BAG-1"),
        (Standing(2, HEAD_FIRST), 4, "", "4 identifiers live, 5 were counted"),
    ],
)
def test_what_a_stream_says_of_itself_is_compared(walked: Standing | Flaw, counted: int, astray: str, word: str | None):
    flaw = rules.agrees(Standing(2, HEAD_FIRST), 5, walked, counted, astray)
    assert flaw is None if word is None else word in flaw.en  # type: ignore[union-attr]
