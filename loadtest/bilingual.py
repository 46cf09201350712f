"""Names with what they mean to people, in Chinese and in English. Pure; each room has its own."""

from enum import Enum


class Bilingual(Enum):
    """Members are named by a pair: in Chinese, in English."""

    @property
    def zh(self) -> str:
        """In Chinese."""
        return str(self.value[0])

    @property
    def en(self) -> str:
        """In English."""
        return str(self.value[1])
