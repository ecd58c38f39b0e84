"""Cookies of a request: all of one name, and the request without them (RFC 6265, 4.2). Pure.

Pairs are divided by ``;`` alone. RFC 6265 (4.1.1) has no quoted strings that could hold one,
and browsers send none.
"""

from stickyd.http1.head_parser import Head


def cookies(head: Head, name: bytes) -> list[bytes]:
    """The values of every cookie called ``name``, in order, with their quotes if they have any."""
    found = []
    for line in head.values(b"cookie"):
        if name in line:
            for pair in line.split(b";"):
                value = _value(pair, name)
                if value is not None:
                    found.append(value)
    return found


def without_cookie(head: Head, name: bytes) -> Head:
    """The same head without any cookie called ``name``; without Cookie if there is no other.

    Other cookies stay as they were sent. A head that has none of that name is returned itself.
    """
    if not any(name in line for line in head.values(b"cookie")):
        return head
    fields = []
    changed = False
    for field in head.fields:
        if field[0] == b"cookie" and name in field[1]:
            pairs = field[1].split(b";")
            kept = [pair for pair in pairs if _value(pair, name) is None]
            if len(kept) < len(pairs):
                changed = True
                rest = b";".join(kept).strip(b" \t")
                if rest.strip(b"; \t"):
                    fields.append((field[0], rest))
                continue
        fields.append(field)
    return head._replace(fields=fields) if changed else head


def _value(pair: bytes, name: bytes) -> bytes | None:
    """The value of a pair, if ``name`` is its name; without ``=`` it has none."""
    found, equals, value = pair.strip(b" \t").partition(b"=")
    return value if equals and found == name else None


def set_cookie(value: bytes, name: bytes) -> bytes | None:
    """What a Set-Cookie of ``value`` stores under ``name`` (RFC 6265, 5.2).

    None if it is another cookie, or one that ends: an empty value, or Max-Age of 0 or less.
    """
    pair, *attributes = value.split(b";")
    stored, equals, text = pair.partition(b"=")
    text = text.strip(b" \t")
    if not equals or stored.strip(b" \t") != name or text in (b"", b'""'):
        return None
    for attribute in attributes:
        key, _, age = attribute.partition(b"=")
        if key.strip(b" \t").lower() == b"max-age" and _ends(age.strip(b" \t")):
            return None
    return text


def _ends(age: bytes) -> bool:
    digits = age.removeprefix(b"-")
    return digits.isdigit() and (age.startswith(b"-") or not digits.strip(b"0"))
