"""The one family of errors of this layer. What a client did wrong is no error: judgements are values (rules.py)."""


class RegistryError(Exception):
    """Something went wrong between us and the database."""


class UnavailableError(RegistryError):
    """The database cannot be asked now; nothing was done."""


class AuditFullError(UnavailableError):
    """The audit journal has no room left: what it must tell of is not done. The text is one sentence."""

    def __init__(self) -> None:
        super().__init__(
            "审计账已写满（IDNODE_AUDIT_OCTETS），变更停止。 "
            "The audit journal is full (IDNODE_AUDIT_OCTETS): changes are stopped."
        )


class UnknownOutcomeError(RegistryError):
    """The connection was lost while a change was being committed: it may have happened or not.

    `backend` is the server process that may still be committing.
    """

    def __init__(self, message: str, backend: int) -> None:
        super().__init__(message)
        self.backend = backend


class TakenError(RegistryError):
    """A name belongs to somebody else; nothing was done. The text is one sentence for the operator."""


class NotApprovedError(RegistryError):
    """A prefix cannot come into a state: that of before forbids it, or the top-level node. `zh` and `en` say why."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh}。 {en}.")
        self.zh = zh
        self.en = en


class NotInOfficeError(RegistryError):
    """Another process was elected the voice since; nothing was done."""


class SchemaError(RegistryError):
    """The database holds a schema this program does not know; the text is one sentence for the operator."""
