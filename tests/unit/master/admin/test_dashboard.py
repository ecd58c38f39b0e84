"""The Grafana dashboard: it asks only for metrics and labels that the daemon has.

A new panel needs nothing here: every expression of every panel is read.
"""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.daemon import ROOT
from tests.unit.master.admin.test_metrics import facts, text_of

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docs" / "grafana.json").read_text())
OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds to what it scrapes."""


def exported() -> dict[str, set[str]]:
    """The names of samples, as `/metrics` has them, and their labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text_of(facts())):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def panels() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        yield panel
        yield from panel.get("panels", ())


def expressions() -> list[str]:
    """Every PromQL expression of the dashboard."""
    found = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    return found + [each["expr"] for each in DASHBOARD["annotations"]["list"] if "expr" in each]


def queries() -> list[str]:
    """Those of variables too."""
    variables = DASHBOARD["templating"]["list"]
    return expressions() + [each["definition"] for each in variables if "definition" in each]


def names_in(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(re.findall(r"\bstickyd_\w+", re.sub(r'"[^"]*"', '""', expression)))


def labels_in(expression: str) -> set[str]:
    """The labels by which it selects and sums."""
    matchers = re.findall(r'[{,]\s*(\w+)\s*(?:=~|!~|!=|=)\s*"', expression)
    groups = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    return {*matchers, *(label.strip() for group in groups for label in group.split(","))}


class Metrics(unittest.TestCase):
    def test_every_metric_is_exported(self) -> None:
        known = exported()
        for query in queries():
            self.assertTrue(names_in(query), query)
            self.assertEqual(names_in(query) - known.keys(), set(), query)

    def test_every_label_is_one_of_its_metric(self) -> None:
        known = exported()
        for expression in expressions():
            for name in names_in(expression):
                labels = labels_in(expression) - OF_PROMETHEUS
                self.assertEqual(labels - known[name], set(), expression)

    def test_legends_show_labels_that_are_left(self) -> None:
        for panel in panels():
            for target in panel.get("targets", ()):
                shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                self.assertEqual(shown - labels_in(target["expr"]), set(), target)

    def test_what_operators_look_for_has_a_panel(self) -> None:
        asked = {name for query in queries() for name in names_in(query)}
        wanted = {
            "requests_total",
            "moved_connections_total",
            "misrouted_requests_total",
            "refused_requests_total",
            "request_duration_seconds_bucket",
            "open_connections",
            "slot_load",
            "process_resident_memory_bytes",
            "worker_restarts_total",
            "generation",
        }
        self.assertEqual({f"stickyd_{name}" for name in wanted} - asked, set())

    def test_promtool_can_parse_them(self) -> None:
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool (Debian: prometheus) is not installed")
        rules = [
            {"record": f"dashboard:{number}", "expr": each.replace("$__rate_interval", "1m")}
            for number, each in enumerate(expressions())
        ]
        with tempfile.TemporaryDirectory() as directory:
            # JSON is YAML, too.
            path = Path(directory, "rules.yml")
            path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
            checked = subprocess.run(
                [promtool, "check", "rules", str(path)], text=True, capture_output=True
            )
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn(f"{len(rules)} rules found", checked.stdout)


class Layout(unittest.TestCase):
    def test_every_panel_asks_the_chosen_data_source(self) -> None:
        source = {"type": "prometheus", "uid": "${datasource}"}
        for panel in panels():
            if panel["type"] != "row":
                self.assertEqual(panel["datasource"], source, panel["title"])
                for target in panel["targets"]:
                    self.assertEqual(target["datasource"], source, panel["title"])
        names = [variable["name"] for variable in DASHBOARD["templating"]["list"]]
        self.assertEqual(names, ["datasource", "job", "instance"])

    def test_no_two_panels_overlap(self) -> None:
        taken: dict[tuple[int, int], str] = {}
        ids = [panel["id"] for panel in panels()]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in panels():
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24)
            for x in range(at["x"], at["x"] + at["w"]):
                for y in range(at["y"], at["y"] + at["h"]):
                    self.assertNotIn((x, y), taken, panel["title"])
                    taken[x, y] = panel["title"]
