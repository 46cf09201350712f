"""The one family of errors of this layer: something said is not well-formed.

Text is for people: `zh` and `en` are whole sentences that name the field and the rule.
"""


class ProtoError(ValueError):
    """What was said breaks a rule of syntax.

    `field` is the name of the offending part, `zh` and `en` one sentence each.
    """

    def __init__(self, field: str, zh: str, en: str) -> None:
        super().__init__(en)
        self.field = field
        self.zh = zh
        self.en = en


class NotUtf8Error(ProtoError):
    """Octets that should be text are not UTF-8: all of them are there, but they say nothing."""

    def __init__(self, field: str) -> None:
        super().__init__(field, f"{field}不是UTF-8", f"{field} is not UTF-8")
