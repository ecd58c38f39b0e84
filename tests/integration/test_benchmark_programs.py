import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unittest import mock

import attrs

from benchmarks import contestants as who
from benchmarks import profile, report
from benchmarks.__main__ import arguments, overview, place
from benchmarks.contest import PEERS, Contestant, Ground, Unavailable, cores, start
from benchmarks.correctness import answers, check
from benchmarks.load import Load
from benchmarks.openloop import OpenLoop, figures_of, low_load
from benchmarks.plan import Plan
from benchmarks.workloads import WORKLOADS, contestants_of
from stickyd.core.native import CORE
from tests.support.daemon import ROOT, Daemon, free_port, wait_for

TWO_CORES = len(os.sched_getaffinity(0)) >= 2
CORE_IS_THERE = unittest.skipUnless(CORE.native, "needs the compiled core")
NEEDS = unittest.skipUnless(
    TWO_CORES and shutil.which("wrk") and shutil.which("gcc"), "needs two cores, wrk and gcc"
)


def refused(parse, line):
    """What argparse says of a wrong command line: its last line."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        parse(line.split())
        raise AssertionError(f"{line!r} is accepted")
    return said.getvalue().splitlines()[-1]


class CommandLine(unittest.TestCase):
    def test_what_is_refused(self):
        for line, said in (
            ("p9", "'p9' is none of p1 p2 p2-low"),
            ("p1 --rounds 0", "--rounds is not within 1 to 600"),
            ("p1 --seconds 601", "--seconds is not within 1 to 600"),
            ("p1 --only stickyd,caddy", "no contestant's name contains 'caddy'"),
            ("p1 --only granian", "no contestant's name contains 'granian'"),
        ):
            with self.subTest(line=line):
                self.assertIn(said, refused(arguments, line))
        self.assertEqual(arguments(["p6", "--only", "granian"]).only, "granian")

    def test_what_a_profile_refuses(self):
        for line, said in (
            ("p8", "'p8' is none of p1"),
            ("p1 --contestant granian", "'granian' does not take part in p1"),
            ("p1 --seconds 0", "--seconds is not within 1 to 600"),
        ):
            with self.subTest(line=line):
                self.assertIn(said, refused(profile.arguments, line))

    def test_help_names_every_workload_and_contestant(self):
        told = " ".join(overview().replace("-\n", "-").split()).replace("socketio-sticky- s", "s")
        for name in WORKLOADS:
            self.assertRegex(overview(), rf"(?m)^  {name} +\S")
            for contestant in contestants_of(name):
                self.assertIn(contestant.rpartition("-")[2], told)

    def test_stickyd_takes_part_with_and_without_the_core(self):
        for name in WORKLOADS:
            with self.subTest(name=name):
                cores_of = {"Python core" in each for each in contestants_of(name)}
                self.assertEqual(cores_of, {True, False})

    def test_results_are_in_the_order_of_the_workloads(self):
        names = ["p99", "p6-mix", "p3", "p2-low", "p2", "p8-mix", "p6", "p8"]
        expected = ["p2", "p2-low", "p3", "p6", "p6-mix", "p8", "p8-mix", "p99"]
        self.assertEqual(sorted(names, key=place), expected)


class Contestants(unittest.TestCase):
    def core_of(self, maker):
        with Ground() as ground:
            (started,) = start(ground, {"it": maker}, lambda port: answers(port, Load(mixed=True)))
            with open(f"/proc/{started.tree()[-1]}/maps") as maps:
                return "stickyd/core/_" in maps.read(), ground.log(started.processes[0])

    @unittest.skipUnless(TWO_CORES, "needs two cores")
    def test_without_the_core(self):
        loaded, log = self.core_of(who.stickyd("request", 1, native=False))
        self.assertFalse(loaded)
        self.assertIn("STICKYD_NATIVE=0", log)

    @unittest.skipUnless(TWO_CORES, "needs two cores")
    @CORE_IS_THERE
    def test_with_the_core(self):
        loaded, log = self.core_of(who.stickyd("request", 1))
        self.assertTrue(loaded)
        self.assertIn("compiled core", log)

    @unittest.skipUnless(TWO_CORES, "needs two cores")
    def test_no_core_to_run(self):
        absent = attrs.evolve(CORE, native=None)
        with mock.patch.object(who, "CORE", absent), Ground() as ground:
            with self.assertRaisesRegex(Unavailable, "docs/core.md"):
                who.stickyd("request", 1)(ground)

    @unittest.skipUnless(TWO_CORES, "needs two cores")
    @unittest.skipUnless((PEERS / "venv" / "bin" / "granian").exists(), "needs Granian")
    def test_granian_answers_and_nginx_places_in_front_of_it(self):
        with Ground() as ground:
            makers = {"bare": who.granian, "mix": who.nginx_granian(2)}
            load = Load(mixed=True)
            bare, mix = start(ground, makers, lambda port: answers(port, load))
            found = [check(each.port, load, 200) for each in (bare, mix)]
        self.assertEqual([(each.wrong, each.misrouted) for each in found], [(0, 0), (0, 0)])
        self.assertEqual([each.workers for each in found], [1, 2])

    @unittest.skipUnless(TWO_CORES, "needs two cores")
    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_a_proxy_is_asked_nothing_before_all_of_its_servers_listen(self):
        """nginx would leave out for ten seconds the one that refused a connection."""
        with socket.socket() as late, Ground() as ground:
            late.bind(("127.0.0.1", 0))
            up, waiting = free_port(), late.getsockname()[1]

            def backends(ground, count):
                server = ground.spawn(
                    sys.executable, "-m", "benchmarks.site", str(up), STICKYD_SLOT="1"
                )
                return [up, waiting], [server]

            contestant = who.nginx(2, backends)(ground)
            wait_for(lambda: answers(up, Load(mixed=True)), what="the first one answers")
            self.assertFalse(contestant.whole())
            late.listen()
            self.assertTrue(contestant.whole())

    @unittest.skipUnless(TWO_CORES, "needs two cores")
    def test_granian_is_missing(self):
        with mock.patch.object(who, "PEERS", Path("/nowhere")), Ground() as ground:
            with self.assertRaisesRegex(Unavailable, "setup.sh"):
                who.granian(ground)


class OpenLoops(unittest.TestCase):
    def test_figures(self):
        told = {"asked": 200, "answered": 198, "wrong": 1, "late": 2, "p50": 90.5, "p99": 400.0}
        self.assertEqual(
            figures_of(told, 2, 0.02),
            {"p50": 90.5, "p99": 400.0, "rate": 99.0, "cost": 100.0, "late": 0.01, "failed": 3.0},
        )

    def program(self, *words):
        with Ground() as ground:
            program = who.compiled(ground, "openloop")
            return subprocess.run([program, *words], capture_output=True, text=True)

    @NEEDS
    def test_what_the_program_refuses(self):
        for words in (("1",), ("1", "1", "1", "1", "other"), ("1", "1", "1", "1", "mixed", "1")):
            done = self.program(*words)
            self.assertEqual((done.returncode, done.stderr[:15]), (2, "usage: openloop"), words)

    @NEEDS
    def test_another_client_with_every_request(self):
        """In connection scope the mix is misrouted; counted by the daemon, whatever the load."""
        misrouted = []
        for mixed in (False, True):
            with Daemon("--class", who.TWISTED, "--affinity-scope", "connection") as daemon:
                with Ground() as ground:
                    program = who.compiled(ground, "openloop")
                    measure = OpenLoop(program, cores()[1], 300, 1, mixed)
                    found = measure(Contestant("it", daemon.port, [daemon.process]))
                self.assertEqual(found["failed"], 0)
                self.assertGreater(found["p99"], found["p50"])
                misrouted.append(daemon.report()["workers"]["misrouted"])
        self.assertEqual(misrouted[0], 0)
        self.assertGreater(misrouted[1], 50)

    @NEEDS
    @CORE_IS_THERE
    @unittest.skipUnless(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "needs nginx")
    def test_a_tiny_run_at_a_tenth_of_the_limit(self):
        plan = Plan(rounds=1, seconds=1, only=("stickyd, Python", "nginx"))
        with Ground() as ground:
            (found,) = low_load(ground, plan)
        self.assertEqual(
            [*found.figures],
            ["stickyd, Python core", "twisted.web, bare", "nginx + twisted.web"],
        )
        self.assertEqual(found.exact, ["stickyd, Python core"])
        self.assertEqual(found.wrongs(), [])
        for (figures,) in found.figures.values():
            self.assertLess(0, figures["p50"])
            self.assertLess(figures["p50"], figures["p99"])
        self.assertIn("requests/s for everyone", found.note)


class Pictures(unittest.TestCase):
    RESULT = {
        "name": "p1",
        "title": "P1: a title",
        "quantity": "cost",
        "subject": "stickyd",
        "figures": {
            "stickyd": [{"cost": 10.0}, {"cost": 12.0}],
            "stickyd, Python core": [{"cost": 30.0}, {"cost": 33.0}],
            "nginx + twisted.web": [{"cost": 50.0}, {"cost": 55.0}],
        },
    }

    @unittest.skipUnless((PEERS / "venv" / "bin" / "python").exists(), "needs matplotlib")
    def test_one_for_each_theme_with_names_and_ratios_in_it(self):
        python = str(PEERS / "venv" / "bin" / "python")
        with tempfile.TemporaryDirectory() as directory:
            results = Path(directory) / "results"
            absent = {**self.RESULT, "name": "p2", "title": "not drawn", "figures": {}}
            results.write_text(json.dumps([self.RESULT, absent]))
            command = [python, "-m", "benchmarks.plot", str(results), directory]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            for theme in ("light", "dark"):
                tree = ElementTree.parse(Path(directory) / f"benchmarks-{theme}.svg")
                text = "\n".join("".join(each.itertext()) for each in tree.iter())
                self.assertIn("0.21", text)
                self.assertIn("11.0 µs", text)
                self.assertIn("nginx + twisted.web = 1", text)
                self.assertNotIn("not drawn", text)

    def test_the_document_shows_both(self):
        document = (ROOT / "docs" / "benchmarks.md").read_text()
        for theme in ("light", "dark"):
            self.assertIn(f"benchmarks-{theme}.svg", report.PICTURES)
            self.assertTrue(f"benchmarks-{theme}.svg" in document)
            self.assertTrue((ROOT / "docs" / f"benchmarks-{theme}.svg").exists())
