"""How the node writes a member of the population down, learned from rows it has written itself. Pure.

Nothing here knows the form: what stands before each text is taken from the rows, and every row must agree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class FormError(Exception):
    """Rows cannot be made as the node makes them; the text is for people."""


@dataclass(frozen=True, slots=True)
class Form:
    """`leads` holds the octets that stand before a text, by its place among the texts and its length in octets."""

    leads: dict[tuple[int, int], bytes]

    @classmethod
    def learned(cls, rows: Iterable[tuple[bytes, Sequence[str]]]) -> "Form":
        """From bodies and the texts they hold, in order. Raises FormError when two rows do not agree."""
        leads: dict[tuple[int, int], bytes] = {}
        for body, texts in rows:
            for key, lead in _leads(body, texts):
                if leads.setdefault(key, lead) != lead:
                    raise FormError(
                        f"第{key[0] + 1}个文本的写法不一。 Text {key[0] + 1} is not always written down alike."
                    )
        return cls(leads)

    def body(self, texts: Sequence[str]) -> bytes:
        """The body of a row with these texts. Raises FormError for a length that no row had at that place."""
        leads = self.leads
        parts = []
        try:
            for place, text in enumerate(texts):
                octets = text.encode()
                parts.append(leads[place, len(octets)])
                parts.append(octets)
        except KeyError:
            raise FormError(f"没有见过这样长的文本：{text}。 No row had a text as long as {text}.") from None
        return b"".join(parts)


def _leads(body: bytes, texts: Sequence[str]) -> Iterable[tuple[tuple[int, int], bytes]]:
    """What stands before each text; the last one ends the body."""
    at = 0
    for place, text in enumerate(texts):
        octets = text.encode()
        found = body.find(octets, at)
        if found < 0:
            raise FormError(f"行中没有文本{text}。 A row does not hold the text {text}.")
        yield (place, len(octets)), body[at:found]
        at = found + len(octets)
    if at != len(body):
        raise FormError("行中还有别的内容。 A row holds more than its texts.")
