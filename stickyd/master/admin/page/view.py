"""What the live page shows, as data: texts in figures, notices, tables and events. Pure.

The page is rendered from it twice: as HTML in the master (`stickyd.master.admin.page.html`), and
in the browser (page.js), which gets it as JSON once a second. Neither formats anything.
"""

import json
from typing import Any, NamedTuple

import attrs

PLAIN, GOOD, WARN, BAD = "", "good", "warn", "bad"
"""Tones: how a text is coloured. Nothing is told by a colour alone."""


class Cell(NamedTuple):
    """A cell of a table.

    :ivar text: may have several lines.
    :ivar bar: percent of a bar's length, or -1 without a bar.
    """

    text: str
    tone: str = PLAIN
    bar: int = -1

    def as_json(self) -> str | list[str | int]:
        """The text alone, if there is nothing else."""
        return (
            self.text if self.tone == PLAIN and self.bar < 0 else [self.text, self.tone, self.bar]
        )


@attrs.frozen
class Row:
    """A row with its heading; ``key`` is its name within the table, for programs."""

    key: str
    label: str
    cells: list[Cell]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "key": self.key,
            "label": self.label,
            "cells": [cell.as_json() for cell in self.cells],
        }


@attrs.frozen
class Group:
    """Rows under a common heading; with an empty ``label`` they have none."""

    label: str
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"label": self.label, "rows": [row.as_json() for row in self.rows]}


@attrs.frozen
class Table:
    """A table.

    :ivar key: its id on the page.
    :ivar corner: heading of the column of row headings.
    :ivar columns: headings of the others.
    """

    key: str
    title: str
    caption: str
    corner: str
    columns: list[str]
    groups: list[Group]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "key": self.key,
            "title": self.title,
            "caption": self.caption,
            "corner": self.corner,
            "columns": self.columns,
            "groups": [group.as_json() for group in self.groups],
        }


@attrs.frozen
class Figure:
    """A number of the whole daemon.

    :ivar note: what stands below it.
    :ivar trend: what is drawn over time; None if nothing is.
    """

    key: str
    label: str
    value: str
    note: str = ""
    trend: float | None = None


@attrs.frozen
class Notice:
    """Something to know, and the option that changes it."""

    tone: str
    text: str
    option: str = ""


@attrs.frozen
class Event:
    """Something that has happened.

    :ivar time: of the day, UTC.
    """

    number: int
    time: str
    text: str
    tone: str = PLAIN


@attrs.frozen
class Flow:
    """The picture of connections and moves: open connections by slot, moves of the last second.

    :ivar slots: number, open connections and tone of each slot.
    :ivar moves: from, to, count.
    """

    slots: list[tuple[int, int, str]]
    moves: list[tuple[int, int, int]]


class View(NamedTuple):
    """The page at one moment.

    :ivar assets: digest of the page's files; a page that has others loads itself anew.
    :ivar status: in one line, for assistive technologies and the window's title.
    """

    assets: str
    time: str
    status: str
    tone: str
    about: str
    figures: list[Figure]
    notices: list[Notice]
    tables: list[Table]
    events: list[Event]
    flow: Flow

    def as_json(self) -> str:
        """One line of ASCII."""
        fields = {
            "assets": self.assets,
            "time": self.time,
            "status": self.status,
            "tone": self.tone,
            "about": self.about,
            "figures": [attrs.asdict(each) for each in self.figures],
            "notices": [attrs.asdict(each) for each in self.notices],
            "tables": [each.as_json() for each in self.tables],
            "events": [attrs.asdict(each) for each in self.events],
            "flow": {"slots": self.flow.slots, "moves": self.flow.moves},
        }
        return json.dumps(fields, separators=(",", ":"))


def clean(text: str) -> str:
    """Without what HTML cannot have: control characters and lone surrogates are ``\\xNN``."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in " \n" else repr(each)[1:-1] for each in text
    )
