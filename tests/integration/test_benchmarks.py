import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest
import unittest.mock
from collections import Counter
from pathlib import Path

import attrs

from benchmarks import many, report
from benchmarks.__main__ import arguments, chosen
from benchmarks.contest import TICKS, Contestant, Ground, Unavailable, cpu, tree
from benchmarks.correctness import check, clients_of, judged, slots, worker_of
from benchmarks.load import Load, Said, read
from benchmarks.result import Result, Target, from_json, ratio, to_json
from benchmarks.slots import load_for
from tests.support.daemon import ROOT, Daemon, wait_for

SUMMARY = """Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  11,111 is no count
  9376 requests in 2.00s, 1.50MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 12
Requests/sec:   4688.00
"""


def rounds(*costs):
    return [{"cost": cost, "rate": 1000.0, "failed": 0.0} for cost in costs]


def result(targets=(), mine=None, other=None, **more):
    mine, other = mine or rounds(100, 120, 110), other or rounds(300, 240, 330)
    figures = {"stickyd": mine, "nginx": other}
    given = {"targets": tuple(targets), "exact": ["stickyd"], **more}
    return Result("p1", "P1: a title", "cost", ["rate"], "stickyd", figures, 4, **given)


class Reading(unittest.TestCase):
    def test_what_wrk_printed(self):
        self.assertEqual(read(SUMMARY), Said(9376, 12, 7))
        self.assertEqual(read("5 requests in 1.00s"), Said(5, 0, 0))

    def test_no_summary(self):
        with self.assertRaisesRegex(ValueError, "no summary"):
            read("unable to connect")

    def test_cpu_of_a_process_with_a_strange_name(self):
        code = "open('/proc/self/comm', 'w').write('a) R 1 (')\nprint(1, flush=True)\n"
        code += "while True: pass"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            try:
                process.stdout.readline()
                wait_for(lambda: cpu(process.pid) > 0.05, what="CPU time is counted")
                # Finer than the ticks of /proc/PID/stat.
                self.assertGreater(cpu(process.pid) * TICKS % 1, 0)
            finally:
                process.kill()
        self.assertEqual(cpu(process.pid), 0.0)


class Ratios(unittest.TestCase):
    def test_rounds_are_compared_one_by_one(self):
        found = ratio(rounds(300, 240, 330), rounds(100, 120, 110), "cost")
        self.assertEqual((found.least, found.middle, found.most), (2.0, 3.0, 3.0))

    def test_no_multiple_of_nothing(self):
        with self.assertRaisesRegex(ValueError, "too short"):
            ratio(rounds(1, 1), rounds(1, 0), "cost")

    def verdict(self, **bound):
        return result([Target("stickyd", "nginx", **bound)]).verdicts()[0]

    def test_at_least(self):
        self.assertTrue(self.verdict(at_least=3).reached)
        self.assertFalse(self.verdict(at_least=3.1).reached)

    def test_at_most_is_the_other_way_round(self):
        self.assertTrue(self.verdict(at_most=0.34).reached)
        self.assertFalse(self.verdict(at_most=0.33).reached)

    def test_a_bound_on_the_figure_itself(self):
        for bound, reached, said in ((110, True, "met"), (109, False, "missed")):
            found = result([Target("stickyd", at_most=bound)])
            self.assertIs(found.verdicts()[0].reached, reached)
            row = f"| p1 | stickyd: CPU µs a request | at most {bound} | 110 (100–120) | {said} |"
            self.assertIn(row, report.section([found], [], "today", "a machine"))
        absent = attrs.evolve(found, figures={"nginx": rounds(1)})
        self.assertIsNone(absent.verdicts()[0].reached)

    def test_a_contestant_that_did_not_take_part(self):
        found = result([Target("stickyd", "HAProxy", at_least=2)])
        self.assertIsNone(found.verdicts()[0].reached)
        self.assertIn("not measured", report.terminal(found))


