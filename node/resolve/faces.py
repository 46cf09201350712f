"""How records of a template are shown: what all of them have in common is put together once. Who sees what is said by
registry/sight.py.
"""

from typing import Final

from proto.value import TEMPLATE_ID_INDEX, TEMPLATE_INDEX
from proto.web_json import closing, inside, opening
from registry.lookup import TEMPLATES_MOST
from registry.record import ROW_INDEX_LAST, texts
from registry.template import ITEM_INDEX_FIRST, Template


class Face:
    """How records of `template` are shown to everybody, or, `whole`, to whoever sees all of them."""

    def __init__(self, template: Template, *, whole: bool = False) -> None:
        self.template = template
        shown = {i.index: opening(i.index, i.name) for i in template.items if whole or i.access == "public"}
        last = min(max(shown, default=0), ROW_INDEX_LAST)
        self._openings = [shown.get(index, b"") for index in range(ITEM_INDEX_FIRST, last + 1)]
        front = {TEMPLATE_ID_INDEX: ("TEMPLATE_ID", template.handle), TEMPLATE_INDEX: ("TEMPLATE", template.version)}
        said = [(opening(index, type_), inside(text)) for index, (type_, text) in front.items()]
        self._front = [before + text for before, text in said if before is not None and text is not None]
        self._usual = None not in shown.values() and len(self._front) == len(front)

    def shown(self, body: bytes, updated: int) -> bytes | None:
        """The `array` of the values of a record; None if it has something out of the common."""
        said = texts(body)
        if said is None or not self._usual:
            return None
        end = closing(updated)
        parts = [before + text for before, text in zip(self._openings, said, strict=False) if before and text]
        return b"[" + (end + b",").join([*self._front, *parts]) + end + b"]"


class Faces:
    """The faces of the templates met so far, TEMPLATES_MOST at most."""

    def __init__(self, *, whole: bool = False) -> None:
        self._whole: Final = whole
        self._kept: dict[int, Face] = {}

    def kept(self, number: int, epoch: int) -> Face | None:
        """That of the template of this number, not older than `epoch`; None if it was not met so."""
        face = self._kept.get(number)
        return None if face is None or face.template.epoch < epoch else face

    def met(self, template: Template) -> Face:
        """That of a template just read."""
        face = self._kept.get(template.number)
        if face is None or face.template is not template:
            if len(self._kept) >= TEMPLATES_MOST:
                self._kept.clear()
            face = self._kept[template.number] = Face(template, whole=self._whole)
        return face
