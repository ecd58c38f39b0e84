"""Lines of the access log as JSON objects."""

import os
import unittest
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from stickyd.http1.access_log_format import compiled
from stickyd.http1.access_log_json import fitted_line, json_line
from stickyd.http1.access_log_record import Record
from stickyd.http1.head_parser import Head
from stickyd.http1.json_text import joined
from tests.unit.http1.test_json_text import ANY_TEXT, strictly

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()


def head(method: bytes, target: bytes, *fields: tuple[bytes, bytes]) -> Head:
    return Head(method, target, 1, fields, 0, 0, True, frozenset(), False)


HEAD = head(
    b"GET",
    b"/a%20b?c=d?e",
    (b"referer", b"http://r/"),
    (b"user-agent", b'a "b"'),
    (b"x-request-id", b"id-1"),
    (b"traceparent", PARENT),
)
RECORD = Record(
    "10.0.0.1", HEAD, 200, 123, 1e9 + 0.5, 0.25, 2, "xff", "key", 7, "no", True, b"x-request-id"
)
EMPTY = Record("", head(b"GET", b"/"), 0, 0, 0.0, 0.0, 1, "none", "", 1)


def parsed(line: bytes) -> dict[str, Any]:
    """The members of a line, which is one."""
    assert line.count(b"\n") == 1
    text = line.decode("ascii")
    assert text[:-1].isprintable()
    members: dict[str, Any] = strictly(text)
    return members


class Lines(unittest.TestCase):
    def test_a_request(self) -> None:
        self.assertEqual(
            parsed(json_line(RECORD)),
            {
                "time": "2001-09-09T01:46:40.500000Z",
                "client": "10.0.0.1",
                "method": "GET",
                "path": "/a%20b",
                "query": "c=d?e",
                "protocol": "HTTP/1.1",
                "status": 200,
                "bytes": 123,
                "referer": "http://r/",
                "user_agent": 'a "b"',
                "duration": 0.25,
                "slot": 2,
                "pid": os.getpid(),
                "reason": "xff",
                "why": "no",
                "connection": 7,
                "moved": True,
                "request_id": "id-1",
                "trace_id": TRACE,
                "span_id": SPAN,
            },
        )
        self.assertEqual(compiled("json")(RECORD), json_line(RECORD))

    def test_what_there_is_nothing_of_is_null(self) -> None:
        members = parsed(json_line(EMPTY))
        self.assertEqual(members.keys(), parsed(json_line(RECORD)).keys())
        none = {name for name, value in members.items() if value is None}
        ids = {"request_id", "trace_id", "span_id"}
        self.assertEqual(none, {"client", "query", "status", "referer", "user_agent", "why"} | ids)

    def test_atoms_of_text(self) -> None:
        line = compiled("%(request_id)s %(trace_id)s %(span_id)s %(moved)s %({x-request-id}i)s")
        self.assertEqual(line(RECORD), f"id-1 {TRACE} {SPAN} moved id-1\n".encode())
        self.assertEqual(line(EMPTY), b"- - - - -\n")

    @given(st.binary(), st.binary(), st.none() | st.binary(), st.binary(), ANY_TEXT)
    @example(b"G\n", b"/\xff", b"\xed\xa0\x80", b'"\\\r\n\0', "\udc80")
    def test_whatever_is_sent(
        self, method: bytes, path: bytes, query: bytes | None, value: bytes, why: str
    ) -> None:
        path = path.replace(b"?", b"")
        target = path if query is None else path + b"?" + query
        record = RECORD._replace(
            head=head(method, target, (b"user-agent", value), (b"referer", value)), why=why
        )
        members = parsed(json_line(record))
        self.assertEqual(joined(members, "method"), method)
        self.assertEqual(joined(members, "path"), path)
        self.assertEqual(joined(members, "user_agent"), value)
        self.assertEqual(joined(members, "referer"), value)
        if query is None:
            self.assertIsNone(members["query"])
        else:
            self.assertEqual(joined(members, "query"), query)

    @given(
        st.sampled_from([b"\xff", b"a", b"\\", "ä".encode()]),
        st.lists(st.integers(0, 9000), min_size=4, max_size=4),
        st.sampled_from([4096, 65532]),
    )
    def test_lines_for_a_pipe(self, byte: bytes, sizes: list[int], most: int) -> None:
        method, target, agent, referer = (byte * size for size in sizes)
        record = RECORD._replace(
            head=head(method, target, (b"user-agent", agent), (b"referer", referer))
        )
        line, whole = fitted_line(record, most), json_line(record)
        self.assertLessEqual(len(line), most)
        members = parsed(line)
        self.assertEqual(members.get("cut", False), len(whole) > most)
        if len(whole) <= most:
            self.assertEqual(line, whole)
        self.assertTrue(agent.startswith(joined(members, "user_agent")))
