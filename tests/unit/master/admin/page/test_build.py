"""The view of a daemon: which figures stand where."""

import json
import unittest

import attrs

from stickyd.master.admin.page.build import PAIRS_MOST, view_of
from stickyd.master.admin.page.sample import MATRIX_MOST, Change
from stickyd.master.admin.page.view import Row, Table, View
from stickyd.master.facts import Facts, SlotFacts, WorkerFacts
from stickyd.process import Used
from stickyd.stats import REQUESTS, MasterCounters, WorkerCounters
from tests.unit.master.admin.page.hostile import sample
from tests.unit.master.admin.test_metrics import facts

LOADING = [WorkerFacts(10, "ready", 4, 3), WorkerFacts(12, "starting", 5, 0)]


def reloading() -> Facts:
    slots = [
        SlotFacts(1, 3, 0, 2, "ready", LOADING),
        SlotFacts(2, 0, 1, 1, "dead", []),
    ]
    return facts()._replace(slots=slots)


def view(now: Facts, before: Facts | None = None, not_ready: str = "") -> View:
    old = sample(before, 8.0) if before is not None else None
    uses = {10: Used(5 << 20, 1.0, 61.0)}
    return view_of(Change(old, sample(now, 10.0, not_ready, uses)), (), "digest")


def table(of: View, key: str) -> Table:
    return next(each for each in of.tables if each.key == key)


def texts(of: View, key: str, row: str) -> list[str]:
    rows: list[Row] = [each for group in table(of, key).groups for each in group.rows]
    return [cell.text for each in rows if each.key == row for cell in each.cells]


class Slots(unittest.TestCase):
    def test_a_column_for_each_slot_and_one_for_all(self) -> None:
        made = view(reloading())
        columns = table(made, "slots").columns
        self.assertEqual(columns, ["Slot 1", "Slot 2", "All slots"])
        for each in made.tables:
            for group in each.groups:
                for row in group.rows:
                    self.assertEqual(len(row.cells), len(each.columns), row.key)

    def test_removed_slots_count_in_the_sum(self) -> None:
        now = facts()
        now.totals[7].cells[REQUESTS + 1] = 100
        self.assertEqual(texts(view(now), "slots", "requests"), ["8", "0", "108"])
        self.assertEqual(texts(view(now), "slots", "source:xff"), ["5", "0", "105"])

    def test_the_old_worker_stands_beside_the_new(self) -> None:
        made = view(reloading())
        serving, dead, number = texts(made, "slots", "ready")
        self.assertEqual(serving, "pid 10\ngeneration 4\n1 min 1 s")
        self.assertEqual((dead, number), ("–", "1"))
        self.assertEqual(texts(made, "slots", "starting")[0], "pid 12\ngeneration 5")
        notes = {figure.key: figure.note for figure in made.figures}
        self.assertEqual(notes["generation"], "generation 5 is starting")
        self.assertEqual(texts(made, "slots", "state"), ["ready", "dead", "1 of 2 ready"])

    def test_rates(self) -> None:
        before, now = facts(), facts()
        now.totals[1].cells[REQUESTS + 1] += 40
        self.assertEqual(texts(view(now, before), "slots", "rate"), ["20", "0", "20"])
        self.assertEqual(texts(view(now), "slots", "rate"), ["–", "–", "–"])

    def test_idle_connections_only_where_they_are_known(self) -> None:
        made = view(reloading())
        self.assertEqual(texts(made, "slots", "idle"), ["3", "0", "3"])
        slot = SlotFacts(1, None, 0, 1, "ready", [WorkerFacts(10, "ready", 4)])
        unguarded = view(facts()._replace(slots=[slot], idle=None))
        self.assertEqual(texts(unguarded, "slots", "idle"), ["–", "–"])
        values = {figure.key: figure.value for figure in unguarded.figures}
        self.assertEqual(values["idle"], "–")

    def test_load_only_where_it_is_known(self) -> None:
        self.assertEqual(texts(view(reloading()), "slots", "load"), ["3", "0", "3"])
        slots = [attrs.evolve(slot, load=None) for slot in reloading().slots]
        self.assertEqual(texts(view(facts()._replace(slots=slots)), "slots", "load"), [])


class Notices(unittest.TestCase):
    def test_misroutes_name_the_one_option_that_ends_them(self) -> None:
        now = facts()
        self.assertEqual(view(now).notices, [])
        now.totals[1].misrouted = 12
        (notice,) = view(now).notices
        self.assertEqual(notice.option, "--affinity-scope request")
        self.assertTrue(notice.text.startswith("12 requests reached"), notice.text)

    def test_readiness(self) -> None:
        made = view(facts(), not_ready="slots without a worker: 2")
        self.assertEqual(made.status, "Not ready: slots without a worker: 2, generation 4")
        self.assertEqual(made.tone, "bad")
        self.assertIn("slots without a worker: 2", made.notices[0].text)

    def test_limits_and_dropped_lines(self) -> None:
        now = facts()
        now.master.shed, now.master.log_dropped = 1, 5
        text = [f"{notice.text} {notice.option}" for notice in view(now).notices]
        self.assertIn("1 connection found no room", text[0])
        self.assertIn("--max-connections", text[0])
        self.assertIn("5 lines", text[1])


class Moves(unittest.TestCase):
    def test_a_square_with_what_is_new(self) -> None:
        before, now = facts(), facts()
        now.totals[1].moved[2] += 4
        made = view(now, before)
        self.assertEqual(texts(made, "moves", "from:1"), ["–", "10\n+4"])
        self.assertEqual(made.flow.moves, [(1, 2, 4)])
        self.assertEqual(view(now).flow.moves, [])

    def test_a_list_where_there_are_many_slots(self) -> None:
        numbers = range(1, MATRIX_MOST + 2)
        totals = {number: WorkerCounters() for number in numbers}
        for number in numbers:
            for to in numbers:
                totals[number].moved[to] = number * to if number != to else 0
        slots = [SlotFacts(number, None, 0, 1) for number in numbers]
        made = view(facts()._replace(slots=slots, totals=totals))
        rows = table(made, "moves").groups[0].rows
        self.assertLessEqual(len(rows), PAIRS_MOST)
        self.assertEqual(len(rows), MATRIX_MOST + 1)
        self.assertEqual((rows[0].key, rows[0].cells[0].text), ("pair:12:13", "156"))
        self.assertEqual((rows[1].key, rows[1].cells[0].text), ("pair:13:12", "156"))
        self.assertEqual(made.flow.slots, [])


class Lists(unittest.TestCase):
    def test_refusals_and_restarts(self) -> None:
        made = view(facts())
        self.assertEqual(texts(made, "refusals", "refused:a worker:413"), ["1"])
        self.assertEqual(texts(made, "refusals", "refused:the master:proxy"), ["1"])
        self.assertEqual(texts(made, "restarts", "restart:crash"), ["2"])
        empty = view(facts()._replace(master=MasterCounters(), totals={}))
        self.assertEqual(texts(empty, "refusals", "none"), ["0"])
        self.assertEqual(texts(empty, "restarts", "restart:crash"), ["0"])

    def test_the_view_as_json(self) -> None:
        told = json.loads(view(reloading()).as_json())
        self.assertEqual(told["assets"], "digest")
        self.assertEqual({each["key"] for each in told["tables"]},
                         {"slots", "moves", "refusals", "restarts"})  # fmt: skip
        state = told["tables"][0]["groups"][0]["rows"][0]
        self.assertEqual(state["cells"], [["ready", "good", -1], ["dead", "bad", -1],
                                          "1 of 2 ready"])  # fmt: skip