class Wrongs(unittest.TestCase):
    def checked(self, **stickyd):
        good = {"asked": 9, "wrong": 0, "misrouted": 0, "workers": 2}
        return result(checks={"stickyd": {**good, **stickyd}, "nginx": {**good, "misrouted": 3}})

    def test_sound(self):
        self.assertEqual(self.checked().wrongs(), [])
        self.assertTrue(self.checked().sound())

    def test_a_misrouted_request(self):
        self.assertFalse(self.checked(misrouted=1).sound())
        self.assertIn("1 of 9 requests went", report.terminal(self.checked(misrouted=1)))

    def test_what_failed_under_load(self):
        bad = [{"cost": 1.0, "rate": 1.0, "failed": 2.0}]
        self.assertFalse(result(mine=bad, other=bad[:1]).sound())
        peers = attrs.evolve(self.checked(), figures={"stickyd": rounds(1), "nginx": bad})
        self.assertEqual(peers.wrongs(), [("nginx", "2 requests failed under load")])
        self.assertTrue(peers.sound())


class Placing(unittest.TestCase):
    def test_a_client_between_two_workers(self):
        self.assertEqual(judged({"a": Counter({1: 3, 2: 1}), "b": Counter({2: 4})}, 0), (1, 2))

    def test_stickyd_owes_a_client_its_slot(self):
        home = slots(2, {"10.10.10.10": 0})["10.10.10.10"]
        self.assertEqual(home, 1)
        self.assertEqual(judged({"10.10.10.10": Counter({2: 5})}, 2), (5, 1))

    def test_an_answer_names_its_worker(self):
        self.assertEqual(worker_of(200, b"From worker 12 hello\n", False), 12)
        self.assertIsNone(worker_of(503, b"From worker 12 hello\n", False))
        self.assertIsNone(worker_of(200, b"hello", False))

    def test_a_big_answer_is_whole(self):
        whole = (b"worker 2, " * (1 << 20))[: 1 << 20]
        self.assertEqual(worker_of(200, whole, True), 2)
        self.assertIsNone(worker_of(200, whole[:-1], True))
        self.assertIsNone(worker_of(200, whole[:-1] + b"x", True))

    def test_clients_of_two_slots(self):
        found = clients_of(16, {3}, 20)
        self.assertEqual(set(slots(16, dict.fromkeys(found)).values()), {3})
        self.assertEqual(len(set(found)), 20)
        for mixed in (False, True):
            load = load_for(64, mixed)
            homes = slots(64, dict.fromkeys(load.clients))
            self.assertEqual(Counter(homes.values()).keys(), {1, 2})
            self.assertIn(load.clients[-1], load.script())

    def test_the_pass_finds_what_connection_scope_misroutes(self):
        app = ("--class", "benchmarks.site:Page")
        with Daemon(*app, "--affinity-scope", "connection") as daemon:
            mixed = check(daemon.port, Load(mixed=True), 200, 2)
            steady = check(daemon.port, Load(mixed=False), 200, 2)
            closing = check(daemon.port, Load(mixed=True, closing=True), 100, 2)
        self.assertGreater(mixed.misrouted, 20)
        self.assertEqual([c.misrouted for c in (steady, closing)], [0, 0])
        self.assertEqual([c.wrong for c in (mixed, steady, closing)], [0, 0, 0])


