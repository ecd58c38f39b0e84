"""JSON members (RFC 8259) of any bytes and any text, in ASCII. Pure.

A value that is valid UTF-8 is a string with that text. Of any other value the string has
``\\xNN`` for each byte that is not part of UTF-8, and a second member, ``NAME_base64``, has all of
its bytes. Text of Python may hold lone surrogates: in the string they are ``\\udNNN``, and among
the bytes what UTF-8 would make of them. So nothing is lost, and every parser accepts the line.
"""

import math
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring_ascii

Plain = str | int | float | bool | None
"""A value without parts."""

BASE64 = "_base64"
"""What the name of a member with bytes ends in."""

quoted = encode_basestring_ascii
"""A string of JSON, with quotes, in ASCII."""

_LARGE = 2**63


def split(name: str, value: bytes | str) -> Iterator[tuple[str, str]]:
    """The members of a value: one, or two if it is not UTF-8."""
    if isinstance(value, bytes):
        try:
            yield name, value.decode("utf-8")
        except UnicodeDecodeError:
            yield name, value.decode("utf-8", "backslashreplace")
            yield name + BASE64, b64encode(value).decode("ascii")
        return
    if value.isascii():
        yield name, value
        return
    try:
        value.encode("utf-8")
        yield name, value
    except UnicodeEncodeError:
        yield name, value.encode("utf-8", "backslashreplace").decode("utf-8")
        data = value.encode("utf-8", "surrogatepass")
        yield name + BASE64, b64encode(data).decode("ascii")


def joined(members: Mapping[str, object], name: str) -> bytes:
    """The inverse of `split`: the bytes of a value.

    :raise KeyError: if there is no member of that name.
    """
    exact = members.get(name + BASE64)
    if isinstance(exact, str):
        return b64decode(exact)
    return str(members[name]).encode("utf-8")


def text_member(name: str, value: bytes | str) -> str:
    """``"name":"value"``, as it stands in an object; ``name`` is ASCII without quotes."""
    if value.isascii():
        text = value if isinstance(value, str) else value.decode("ascii")
        return f'"{name}":{quoted(text)}'
    return ",".join(f'"{part}":{quoted(text)}' for part, text in split(name, value))


def number(value: int | float) -> str:
    """A number, or a string where JSON has none (NaN), or where parsers differ (above 64 bits)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else f'"{float(value)}"'
    return int.__repr__(value) if -_LARGE <= value < 2 * _LARGE else f'"{value:#x}"'


def rfc3339(moment: float) -> str:
    """A time in UTC with microseconds (RFC 3339)."""
    whole, micro = divmod(round(moment * 1_000_000), 1_000_000)
    try:
        year, month, day, hour, minute, second, *_ = time.gmtime(whole)
    except (OverflowError, OSError, ValueError):
        return rfc3339(0.0)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z"


def plain_members(values: Iterable[tuple[str, object]], *, parted: bool = False) -> list[str]:
    """The members of those values that are plain or bytes; others are left out.

    Of values of one name the first is there. ``a_base64`` is left out if there is an ``a``, whose
    bytes it would be taken for.

    :param parted: the values are members of an object that this has made: ``a_base64`` stays.
    """
    named: dict[str, object] = {}
    for name, value in values:
        named.setdefault(_clean(name), value)
    return [
        f"{quoted(part)}:{text}"
        for name, value in named.items()
        if parted or not (name.endswith(BASE64) and name.removesuffix(BASE64) in named)
        for part, text in _members(name, value)
    ]


def _members(name: str, value: object) -> Iterator[tuple[str, str]]:
    if value is None:
        yield name, "null"
    elif isinstance(value, bool | int | float):
        yield name, number(value)
    elif isinstance(value, str | bytes):
        for part, text in split(name, value):
            yield part, quoted(text)


def _clean(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
