"""Proves proto/values/locations.py by documents as they are deployed, and by any weights and chances."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.values.locations import Asker, Location, Locations

ANYBODY = Asker()
HERE = Identifier.parse("88.100.1/a b")
DEPLOYED = b"""<locations>
  <location id="0" href="http://uk.example.com/" country="gb" weight="0" />
  <location id="1" href="http://www1.example.com/" weight="1" />
  <location id="2" href="http://www2.example.com/" weight="3" />
  <location id="3" href="http://hidden.example.com/" weight="0" http_sc="303" />
  <location id="4" href_template="http://data.example.com/{hdl}" http_role="conneg" media_type="text/turtle" />
  <location id="5" weight="1" />
  <other href="http://no.example.com/" />
</locations>"""


def chosen(octets: bytes, asker: Asker = ANYBODY, chance: float = 0.0) -> str | None:
    found = Locations.from_octets(octets).chosen(asker, chance)
    return found and found.attributes["id"]


@pytest.mark.parametrize(
    ("asker", "chance", "id_"),
    [
        (Asker(), 0.0, "1"),
        (Asker(), 0.24, "1"),
        (Asker(), 0.25, "2"),
        (Asker(), 0.999, "2"),
        (Asker(country="GB"), 0.9, "0"),
        (Asker(country="fr"), 0.0, "1"),
        (Asker([("id", "2")]), 0.0, "2"),
        (Asker([("id", "3")]), 0.0, "3"),
        (Asker([("id", "0")]), 0.0, "0"),
        (Asker([("id", "4")]), 0.0, "1"),
        (Asker([("id", "9")]), 0.0, "1"),
        (Asker([("id", "2"), ("country", "gb")], "gb"), 0.0, "2"),
    ],
)
def test_one_is_chosen_by_wish_then_country_then_weight(asker: Asker, chance: float, id_: str):
    assert chosen(DEPLOYED, asker, chance) == id_


@pytest.mark.parametrize(
    ("choose_by", "asker", "id_"),
    [
        ("country", Asker([("id", "b")], "gb"), "c"),
        ("weighted,country", Asker(country="gb"), "a"),
        ("locatt", Asker([("id", "b")], "gb"), "b"),
        ("address", Asker([("id", "b")], "gb"), "a"),
        ("address,score", Asker([("id", "b")], "gb"), "d"),
        (" Country , LOCATT ", Asker(country="gb"), "c"),
        ("", Asker([("id", "b")], "gb"), "a"),
        ("score", Asker(), "d"),
        ("country,score", Asker(country="gb"), "c"),
        ("locatt,score", Asker([("score", None)]), "d"),
        ("locatt", Asker([("country", None)]), "c"),
    ],
)
def test_the_methods_named_are_the_ones_used_in_their_order(choose_by: str, asker: Asker, id_: str):
    said = f'<locations chooseby="{choose_by}"><location id="a" href="h"/><location id="b" href="h"/>'
    more = '<location id="c" href="h" country="GB"/><location id="d" href="h" score="2.5"/></locations>'
    assert chosen(f"{said}{more}".encode(), asker) == id_
    newer = f"{said}{more}".replace("chooseby=", 'chooseby="none" choose_by=')
    assert chosen(newer.encode(), asker) == id_, "the name of today goes first"


def test_chance_decides_whatever_methods_are_named():
    said = b'<locations chooseby="country"><location id="a" href="h"/><location id="b" href="h"/></locations>'
    assert [chosen(said, chance=chance) for chance in (0.4, 0.6)] == ["a", "b"]


def test_what_has_no_weight_is_not_come_upon_by_chance():
    none = b'<locations><location id="a" href="h" weight="0"/></locations>'
    assert chosen(none) is None
    assert chosen(none, Asker([("id", "a")])) == "a"
    assert chosen(b"<locations/>") is None


@pytest.mark.parametrize(("said", "weight"), [("0", 0), ("2.5", 2.5), ("-1", 1), ("nan", 1), ("1e9", 1), ("", 1)])
def test_a_weight_is_a_plain_number_or_one(said: str, weight: float):
    assert Location({"weight": said}).weight == weight
    assert Location({}).weight == 1


@pytest.mark.parametrize(("said", "status"), [("303", 303), ("308", 308), ("200", None), ("0303", None), ("x", None)])
def test_only_a_redirect_is_asked_for(said: str, status: int | None):
    assert Location({"http_sc": said}).status == status


def test_the_status_may_be_said_for_all():
    said = b'<locations http_sc="301"><location id="a" href="h"/><location id="b" href="h" http_sc="307"/></locations>'
    assert [each.status for each in Locations.from_octets(said).all_] == [301, 307]


def test_an_address_may_be_made_of_the_identifier():
    assert Location({"href_template": "http://a/?{hdl}"}).address(HERE) == "http://a/?88.100.1%2Fa%20b"
    assert Location({"href_template": "http://a/{hdl:path}"}).address(HERE) == "http://a/88.100.1/a%20b"
    assert Location({"href": "http://a/{hdl}", "href_template": "x"}).address(HERE) == "http://a/{hdl}"
    assert Location({}).address(HERE) == ""


def test_who_likes_a_media_type_better_gets_what_is_for_it():
    read = Locations.from_octets(DEPLOYED)
    found = read.negotiated(["application/rdf+xml", "text/turtle"])
    assert found is not None
    assert found.attributes["id"] == "4"
    assert read.negotiated(["application/rdf+xml"]) is None
    assert read.negotiated([]) is None
    for name in (b"ctype", b"media-type"):
        named = Locations.from_octets(DEPLOYED.replace(b"media_type", name))
        assert named.negotiated(["application/rdf+xml"]) is None
        assert named.negotiated(["text/turtle"]) is not None
    any_ = Locations.from_octets(b'<locations><location http_role="CONNEG" href="h"/></locations>')
    assert any_.negotiated(["application/rdf+xml"]) is not None, "one that names no type is for all"
    assert any_.chosen(Asker(), 0) is None


def test_what_is_no_such_document_is_refused():
    with pytest.raises(ProtoError, match="root element locations"):
        Locations.from_octets(b"<namespace/>")


weights = st.lists(st.integers(0, 5), min_size=1, max_size=5)


@given(weights, st.floats(0, 1, exclude_max=True))
def test_chance_finds_only_what_has_weight_and_always_one(given_: list[int], chance: float):
    body = "".join(f'<location id="{n}" href="h" weight="{weight}"/>' for n, weight in enumerate(given_))
    found = chosen(f"<locations>{body}</locations>".encode(), chance=chance)
    assert (found is None) is (not any(given_))
    assert found is None or given_[int(found)]


@given(weights)
def test_everything_with_weight_is_found_by_some_chance_and_as_often_as_it_weighs(given_: list[int]):
    body = "".join(f'<location id="{n}" href="h" weight="{weight}"/>' for n, weight in enumerate(given_))
    read, whole = Locations.from_octets(f"<locations>{body}</locations>".encode()), sum(given_)
    found = [read.chosen(Asker(), (step + 0.5) / whole) for step in range(whole)]
    assert [sum(each is read.all_[n] for each in found) for n in range(len(given_))] == given_
