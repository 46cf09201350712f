"""Proves node/iiidap/names.py: names are found folded and in order, and what is new is found within a minute."""

from node.iiidap import names
from node.iiidap.names import FRESH_SECONDS, Names
from proto.iiidap import Pattern


class Enterprises:
    """A reading door with these enterprises; `asked` counts its pages."""

    def __init__(self, *known: tuple[str, str]) -> None:
        self.known = [(number, *both) for number, both in enumerate(known, 1)]
        self.asked = 0

    async def enterprise_names(self, after: int, most: int) -> list[tuple[int, str, str]]:
        self.asked += 1
        return [each for each in self.known if each[0] > after][:most]


def pattern(text: str) -> Pattern:
    found = Pattern.parse(text)
    assert found is not None
    return found


async def test_names_are_found_by_either_language(monkeypatch) -> None:
    monkeypatch.setattr(names, "PAGE", 2)
    door = Enterprises(("云岫皮具", "Yunxiu"), ("ＡＢＣ", "abc"), ("星禾", "Ab Xinghe"), ("空", ""), ("云", "Y"))
    made = Names(door, lambda: 0.0)  # type: ignore[arg-type]
    assert await made.find(pattern("云*"), 9) == [5, 1]
    assert await made.find(pattern("Ab*"), 9) == [3, 2], "each once"
    assert await made.find(pattern("ab*"), 1) == [3]
    assert await made.find(pattern("云"), 9) == [5]
    assert await made.find(pattern("无*"), 9) == []
    assert await made.find(pattern("\U0010ffff*"), 9) == []
    assert door.asked == 4, "three pages and the end"


async def test_what_is_new_is_found_when_the_copy_is_old() -> None:
    now = [0.0]
    door = Enterprises(("云岫", "Yunxiu"))
    made = Names(door, lambda: now[0])  # type: ignore[arg-type]
    assert await made.find(pattern("星*"), 9) == []
    door.known.append((2, "星禾", "Xinghe"))
    now[0] = FRESH_SECONDS - 1
    assert await made.find(pattern("星*"), 9) == []
    now[0] = FRESH_SECONDS
    assert await made.find(pattern("星*"), 9) == [2]


async def test_so_many_names_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(names, "PAGE", 1)
    monkeypatch.setattr(names, "NAMES_MOST", 4)
    made = Names(Enterprises(*[("云岫", "Yunxiu")] * 9), lambda: 0.0)  # type: ignore[arg-type]
    assert await made.find(pattern("云*"), 9) == [1, 2]
