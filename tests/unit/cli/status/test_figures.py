"""A report becomes figures, or one line says what is wrong with it."""

import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.status.figures import Figures, NotOurs, read, shown
from tests.support.status_reports import ANY_REPORT, OFTEN, counters, report, slot, worker

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner)
    ),
    max_leaves=9,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all members."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, inner in items:
            found += places(inner, (*path, key)) if isinstance(inner, dict | list) else []
            found.append((*path, key))
    return found


class Read(unittest.TestCase):
    def test_by_example(self) -> None:
        old = worker(12, state="retiring", generation=1, open=3, idle=1, upgraded=1)
        figures = read(
            report(
                slot(1, worker(11, generation=2, open=5), old, totals=counters(requests=70)),
                slot(2, load=4),
                ready=False,
                not_ready="slots without a worker: 2",
                generation=2,
                master={"refused": {"400": 1, "proxy": 2}, "restarts": {"crash": 1}, "shed": 1},
                workers={"refused": {"400": 2}, "moved": {"1": 3, "2": 4}, "shed": 2},
            )
        )
        self.assertEqual([w.pid for w in figures.slots[0].workers], [11, 12])
        self.assertEqual(figures.slots[0].workers[1].state, "retiring")
        self.assertEqual((figures.slots[0].requests, figures.slots[1].load), (70, 4))
        self.assertEqual((figures.ready, figures.not_ready), (False, "slots without a worker: 2"))
        self.assertEqual(figures.refused, {"400": 3, "proxy": 2})
        self.assertEqual((figures.moved, figures.shed), (7, 3))

    @OFTEN
    @given(ANY_REPORT)
    def test_every_complete_report_is_read(self, document: dict[str, Any]) -> None:
        figures = read(document)
        self.assertEqual(len(figures.slots), len(document["slots"]))
        self.assertEqual(figures.requests, document["workers"]["requests"])

    @OFTEN
    @given(ANY_REPORT, JSON, st.data())
    def test_what_is_not_so_is_one_line(
        self, document: dict[str, Any], other: Any, data: st.DataObject
    ) -> None:
        *path, last = data.draw(st.sampled_from(places(document)))
        inner: Any = document
        for key in path:
            inner = inner[key]
        inner[last] = other
        try:
            found: Figures | None = read(document)
        except NotOurs as error:
            found = None
            self.assertTrue(str(error).isascii() and str(error).isprintable(), error)
        if found is not None:
            self.assertTrue(all(type(each.requests) is int for each in found.slots))

    @OFTEN
    @given(JSON)
    def test_any_document(self, document: Any) -> None:
        with self.assertRaises(NotOurs):
            read(document)

    def test_an_older_daemon_is_told_apart(self) -> None:
        document = report(slot(1))
        del document["slots"][0]["workers"]
        with self.assertRaisesRegex(NotOurs, r"^it has no slots\.workers$"):
            read(document)


class Shown(unittest.TestCase):
    @OFTEN
    @given(st.text())
    def test_a_terminal_interprets_nothing(self, text: str) -> None:
        found = shown(text)
        self.assertTrue(all(" " <= each <= "~" for each in found), found)
        self.assertLessEqual(len(found), 60)

    def test_by_example(self) -> None:
        self.assertEqual(shown("hdr(X-Key)"), "hdr(X-Key)")
        self.assertEqual(shown("\x1b[2J\x9b\u202e"), r"\x1b[2J\x9b\u202e")
