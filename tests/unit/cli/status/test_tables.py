"""What is shown of the figures: every one of them, and nothing that a terminal interprets."""

import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.status.figures import read
from stickyd.cli.status.layout import Line, plain
from stickyd.cli.status.rates import Rates
from stickyd.cli.status.tables import fitted, status_lines, top_lines
from tests.support.status_reports import ANY_REPORT, OFTEN, counters, report, slot, worker

RELOADING = report(
    slot(
        1,
        worker(2001, generation=3, open=1200, idle=1100, upgraded=20, memory=88 << 20, age=5),
        worker(1001, state="retiring", generation=2, open=9, upgraded=9, cpu=400.0, age=90000),
        totals=counters(requests=1234567, moved={"2": 99}),
    ),
    slot(2, state="starting", totals=counters(requests=7)),
    generation=3,
    ready=False,
    not_ready="slots without a worker: 2",
    connections={"open": 1211, "idle": 1100, "most": 4000},
    master={"refused": {"400": 2}, "restarts": {"crash": 1, "reload": 4}},
    workers={
        "requests": 1234574,
        "upgraded": 29,
        "moved": {"2": 99},
        "misrouted": 3,
        "refused": {"503": 5},
        "lost": 1,
    },
)
SHOWN = """\
stickyd 0.1.0  NOT READY  generation 3  request scope  up 1m40s
slots without a worker: 2
1211 connections, 1100 idle, at most 4000

  slot   pid  gen  state     open  idle  ws  requests   mem    cpu    age
master   100    3               0     -   0             45M   2.0s  1m40s
     1  2001    3  ready     1200  1100  20   1234567   88M   1.5s     5s
        1001    2  retiring     9     0   9             43M  6m40s  1d01h
     2             starting                         7
   all                       1211  1100  29   1234574  176M  6m43s

moves        99 connections to another slot
misroutes    3 requests served by another slot than that of the key;
             --affinity-scope request ends them
refusals     400: 2, 503: 5
restarts     crash: 1, reload: 4
lost         1 connection ended while a response was pending"""


def text_of(lines: list[Line]) -> str:
    return "\n".join(plain(line) for line in lines)


class Status(unittest.TestCase):
    maxDiff = None

    def test_by_example(self) -> None:
        self.assertEqual(text_of(list(status_lines(read(RELOADING), None))), SHOWN)

    def test_load_is_shown_if_it_is_counted(self) -> None:
        figures = read(report(slot(1, worker(11), load=5), slot(2, worker(12), load=0)))
        lines = text_of(list(status_lines(figures, None))).splitlines()
        at = lines[3].index("load")
        self.assertEqual([line[at : at + 4].strip() for line in lines[5:7]], ["5", "0"])

    def test_a_wide_terminal_has_more_columns(self) -> None:
        figures = read(RELOADING)
        self.assertNotIn("arrived", text_of(list(status_lines(figures, 80))))
        self.assertIn("arrived", text_of(list(status_lines(figures, 120))))

    @OFTEN
    @given(ANY_REPORT, st.one_of(st.none(), st.integers(1, 300)))
    def test_nothing_reaches_the_terminal(
        self, document: dict[str, Any], width: int | None
    ) -> None:
        for line in status_lines(read(document), width):
            self.assertTrue(all(" " <= each <= "~" for each in plain(line)), line)

    @OFTEN
    @given(ANY_REPORT)
    def test_every_slot_and_every_worker_has_a_row(self, document: dict[str, Any]) -> None:
        figures = read(document)
        rows = text_of(list(status_lines(figures, None))).split("\n\n")[1].splitlines()[1:]
        number = sum(max(len(each.workers), 1) for each in figures.slots)
        self.assertEqual(len(rows), number + 2)


class Top(unittest.TestCase):
    def test_rates(self) -> None:
        now = Rates(1500.0, 2.5, {1: (1500.0, 2.5)}, {100: 0.03, 2001: 0.5}, True)
        above, rows, below = top_lines(read(RELOADING), now, 80)
        self.assertEqual(plain(above[3]), "1500 requests/s, 2.5 moves/s, 3% CPU of the master")
        self.assertEqual(
            text_of(rows),
            """\
  slot   pid  gen  state     open  idle  ws  req/s  moves/s   mem  cpu    age
master   100    3               0     -   0                   45M   3%  1m40s
     1  2001    3  ready     1200  1100  20   1500      2.5   88M  50%     5s
        1001    2  retiring     9     0   9                   43M    -  1d01h
     2             starting                      -        -
   all                       1211  1100  29   1500      2.5  176M  53%""",
        )
        self.assertEqual(text_of(below), SHOWN.split("\n\n")[2])

    @OFTEN
    @given(ANY_REPORT, st.integers(1, 200), st.integers(0, 60), st.integers(-5, 60))
    def test_it_fits(self, document: dict[str, Any], width: int, height: int, offset: int) -> None:
        lines, kept = fitted(top_lines(read(document), Rates(), width), height, offset)
        self.assertLessEqual(len(lines), height)
        self.assertGreaterEqual(kept, 0)

    def test_rows_that_do_not_fit_are_scrolled(self) -> None:
        figures = read(report(*(slot(n, worker(1000 + n)) for n in range(1, 65))))
        parts = top_lines(figures, Rates(), 80)
        lines, offset = fitted(parts, 23, 0)
        self.assertEqual(offset, 0)
        self.assertIn("rows 1 to 12 of 66; up and down scroll", text_of(lines))
        self.assertIn("restarts", text_of(lines))
        lines, offset = fitted(parts, 23, 1000)
        self.assertEqual(offset, 54)
        self.assertIn("rows 55 to 66 of 66", text_of(lines))
        self.assertIn("   all", text_of(lines))
        # A low window has the table and not what is below it.
        lines, _ = fitted(parts, 11, 0)
        self.assertNotIn("restarts", text_of(lines))
        self.assertIn("rows 1 to 5 of 66", text_of(lines))
