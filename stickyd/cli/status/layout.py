"""Lines of styled text, and tables of them. Pure; all text is visible ASCII."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

EXTRA = 20
"""The least rank of columns that are for wide terminals only."""


class Segment(NamedTuple):
    """A piece of a line.

    :ivar style: ``""``, or a key of `stickyd.cli.status.screen.STYLES`.
    """

    text: str
    style: str = ""


Line = tuple[Segment, ...]


class Column(NamedTuple):
    """A column of a table.

    :ivar rank: columns with a higher one are left out first; 0 is never left out.
    """

    heading: str
    rank: int = 0
    left: bool = False


def plain(line: Line) -> str:
    """The text of a line, without blanks at its end."""
    return "".join(segment.text for segment in line).rstrip()


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Segment]], width: int
) -> Iterator[Line]:
    """The lines of a table with a line of headings, at most ``width`` wide where that is possible.

    Columns are left out until the others fit. Two blanks are between columns, or one if columns
    below the rank `EXTRA` do not fit otherwise.
    """
    widths = [
        max([len(column.heading), *(len(row[at].text) for row in rows)])
        for at, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    gap = 2
    while sum(widths[at] + gap for at in shown) - gap > width:
        last = max(shown, key=lambda at: columns[at].rank)
        if gap == 2 and columns[last].rank < EXTRA:
            gap = 1
        elif columns[last].rank:
            shown.remove(last)
        else:
            break
    heading = [Segment(column.heading, "head") for column in columns]
    for row in [heading, *rows]:
        yield tuple(_cells(columns, widths, shown, row, gap))


def _cells(
    columns: Sequence[Column],
    widths: Sequence[int],
    shown: Sequence[int],
    row: Sequence[Segment],
    gap: int,
) -> Iterator[Segment]:
    for at in shown:
        text, style = row[at]
        if at != shown[0]:
            yield Segment(" " * gap)
        fill = Segment(" " * (widths[at] - len(text)))
        if not columns[at].left:
            yield fill
        yield Segment(text, style)
        if columns[at].left:
            yield fill


def entry(name: str, text: str, width: int, style: str = "") -> Iterator[Line]:
    """A name, and a text behind it that is wrapped."""
    indent = 13
    room = max(width - indent, 20)
    for number, part in enumerate(textwrap.wrap(text, room, break_on_hyphens=False) or [""]):
        yield (Segment(f"{'' if number else name:{indent}}", "name"), Segment(part, style))


def cut(line: Line, width: int) -> Line:
    """The line without what is beyond ``width``."""
    kept: list[Segment] = []
    for text, style in line:
        kept.append(Segment(text[: max(width, 0)], style))
        width -= len(text)
    return tuple(kept)
