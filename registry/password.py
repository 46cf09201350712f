"""What a password must be, and nothing of how it is kept. Pure."""

from typing import Final

from registry.account import SECRET_CHARACTERS

SHORTEST: Final = 8
"""Fewest characters (GB/T 22239 asks for passwords that are hard to guess; NIST SP 800-63B, 5.1.1.2 for eight)."""
LONG: Final = 12
"""From so many on a password may be of any characters: a few words are remembered and hard to guess."""
KINDS: Final = 3
"""Of so many kinds are the characters of a shorter one: small letters, capitals, digits, others."""
DIFFERENT: Final = 5
"""Fewest different characters."""

_COMMON: Final = """
12345678 123456789 1234567890 password passw0rd password1 password12 password123 p@ssw0rd p@ssword pass@word1
p@ssw0rd1 p@ssw0rd123 qwerty123 qwertyuiop qwer1234 1qaz2wsx 1qaz@wsx !qaz2wsx 1q2w3e4r 1q2w3e4r5t zaq12wsx
admin123 admin1234 admin12345 admin123456 admin@123 admin@1234 admin@2024 admin@2025 admin@2026 admin888
administrator administrator1 root1234 root@123 root123456 test1234 test@123 test123456 user1234 welcome1
welcome@123 welcome123 letmein1 letmein123 changeme changeme1 changeme123 default1 iloveyou 5201314520
woaini1314 woaini520 woaini521 a1234567 a12345678 a123456789 aa123456 aa12345678 aaa111222 abc12345 abc123456
abc@1234 abcd1234 abcd@1234 abcdefgh abcdefgh1 asdf1234 asdfghjkl asdfghjkl1 zxcvbnm1 zxcvbnm123 zxcvbnm,
12341234 11223344 87654321 98765432 147258369 123123123 112233445566 p@55w0rd passw0rd! password! password1!
huawei@123 huawei12#$ idnode123 idnode@123 china123 china@123 beijing2008 qwerty12 qwerty@123 admin123! welcome1!
correcthorsebatterystaple 123456789012 1234567891011 administrator1 qwertyuiop123 password1234 adminadmin1
"""
COMMON: Final = frozenset(_COMMON.split())
"""What guessers try first, in small letters."""


def problem(username: str, password: str) -> tuple[str, str] | None:
    """Why `password` is not good enough for the account `username`, Chinese and English; None if it is."""
    if not SHORTEST <= len(password) <= SECRET_CHARACTERS:
        return (
            f"密码应为{SHORTEST}到{SECRET_CHARACTERS}个字符",
            f"a password has {SHORTEST} to {SECRET_CHARACTERS} characters",
        )
    if len(password) < LONG and _kinds(password) < KINDS:
        return (
            f"少于{LONG}个字符的密码应含小写字母、大写字母、数字、其他字符中的至少{KINDS}种",
            f"a password of fewer than {LONG} characters has {KINDS} of: small letters, capitals, digits, others",
        )
    folded = password.casefold()
    if folded in COMMON or len(set(password)) < DIFFERENT:
        return "密码过于常见或简单", "that password is among the first ones guessers try"
    if len(username) > 2 and username.casefold() in folded:
        return "密码不能包含用户名", "a password does not hold the user name"
    return None


def _kinds(password: str) -> int:
    small = any(c.islower() for c in password)
    capital = any(c.isupper() for c in password)
    digit = any(c.isdigit() for c in password)
    other = any(not (c.islower() or c.isupper() or c.isdigit()) for c in password)
    return small + capital + digit + other