class Reports(unittest.TestCase):
    def test_a_result_survives_its_file(self):
        kept = result([Target("stickyd", "nginx", at_least=3)], note="a note")
        self.assertEqual(from_json(json.loads(json.dumps(to_json(kept)))), kept)

    def test_tables(self):
        kept = result([Target("stickyd", "nginx", at_least=3)])
        text = report.section([kept], [], "today", "a machine")
        self.assertIn("| nginx | 300 | 240–330 | 3.00 (2.00–3.00) | 1,000 |", text)
        self.assertIn("| p1 | nginx : stickyd | at least 3 | 3.00 (2.00–3.00) | met |", text)

    def test_the_section_is_replaced_and_nothing_else(self):
        document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
        found = report.between_markers(document, "new")
        self.assertEqual(found, f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n")
        with self.assertRaisesRegex(ValueError, "markers"):
            report.between_markers("nothing", "new")

    def test_the_document_has_its_markers(self):
        report.between_markers((ROOT / "docs" / "benchmarks.md").read_text(), "new")


@unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two cores")
class Chosen(unittest.TestCase):
    def test_what_runs(self):
        every = ("p1", "p2", "p2-low", "p3", "p4", "p5", "p6", "p7", "p8", "p99")
        for line, expected in (
            ("", every),
            ("--keep --document", every),
            ("--document", ()),
            ("--quick", ("p1", "p2", "p3")),
            ("p4 p1 --keep --document", ("p4", "p1")),
        ):
            with self.subTest(line=line):
                self.assertEqual(tuple(chosen(arguments(line.split()))), expected)


class Ending(unittest.TestCase):
    def test_a_family_that_ignores_term_is_ended(self):
        code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        code += "import subprocess\nsubprocess.Popen(['sleep', '600'])\nprint('up', flush=True)\n"
        code += "time.sleep(600)"
        with Ground() as ground:
            process = ground.spawn(sys.executable, "-c", code)
            wait_for(lambda: "up" in ground.log(process), what="the server is up")
            family = list(tree(process.pid))
            self.assertEqual(os.sched_getaffinity(process.pid), {ground.server_core})
            ground.stop_seconds = 0.2
        self.assertEqual(len(family), 2)
        wait_for(lambda: not any(map(alive, family)), what="all have ended")

    @unittest.skipUnless(shutil.which("wrk") and shutil.which("gcc"), "needs wrk and gcc")
    def test_an_interrupted_run_leaves_nothing_behind(self):
        command = [sys.executable, "-m", "benchmarks", "p5", "--only", "floor", "--rounds", "600"]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            try:
                wait_for(lambda: "wrk" in names(process.pid), 30, "the load runs")
                family = list(tree(process.pid))
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=30)[1]
            finally:
                process.kill()
        self.assertEqual(process.returncode, 130, said)
        self.assertNotIn("Traceback", said)
        self.assertGreaterEqual(len(family), 5)
        wait_for(lambda: not any(map(alive, family)), what="all have ended")

    def test_a_missing_tool_is_one_line(self):
        from benchmarks.contest import tool

        with self.assertRaisesRegex(Unavailable, "setup.sh"):
            tool("no-such-tool")


def names(pid):
    found = []
    for each in tree(pid):
        try:
            found.append(Path(f"/proc/{each}/comm").read_text().strip())
        except OSError:
            continue
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Many(unittest.TestCase):
    def test_each_client_comes_once_before_any_comes_again(self):
        for clients in (1000, 1_000_000, 77):
            drawn = {number * many.STRIDE % clients for number in range(clients)}
            self.assertEqual(len(drawn), clients)
        self.assertEqual(len({many.client_of(n) for n in range(100_000)}), 100_000)

    def test_the_table_has_a_column_for_each_case(self):
        runs = []
        for case in (many.Case("small", 10, 7), many.Case("large", 100, 9000)):
            run = many.Run(case, Contestant(case.name, 1, []))
            run.idle, run.met, run.asked = (100.4, 250.0), many.Weight(1 << 20, 3 << 19), 8000
            run.cost, run.p50, run.p99 = [30.0, 20.0, 25.0], [1.0], [2.0]
            runs.append(run)
        table = many.table(runs)
        self.assertIn("| | small | large |", table)
        self.assertIn("| distinct clients that have asked | 7 | 8,000 |", table)
        self.assertIn("| MiB added by the clients: workers | 1.5 | 1.5 |", table)
        self.assertIn("| CPU µs a request | 25.0 (20.0–30.0) | 25.0 (20.0–30.0) |", table)

    def test_fewer_where_the_limit_has_no_room(self):
        with (
            unittest.mock.patch.object(many.resource, "getrlimit", return_value=(1024, 20_000)),
            unittest.mock.patch.object(many.resource, "setrlimit") as setting,
            contextlib.redirect_stderr(io.StringIO()) as told,
        ):
            self.assertEqual(many.affordable(10_000), 10_000)
            self.assertEqual(told.getvalue(), "")
            setting.side_effect = ValueError, None
            self.assertEqual(many.affordable(100_000), 17_000)
        self.assertIn("room for 17,000 connections only", told.getvalue())

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs two cores")
    @unittest.skipUnless(shutil.which("wrk"), "needs wrk")
    def test_a_small_run(self):
        command = [sys.executable, "-m", "benchmarks.many", "--idle", "200", "--clients", "2000"]
        done = subprocess.run(
            [*command, "--rounds", "1", "--seconds", "1"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        # So few connections say nothing about what one takes.
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertIn("| idle connections | 20 | 200 |", done.stdout)
        self.assertIn("| distinct clients that have asked | 2 | 2,000 |", done.stdout)
        self.assertIn("| failed | 0 | 0 |", done.stdout)
