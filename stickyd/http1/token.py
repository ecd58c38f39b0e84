"""Tokens: methods, field names, parameter names (RFC 9110, 5.6.2)."""

import re

TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
"""The characters of a token, for use within brackets of a regular expression."""

TCHAR_BYTES = TCHAR.encode("ascii")

TOKEN = re.compile(rb"[" + TCHAR_BYTES + rb"]+")

_TEXT = re.compile(f"[{TCHAR}]+")


def is_token(text: str) -> bool:
    """Whether ``text`` is a token."""
    return _TEXT.fullmatch(text) is not None
