"""Checks of what command lines give, for every command. What is wrong is one line of ASCII."""

from twisted.python import usage

from stickyd.http1.token import is_token

_DAY = 86400


def whole(option: str, text: str, least: int, most: int = 2**31) -> int:
    """A whole number within bounds.

    :raise usage.UsageError: with one line that says what to change; so do the others.
    """
    try:
        number = int(text)
    except ValueError:
        raise usage.UsageError(f"{option}: {text!a} is not a whole number") from None
    if not least <= number <= most:
        raise usage.UsageError(f"{option}: {number} is not within {least} to {most}")
    return number


def seconds(option: str, text: str, most: int = _DAY, *, off: bool = False) -> float:
    """A positive number of seconds; with ``off`` 0 is one too, and means never."""
    try:
        number = float(text)
    except ValueError:
        raise usage.UsageError(f"{option}: {text!a} is not a number of seconds") from None
    if not (0 < number <= most or (off and number == 0)):
        raise usage.UsageError(f"{option}: {text!a} is not within 0 to {most}")
    return number


def token(option: str, text: str) -> str:
    """The name of a header field (RFC 9110, 5.6.2)."""
    if not is_token(text):
        raise usage.UsageError(f"{option}: {text!a} is not a header name")
    return text
