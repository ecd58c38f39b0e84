"""Tables are aligned, and as wide as they may be."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.status.layout import EXTRA, Column, Line, Segment, cut, entry, plain, table
from tests.support.status_reports import OFTEN

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
TABLES = st.integers(1, 8).flatmap(
    lambda count: st.tuples(
        st.lists(
            st.builds(Column, TEXTS, st.integers(0, 30), st.booleans()),
            min_size=count,
            max_size=count,
        ),
        st.lists(st.lists(TEXTS.map(Segment), min_size=count, max_size=count), max_size=5),
    )
)


def lines_of(columns: list[Column], rows: list[list[Segment]], width: int) -> list[str]:
    return ["".join(segment.text for segment in line) for line in table(columns, rows, width)]


class Tables(unittest.TestCase):
    def test_by_example(self) -> None:
        columns = [Column("slot"), Column("state", 1, left=True), Column("open", EXTRA)]
        rows = [[Segment("1"), Segment("ready"), Segment("1024")]]
        self.assertEqual(lines_of(columns, rows, 80), ["slot  state  open", "   1  ready  1024"])
        self.assertEqual(lines_of(columns, rows, 16), ["slot  state", "   1  ready"])
        self.assertEqual(lines_of(columns, rows, 10), ["slot state", "   1 ready"])
        self.assertEqual(lines_of(columns, rows, 9), ["slot", "   1"])
        self.assertEqual(lines_of(columns, rows, 1), ["slot", "   1"])

    @OFTEN
    @given(TABLES, st.integers(0, 90))
    def test_they_fit_or_have_only_what_is_never_left_out(
        self, given_table: tuple[list[Column], list[list[Segment]]], width: int
    ) -> None:
        columns, rows = given_table
        lines = lines_of(columns, rows, width)
        self.assertEqual(len(lines), 1 + len(rows))
        self.assertEqual(len({len(line) for line in lines}), 1)
        if len(lines[0]) > width:
            kept = [column.heading for column in columns if column.rank == 0]
            self.assertEqual(lines[0].split(), [name for name in kept if name])


class Lines(unittest.TestCase):
    @OFTEN
    @given(st.lists(TEXTS.map(Segment), max_size=5), st.integers(-3, 40))
    def test_cut(self, segments: list[Segment], width: int) -> None:
        line: Line = tuple(segments)
        whole = "".join(each.text for each in line)
        self.assertEqual("".join(each.text for each in cut(line, width)), whole[: max(width, 0)])

    def test_entries_are_wrapped(self) -> None:
        text = "51 requests; --affinity-scope request ends them"
        lines = [plain(line) for line in entry("misroutes", text, 40)]
        self.assertEqual(lines[0], "misroutes    51 requests;")
        self.assertEqual(" ".join(line[13:] for line in lines), text)
        self.assertEqual([plain(line) for line in entry("moves", "", 40)], ["moves"])
