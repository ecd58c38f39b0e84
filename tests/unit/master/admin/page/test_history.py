"""What has happened, of two samples."""

import unittest

from stickyd.master.admin.page.history import EVENTS_MOST, History
from stickyd.master.admin.page.sample import Change
from stickyd.master.facts import Facts, SlotFacts, WorkerFacts
from stickyd.stats import MasterCounters
from tests.unit.master.admin.page.hostile import sample
from tests.unit.master.admin.test_metrics import facts

Workers = list[WorkerFacts]


def with_workers(*workers: Workers, **fields: int) -> Facts:
    slots = [
        SlotFacts(number, None, 0, 1, "ready", of_slot) for number, of_slot in enumerate(workers, 1)
    ]
    return facts()._replace(slots=slots, **fields)


def happened(before: Facts, now: Facts, reasons: tuple[str, str] = ("", "")) -> list[str]:
    history = History()
    history.add(Change(sample(before, 1.0, reasons[0]), sample(now, 2.0, reasons[1])))
    return [event.text for event in reversed(history.events)]


OLD = [WorkerFacts(10, "ready", 1)]


class Events(unittest.TestCase):
    def test_nothing(self) -> None:
        self.assertEqual(happened(with_workers(OLD), with_workers(OLD)), [])

    def test_a_reload(self) -> None:
        loading = [*OLD, WorkerFacts(11, "starting", 2)]
        self.assertEqual(
            happened(with_workers(OLD), with_workers(loading)),
            ["slot 1: worker 11 loads the app, generation 2"],
        )
        over = [WorkerFacts(11, "ready", 2), WorkerFacts(10, "retiring", 1)]
        self.assertEqual(
            happened(with_workers(loading, generation=1), with_workers(over, generation=2)),
            [
                "slot 1: worker 11 serves, generation 2",
                "slot 1: worker 10 retires, generation 1",
                "generation 2 serves",
            ],
        )

    def test_a_crash(self) -> None:
        after = with_workers([])._replace(master=MasterCounters())
        before = with_workers(OLD)._replace(master=MasterCounters())
        after.master.restarts["crash"] += 1
        reasons = ("", "slots without a worker: 1")
        self.assertEqual(
            happened(before, after, reasons),
            [
                "slot 1: worker 10 has ended",
                "1 worker replaced: crash",
                "not ready: slots without a worker: 1",
            ],
        )
        self.assertEqual(happened(after, after, reasons[::-1]), ["ready"])

    def test_slots(self) -> None:
        after = with_workers(OLD, [], table_version=6)
        self.assertEqual(happened(with_workers(OLD), after), ["slot table 6: 2 slots"])

    def test_the_first_misroute_only(self) -> None:
        none, one, two = facts(), facts(), facts()
        one.totals[1].misrouted = 1
        two.totals[1].misrouted = 2
        self.assertEqual(len(happened(none, one)), 1)
        self.assertEqual(happened(one, two), [])

    def test_they_are_bounded_and_numbered(self) -> None:
        history = History()
        history.add(Change(None, sample(facts())))
        for number in range(EVENTS_MOST + 5):
            old, new = ("", "x") if number % 2 else ("x", "")
            history.add(Change(sample(facts(), 1, old), sample(facts(), 2, new)))
        numbers = [event.number for event in history.events]
        self.assertEqual(numbers, list(range(EVENTS_MOST + 5, 5, -1)))
