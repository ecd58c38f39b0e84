import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import attrs

from benchmarks import perf, profile, report
from benchmarks.workloads import UNDER_WRK
from tests.support.daemon import ROOT

PRINTED = """\
   71\x20
\tffffffff81e31302 __sys_sendto ([kernel.kallsyms])
\tffffffff81e314b0 __x64_sys_sendto ([kernel.kallsyms])
\tffffffff821ef691 do_syscall_64 ([kernel.kallsyms])
\t          10ab59 __send (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t               0 [unknown] ([unknown])

   72\x20
\tffffffff81e31302 unix_dgram_sendmsg ([kernel.kallsyms])
\tffffffff81e314b0 __sys_sendmsg ([kernel.kallsyms])
\tffffffff821ef691 do_syscall_64 ([kernel.kallsyms])

   72\x20
\tffffffff81e31302 handle_softirqs ([kernel.kallsyms])
\t          158ba7 _PyEval_EvalFrameDefault (/usr/lib/libpython3.11.so.1.0)

   72\x20
\t          158ba7 PyObject_Vectorcall (/usr/lib/libpython3.11.so.1.0)

"""
TWO_CORES = len(os.sched_getaffinity(0)) >= 2
NEEDS = unittest.skipUnless(
    TWO_CORES and shutil.which("wrk") and shutil.which("gcc"), "needs two cores, wrk and gcc"
)


class Samples(unittest.TestCase):
    def test_kernel_time_belongs_to_its_system_call(self):
        found = [(pid, perf.part_of(frames)) for pid, frames in perf.stacks(PRINTED)]
        self.assertEqual(
            found,
            [
                (71, "kernel: sendto"),
                (72, "kernel: sendmsg"),
                (72, "kernel: no system call"),
                (72, "Python interpreter"),
            ],
        )

    def test_files(self):
        for file, part in (
            ("/x/stickyd/core/_engine.cpython-311-x86_64-linux-gnu.so", "compiled core: _engine"),
            ("/x/lib/python3.11/site-packages/uvloop/loop.cpython-311.so", "uvloop"),
            ("/usr/lib/python3.11/lib-dynload/_socket.so", "Python's extension modules"),
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", "C library"),
            ("[vdso]", "C library"),
            ("/usr/bin/python3.11", "Python interpreter"),
            ("/usr/sbin/nginx (deleted)", "nginx (deleted)"),
            ("[unknown]", "unknown"),
        ):
            with self.subTest(file=file):
                self.assertEqual(perf.part_of([("a_symbol", file)]), part)
        self.assertEqual(perf.part_of([]), "unknown")
        within = [("a", "[kernel.kallsyms]"), ("do_syscall_64", "[kernel.kallsyms]")]
        self.assertEqual(perf.part_of(within), perf.OTHER_CALL)

    def test_shares(self):
        found = perf.profile("p2, stickyd", 50.0, PRINTED, 71)
        self.assertEqual((found.samples, found.parts[0].share), (4, 0.25))
        by_name = {part.name: part.master for part in found.parts}
        self.assertEqual((by_name["kernel: sendto"], by_name["kernel: sendmsg"]), (0.25, 0.0))
        self.assertIn(["kernel: sendto", "25.0%", "25.0%", "12.5"], report.profile(found))
        self.assertEqual(perf.from_json(json.loads(json.dumps(perf.to_json(found)))), found)

    def test_small_parts_are_one_row_at_the_end(self):
        many = PRINTED.replace("\n\n", "\n\n", 1) + PRINTED.split("\n\n")[3] + "\n\n"
        many = many.split("\n\n")[0] + "\n\n" + (PRINTED.split("\n\n")[3] + "\n\n") * 199
        found = perf.profile("p2, stickyd", 50.0, many, 71)
        self.assertEqual([part.name for part in found.parts], ["Python interpreter", perf.SMALL])
        self.assertEqual(found.parts[-1], perf.Part(perf.SMALL, 0.005, 0.005))

    def test_no_samples(self):
        with self.assertRaisesRegex(ValueError, "no samples"):
            perf.profile("p2, stickyd", 50.0, "", 71)

    def test_a_profile_replaces_the_one_with_its_title(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "kept" / "profiles.list"
            self.assertEqual(profile.read_kept(path), [])
            one = perf.Profile("p1, stickyd", 1.0, 9, [])
            for each in (attrs.evolve(one, title="p2, stickyd"), one, attrs.evolve(one, cost=2.0)):
                profile.keep(path, each)
            kept = [(each.title, each.cost) for each in profile.read_kept(path)]
        self.assertEqual(kept, [("p1, stickyd", 2.0), ("p2, stickyd", 1.0)])

    def test_without_perf_it_says_one_line(self):
        command = [sys.executable, "-m", "benchmarks.profile", "p1"]
        environment = {**os.environ, "PATH": "/nowhere"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
        said = "benchmarks.profile: perf is missing: install it (Debian: apt-get install"
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, f"{said} linux-perf)\n")

    @NEEDS
    @unittest.skipUnless(shutil.which("perf") and os.geteuid() == 0, "needs perf, and root")
    def test_a_tiny_profile(self):
        found = profile.run(UNDER_WRK["p1"], "stickyd, Python core", 1)
        names = [part.name for part in found.parts]
        self.assertAlmostEqual(sum(part.share for part in found.parts), 1)
        self.assertIn("Python interpreter", names)
        self.assertIn("kernel: write", names)
