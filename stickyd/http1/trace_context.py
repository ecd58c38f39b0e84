"""The ids in a traceparent header (W3C Trace Context). Pure.

Source: https://www.w3.org/TR/trace-context/, section 3.2.
"""

import re
from typing import NamedTuple

from stickyd.http1.head_parser import Head

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16


class TraceIds(NamedTuple):
    """The trace that a request belongs to, and the span that has made it; "" for none."""

    trace: str
    span: str


NO_IDS = TraceIds("", "")


def trace_ids(head: Head) -> TraceIds:
    """The ids of a request; `NO_IDS` without a valid traceparent.

    Of a version above 00 the part that version 00 has is read ("Versioning of traceparent").
    """
    values = head.values(b"traceparent")
    parent = _PARENT.fullmatch(values[0]) if len(values) == 1 else None
    if parent is None:
        return NO_IDS
    version, trace, span, more = parent.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return NO_IDS
    if trace == _NO_TRACE or span == _NO_SPAN:
        return NO_IDS
    return TraceIds(trace.decode("ascii"), span.decode("ascii"))
