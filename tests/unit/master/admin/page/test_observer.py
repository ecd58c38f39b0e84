"""When a new sample is taken, and what rates refer to."""

import json
import os
import unittest
from typing import Any

from twisted.internet import defer

from stickyd.master.admin.page.observer import FRESH_SECONDS, STALE_SECONDS, Observer
from stickyd.master.facts import Facts, SlotFacts, WorkerFacts
from stickyd.stats import REQUESTS
from tests.unit.master.admin.test_metrics import facts

NOBODY = 1 << 30
"""A pid that no process can have (proc_sys_kernel(5), pid_max)."""


class Daemon:
    def __init__(self) -> None:
        self.asked = 0

    def facts(self) -> Facts:
        self.asked += 1
        now = facts()
        now.totals[1].cells[REQUESTS + 1] = self.asked * 100
        return now

    def report(self) -> "defer.Deferred[dict[str, Any]]":
        raise AssertionError("the page asks no worker")

    def not_ready(self) -> str:
        return ""


class Views(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.daemon = Daemon()
        self.observer = Observer(self.daemon, "digest", lambda: self.now)

    def rate(self) -> str:
        figures = {figure.key: figure.value for figure in self.observer.view().figures}
        return figures["rate"]

    def test_one_sample_for_all_who_ask_at_once(self) -> None:
        self.assertEqual(self.rate(), "–")
        self.now += FRESH_SECONDS / 2
        self.rate()
        self.assertEqual(self.daemon.asked, 1)
        self.now += FRESH_SECONDS
        self.rate()
        self.assertEqual(self.daemon.asked, 2)

    def test_rates_are_those_since_the_last_view(self) -> None:
        self.rate()
        self.now += 5
        self.assertEqual(self.rate(), "20")
        self.now += STALE_SECONDS + 1
        self.assertEqual(self.rate(), "–")

    def test_a_process_that_has_gone_is_left_out(self) -> None:
        slot = SlotFacts(1, None, 0, 1, "ready", [WorkerFacts(NOBODY, "ready", 1)])
        gone = facts()._replace(slots=[slot], master_pid=os.getpid())
        self.daemon.facts = lambda: gone  # type: ignore[method-assign]
        view = json.loads(self.observer.view().as_json())
        (memory,) = (
            row["cells"]
            for group in view["tables"][0]["groups"]
            for row in group["rows"]
            if row["key"] == "memory"
        )
        self.assertEqual(memory[0], "0 B")
        self.assertRegex(memory[1], "MiB")
