"""The metrics of the daemon: their names, their values, and what promtool says of them."""

import shutil
import subprocess
import unittest

from prometheus_client.parser import text_string_to_metric_families

from stickyd.master.admin.exposition import exposition
from stickyd.master.admin.metrics import TERM_BY_HAND, metrics_of
from stickyd.master.admin.processes import Usage
from stickyd.master.facts import Facts, SlotFacts
from stickyd.routing.source_numbers import names_of
from stickyd.stats import DURATIONS, REQUESTS, MasterCounters, WorkerCounters
from tests.support.daemon import ROOT

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def facts() -> Facts:
    master = MasterCounters()
    master.accepted = 12
    master.refused.update({400: 2, "proxy": 1})
    master.hand_off(1, "xff", 7)
    master.restarts.update({"crash": 2, TERM_BY_HAND: 1})
    counters = WorkerCounters()
    counters.cells[REQUESTS] = 1
    counters.cells[REQUESTS + 1] = 5
    counters.cells[REQUESTS + 31] = 2
    counters.cells[DURATIONS] = 3
    counters.cells[DURATIONS + 2] = 4
    counters.queued.observe(0.0003)
    counters.first_bytes.observe(0.2)
    counters.moved[2] += 6
    counters.refused[413] += 1
    counters.open = 9
    return Facts(
        version="1.2.3",
        core="python",
        generation=4,
        table_version=5,
        master_pid=1,
        master=master,
        totals={1: counters, 7: WorkerCounters()},
        sources=names_of(["xff", 'hdr("odd\\")']),
        slots=[SlotFacts(1, 3, 0, 2), SlotFacts(2, None, 1, 1, "dead")],
        heads=1,
        open=10,
        most=100,
        idle=8,
        certificates={"/a.pem": 1.5e9},
    )


def text_of(facts: Facts) -> str:
    usage = [Usage(0, 1024, 0.5), Usage(1, 2048, 1.5)]
    return exposition(list(metrics_of(facts, usage)), "text/plain", None)[0].decode()


def samples_in(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Values(unittest.TestCase):
    def setUp(self) -> None:
        self.samples = samples_in(text_of(facts()))

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get((f"stickyd_{name}", tuple(sorted(labels.items()))))

    def test_requests_by_slot_and_source(self) -> None:
        self.assertEqual(self.value("requests_total", slot="1", source="xff"), 5)
        self.assertEqual(self.value("requests_total", slot="1", source="none"), 1)
        self.assertEqual(self.value("requests_total", slot="1", source="other"), 2)
        self.assertEqual(self.value("requests_total", slot="1", source='hdr("odd\\")'), 0)
        self.assertIsNone(self.value("requests_total", slot="7", source="none"))

    def test_durations_accumulate(self) -> None:
        name = "request_duration_seconds_bucket"
        self.assertEqual(self.value(name, slot="1", le="0.001"), 3)
        self.assertEqual(self.value(name, slot="1", le="0.005"), 7)
        self.assertEqual(self.value(name, slot="1", le="+Inf"), 7)

    def test_times_by_their_own_bounds(self) -> None:
        name = "queue_duration_seconds_bucket"
        self.assertEqual(self.value(name, slot="1", le="0.00025"), 0)
        self.assertEqual(self.value(name, slot="1", le="0.0005"), 1)
        self.assertEqual(self.value("queue_duration_seconds_sum", slot="1"), 0.0003)
        name = "first_byte_duration_seconds_bucket"
        self.assertEqual(self.value(name, slot="1", le="0.1"), 0)
        self.assertEqual(self.value(name, slot="1", le="0.25"), 1)
        self.assertEqual(self.value("first_byte_duration_seconds_count", slot="7"), 0)

    def test_refusals(self) -> None:
        self.assertEqual(self.value("refused_requests_total", process="master", status="proxy"), 1)
        self.assertEqual(self.value("refused_requests_total", process="master", status="400"), 2)
        self.assertEqual(self.value("refused_requests_total", process="worker", status="413"), 1)

    def test_slots(self) -> None:
        self.assertEqual(self.value("slot_ready", slot="1"), 1)
        self.assertEqual(self.value("slot_ready", slot="2"), 0)
        self.assertEqual(self.value("slot_load", slot="1"), 3)
        self.assertIsNone(self.value("slot_load", slot="2"))
        self.assertEqual(self.value("moved_connections_total", slot="1"), 6)
        self.assertEqual(self.value("moved_connections_total", slot="7"), 0)

    def test_daemon(self) -> None:
        self.assertEqual(self.value("build_info", version="1.2.3", core="python"), 1)
        self.assertEqual(self.value("generation"), 4)
        self.assertEqual(self.value("idle_connections"), 8)
        expiry = self.value("certificate_expiry_timestamp_seconds", file="/a.pem")
        self.assertEqual(expiry, 1.5e9)
        self.assertEqual(self.value("worker_restarts_total", reason="crash"), 2)
        self.assertEqual(self.value("worker_restarts_total", reason="SIGTERM"), 1)
        labels = {"process": "worker", "slot": "1"}
        self.assertEqual(self.value("process_resident_memory_bytes", **labels), 2048)

    def test_without_a_guardian_nothing_is_idle(self) -> None:
        text = text_of(facts()._replace(idle=None))
        self.assertNotIn("stickyd_idle_connections", text)


class Conventions(unittest.TestCase):
    def test_promtool(self) -> None:
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool (Debian: prometheus) is not installed")
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=text_of(facts()), text=True, capture_output=True
        )
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_each_is_in_the_docs(self) -> None:
        page = (ROOT / "docs" / "metrics.md").read_text()
        for family in text_string_to_metric_families(text_of(facts())):
            name = family.name + ("_total" if family.type == "counter" else "")
            self.assertIn(f"`{name}", page)

    def test_openmetrics_when_asked(self) -> None:
        accept = "application/openmetrics-text; version=1.0.0"
        body, media_type = exposition(list(metrics_of(facts(), [])), accept, None)
        self.assertTrue(body.endswith(b"# EOF\n"))
        self.assertIn("openmetrics", media_type)
