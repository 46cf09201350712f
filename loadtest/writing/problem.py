"""Why nothing was measured. The one error of this room."""


class WritingError(Exception):
    """The comparison could not be made; the text is for people."""
