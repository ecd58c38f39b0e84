"""The id of a request, in a header field of its own (``--request-id``)."""

import re
from collections.abc import Callable
from os import urandom

from stickyd.http1.head_parser import Head

LONGEST = 200
"""Characters of an id that is kept."""

# Among them UUIDs, base64, ULIDs, and X-Amzn-Trace-Id of an AWS ALB.
_VALID = re.compile(rb"[0-9A-Za-z._~:;=+/@-]{1,%d}" % LONGEST)


def new_id() -> bytes:
    """128 random bits in hexadecimal."""
    return urandom(16).hex().encode("ascii")


def with_request_id(
    head: Head, name: bytes, *, keep: bool, make: Callable[[], bytes] = new_id
) -> Head:
    """A head with exactly one id.

    :param name: of the field, in lower case.
    :param keep: keep the id that the client has sent, if it has sent one that is valid: up to
        `LONGEST` letters, digits and ``._~:;=+/@-``.
    """
    values = head.values(name)
    if len(values) == 1 and keep and _VALID.fullmatch(values[0]):
        return head
    fields = [field for field in head.fields if field[0] != name] if values else [*head.fields]
    fields.append((name, make()))
    return head._replace(fields=fields)
