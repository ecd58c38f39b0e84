"""What child processes say, on its way into a log in JSON."""

import json
import unittest

from hypothesis import example, given
from hypothesis import strategies as st

from stickyd.http1.json_text import joined
from stickyd.logs.record import (
    PRINTED,
    TAG_OPTION,
    Record,
    mark_of,
    packed,
    records,
    tag_among,
    unpacked,
    whole,
)
from tests.unit.http1.test_json_text import ANY_TEXT, strictly

MARK = mark_of("0123456789abcdef")
LINES = st.binary().map(lambda data: data.replace(b"\n", b"").replace(MARK, b""))
FIELDS = st.lists(st.tuples(ANY_TEXT, st.integers() | st.floats() | ANY_TEXT | st.none()))
RECORDS = st.builds(
    Record,
    st.floats(0, 2e9),
    st.sampled_from([2, 3, 4, 6, 7]),
    ANY_TEXT,
    ANY_TEXT,
    ANY_TEXT,
    FIELDS.map(tuple),
)


class Lines(unittest.TestCase):
    @given(LINES)
    @example(b"\xff\xc3")
    @example(b"<3>")
    def test_what_is_printed_is_kept(self, line: bytes) -> None:
        (record,) = records(line, MARK)
        text = whole(record, "worker", 12, 3)
        self.assertEqual((text.count("\n"), text[-1]), (1, "\n"))
        members = strictly(text)
        self.assertEqual((members["logger"], members["slot"]), (PRINTED, 3))
        prefix = b"" if members["level"] == "info" else line[:3]
        kept = joined(members, "message")
        self.assertIn(line, (prefix + kept, line[:3] + kept))

    @given(LINES, RECORDS)
    def test_records_among_what_is_printed(self, before: bytes, record: Record) -> None:
        line = before + MARK + packed(record).encode("ascii")
        self.assertNotIn(b"\n", line)
        *printed, said = records(line, MARK)
        self.assertEqual(len(printed), bool(before))
        self.assertEqual(
            (said.time, said.priority, said.logger, said.message, said.traceback),
            (record.time, record.priority, record.logger, record.message, record.traceback),
        )
        members = strictly(whole(said, "worker", 12))
        text = str(record.message).encode("utf-8", "surrogatepass")
        self.assertEqual(joined(members, "message"), text)
        self.assertEqual("traceback" in members, bool(record.traceback))

    @given(st.binary())
    @example(b'{"time":1}')
    @example(b"[" * 100_000)
    @example(b'{"time":1.5,"priority":true,"logger":"","message":"","traceback":"","fields":{}}')
    @example(b'{"time":1.5,"priority":6,"logger":"","message":[],"traceback":"","fields":{}}')
    def test_what_is_torn_is_printed(self, rest: bytes) -> None:
        line = MARK + rest.replace(b"\n", b"")
        (record,) = records(line, MARK)
        self.assertEqual((record.logger, record.message), (PRINTED, line))

    def test_without_the_mark_nothing_passes_for_a_record(self) -> None:
        record = packed(Record(1.5, 2, "forged", "message")).encode("ascii")
        for line in (record, b"\x1e" + record, mark_of("0") + record):
            with self.subTest(line=line):
                (said,) = records(line, MARK)
                self.assertEqual((said.logger, said.message), (PRINTED, line))
        (said,) = records(record, b"")
        self.assertEqual(said.logger, PRINTED)

    def test_fields_in_place_of_those_of_the_record(self) -> None:
        said = unpacked(packed(Record(1.5, 6, "access", "x"), '{"status":200}').encode())
        assert said is not None
        self.assertEqual(said.fields, (("status", 200),))

    def test_the_tag_of_a_process(self) -> None:
        self.assertEqual(tag_among(["worker", "5", TAG_OPTION + "ab"]), "ab")
        self.assertEqual((tag_among(["worker", "5"]), mark_of("")), ("", b""))


class Whole(unittest.TestCase):
    def test_an_example(self) -> None:
        record = Record(1e9 + 0.5, 4, "a.b", "it's", "Traceback", (("n", 1), ("o", object())))
        self.assertEqual(
            json.loads(whole(record, "worker", 12, 3)),
            {
                "time": "2001-09-09T01:46:40.500000Z",
                "level": "warn",
                "logger": "a.b",
                "process": "worker",
                "pid": 12,
                "slot": 3,
                "message": "it's",
                "traceback": "Traceback",
                "fields": {"n": 1},
            },
        )
