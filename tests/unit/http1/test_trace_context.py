"""W3C traceparent."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.http1.trace_context import NO_IDS, TraceIds, trace_ids
from tests.unit.http1.test_access_log_json import PARENT, SPAN, TRACE, head

IDS = TraceIds(TRACE, SPAN)


def ids(*values: bytes) -> TraceIds:
    return trace_ids(head(b"GET", b"/", *((b"traceparent", value) for value in values)))


class Parents(unittest.TestCase):
    def test_valid(self) -> None:
        for value in (
            PARENT,
            PARENT[:-2] + b"00",
            PARENT[:-2] + b"ff",
            # Of a later version.
            b"01" + PARENT[2:],
            b"cc" + PARENT[2:] + b"-what-comes",
            b"fe" + PARENT[2:] + b"-",
        ):
            with self.subTest(value=value):
                self.assertEqual(ids(value), IDS)

    def test_invalid(self) -> None:
        trace, span = TRACE.encode(), SPAN.encode()
        for value in (
            b"",
            b"00",
            PARENT[:-1],
            PARENT + b"0",
            PARENT + b"-",
            PARENT + b"-more",
            b"ff" + PARENT[2:],
            b"0" + PARENT[1:].replace(b"-", b"_"),
            PARENT.upper(),
            b"00-" + b"0" * 32 + b"-" + span + b"-01",
            b"00-" + trace + b"-" + b"0" * 16 + b"-01",
            b"00-" + trace[:-1] + b"g-" + span + b"-01",
            b"0x-" + trace + b"-" + span + b"-01",
            b"01" + PARENT[2:] + b"more",
        ):
            with self.subTest(value=value):
                self.assertEqual(ids(value), NO_IDS)
        self.assertEqual(ids(), NO_IDS)
        self.assertEqual(ids(PARENT, PARENT), NO_IDS)

    @given(st.binary(max_size=80))
    def test_anything(self, value: bytes) -> None:
        trace, span = ids(value)
        self.assertIn((len(trace), len(span)), ((0, 0), (32, 16)))
