"""The unified social credit code of an enterprise (GB 32100-2015): its characters and its check character.

Which enterprise bears a code, and whether it exists, nobody can tell from the code; that is for whoever files it.
"""

from typing import Final

from proto.errors import ProtoError

CHARACTERS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""Digits and capitals without I, O, S, V and Z, worth their place (GB 32100-2015, table 3)."""
LENGTH: Final = 18
_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(LENGTH - 1))


def check_character(first: str) -> str:
    """The 18th character for the first 17, all of CHARACTERS."""
    total = sum(CHARACTERS.index(character) * weight for character, weight in zip(first, _WEIGHTS, strict=True))
    return CHARACTERS[-total % 31]


def check_credit_code(text: str, field: str) -> None:
    """Raises ProtoError for what is no credit code, naming `field` and the rule."""
    if len(text) != LENGTH or not set(text) <= set(CHARACTERS):
        raise ProtoError(
            field,
            f"{field}应为18位统一社会信用代码，由数字和除I、O、S、V、Z外的大写字母组成",
            f"{field} must be a unified social credit code: 18 digits or capitals other than I, O, S, V, Z",
        )
    wanted = check_character(text[:-1])
    if text[-1] != wanted:
        raise ProtoError(
            field,
            f"{field}的校验码不符：末位应为{wanted}（GB 32100）",
            f"{field} has a wrong check character: the last one must be {wanted} (GB 32100)",
        )
