"""`Problem`: why an import cannot run or go on, in one sentence of each language, and who speaks which.

What is wrong with a single row is no problem but a refusal in its result (units.py, results.py).
"""

import os
from collections.abc import Mapping


class Problem(Exception):
    """The import cannot run or go on. `zh` and `en` are one sentence each, with the mend; `code` is the response
    code of the Handle HTTP API where it gives one, else 0.
    """

    def __init__(self, zh: str, en: str, code: int = 0) -> None:
        super().__init__(en)
        self.zh = zh
        self.en = en
        self.code = code


def speaks_chinese(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal is to be spoken to in Chinese: the first set of LC_ALL, LC_MESSAGES, LANG decides."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return next((environment[name] for name in names if environment.get(name)), "").lower().startswith("zh")
