"""What ``top`` shows after what it has heard."""

import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.status.figures import read
from stickyd.cli.status.layout import plain
from stickyd.cli.status.view import View
from tests.support.status_reports import ANY_REPORT, OFTEN, counters, report, slot, worker


def figures(requests: int, **given: Any) -> Any:
    counted = counters(requests=requests)
    return read(
        report(slot(1, worker(11), totals=counted), workers={"requests": requests}, **given)
    )


def shown(view: View, width: int = 80, height: int = 24) -> list[str]:
    return [plain(line) for line in view.lines(width, height)]


class Heard(unittest.TestCase):
    def test_rates_need_two_answers(self) -> None:
        view = View()
        view.heard(figures(10), 1.0)
        self.assertEqual(shown(view)[2], "- requests/s, - moves/s, - CPU of the master")
        view.heard(figures(30), 3.0)
        self.assertEqual(shown(view)[2], "10 requests/s, 0 moves/s, 0% CPU of the master")
        self.assertEqual(shown(view)[-1], "q quits")

    def test_a_daemon_that_is_away_and_comes_back(self) -> None:
        view = View()
        view.heard(figures(10), 1.0)
        view.heard(figures(20), 2.0)
        view.failed("'/run/control': nothing listens there")
        first, *_, last = shown(view)
        self.assertEqual(first, "NO ANSWER, trying again: '/run/control': nothing listens there")
        self.assertEqual(shown(view)[2], "- requests/s, - moves/s, - CPU of the master")
        self.assertEqual(last, "q quits")
        # It may be another one: what was before does not count.
        view.heard(figures(90), 3.0)
        self.assertTrue(shown(view)[0].startswith("stickyd 0.1.0  ready"))
        self.assertEqual(shown(view)[2], "- requests/s, - moves/s, - CPU of the master")
        view.heard(figures(91), 4.0)
        self.assertEqual(shown(view)[2], "1.0 requests/s, 0 moves/s, 0% CPU of the master")

    def test_scrolling_ends_at_the_ends(self) -> None:
        view = View()
        view.heard(read(report(*(slot(n, worker(1000 + n)) for n in range(1, 65)))), 1.0)
        view.press(["page down"] * 50)
        self.assertTrue(any(line.endswith("of 66; up and down scroll") for line in shown(view)))
        bottom = shown(view)
        view.press(["down"])
        self.assertEqual(shown(view), bottom)
        view.press(["up"])
        self.assertNotEqual(shown(view), bottom)
        view.press(["page up"] * 50)
        self.assertIn("rows 1 to ", "\n".join(shown(view)))

    @OFTEN
    @given(ANY_REPORT, st.integers(1, 200), st.integers(1, 60), st.text())
    def test_a_frame_has_the_size_of_the_terminal(
        self, document: dict[str, Any], width: int, height: int, problem: str
    ) -> None:
        view = View()
        view.heard(read(document), 1.0)
        for _ in range(2):
            lines = view.lines(width, height)
            self.assertEqual(len(lines), height)
            for line in lines:
                self.assertLessEqual(sum(len(segment.text) for segment in line), width)
            view.failed(ascii(problem))
