"""Signals to the whole process group: a terminal's Ctrl-C, `timeout`, some process managers."""

import os
import re
import signal
import unittest
from pathlib import Path

from tests.support.daemon import Daemon, Reader, _alive, request, wait_for

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of worker 1 and worker 2, at seed 1 and two workers."""

LIFE = ("--class", "stickyd_life_app:App")


def start(*options: str) -> Daemon:
    daemon = Daemon(*options)
    daemon.own_group = True
    daemon._environment["LIFE"] = daemon.directory.name
    return daemon


def tell(daemon: Daemon, number: int) -> None:
    os.killpg(daemon.process.pid, number)


def complaints(daemon: Daemon) -> list[str]:
    """Lines of the log that say that something is wrong."""
    wrong = [line for line in daemon.log if re.search(r"#(warn|error|critical)\] ", line)]
    # What every start says of its options.
    return [line for line in wrong if "runs as root" not in line and "seed 1" not in line]


class Group(unittest.TestCase):
    def check_clean_stop(self, number: int, *app: str) -> None:
        with start(*app) as daemon, daemon.connect() as sock:
            family = daemon.family()
            sock.sendall(request(ONE, "/late?s=0.3"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
            tell(daemon, number)
            response = Reader(sock).response()
            self.assertEqual((response.status, response.headers["connection"]), (200, "close"))
            self.assertIn(daemon.wait(), (-number, 0))
            self.assertEqual([pid for pid in family if _alive(pid)], [])
            self.assertEqual(complaints(daemon), [])

    def test_term(self) -> None:
        self.check_clean_stop(signal.SIGTERM, *LIFE)

    def test_int(self) -> None:
        self.check_clean_stop(signal.SIGINT, *LIFE)

    def test_term_to_asgi(self) -> None:
        with start("--asgi", "stickyd_asgi_apps:app") as daemon:
            tell(daemon, signal.SIGTERM)
            daemon.wait()
            ended = [line for line in daemon.log if "the app has ended in order" in line]
            self.assertEqual((len(ended), complaints(daemon)), (2, []))

    def loading(self, daemon: Daemon, count: int) -> None:
        """Wait until so many workers are amid loading the app, from now on."""
        found = Path(daemon.directory.name).glob
        wait_for(lambda: len(list(found("loading-*"))) == count, what="workers that load")

    def hold(self, daemon: Daemon) -> Path:
        """Workers that load the app wait until somebody has opened this FIFO for writing."""
        fifo = Path(daemon.directory.name, "waits")
        os.mkfifo(fifo)
        return fifo

    def test_a_stop_while_the_app_is_loaded_for_a_reload(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number), start(*LIFE) as daemon:
                self.hold(daemon)
                daemon.process.send_signal(signal.SIGHUP)
                self.loading(daemon, 2)
                tell(daemon, number)
                daemon.wait(15)
                self.assertEqual(complaints(daemon), [])

    def test_a_stop_while_the_app_is_loaded_at_the_start(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = start(*LIFE)
            self.hold(daemon)
            daemon.start(wait=False)
            with self.subTest(number=number):
                try:
                    self.loading(daemon, 2)
                    tell(daemon, number)
                    self.assertIn(daemon.wait(15), (-number, 0))
                    self.assertEqual(complaints(daemon), [])
                finally:
                    daemon.kill()
                    daemon.directory.cleanup()

    def test_a_worker_told_to_end_while_it_loads_is_replaced_when_it_has_loaded(self) -> None:
        with start(*LIFE) as daemon:
            fifo = self.hold(daemon)
            old = daemon.pids()
            daemon.process.send_signal(signal.SIGHUP)
            self.loading(daemon, 2)
            (told,) = Path(daemon.directory.name).glob("loading-1-*")
            pid = int(told.name.rpartition("-")[2])
            os.kill(pid, signal.SIGTERM)
            fifo.rename(fifo.with_suffix(".over"))
            fifo.with_suffix(".over").write_bytes(b"")
            wait_for(lambda: daemon.pids().get(1) not in (None, pid, old[1]), what="another one")
            wait_for(lambda: not _alive(pid), what="its end")
            self.assertEqual(daemon.report()["generation"], 2)
            self.assertEqual(complaints(daemon), [])

    def test_signals_for_the_master_do_not_hit_workers_that_begin(self) -> None:
        for number in (signal.SIGUSR1, signal.SIGHUP):
            daemon = start(*LIFE)
            daemon.start(wait=False)
            with self.subTest(number=number):
                try:
                    wait_for(lambda daemon=daemon: len(daemon.family()) == 3, what="two workers")
                    tell(daemon, number)
                    self.assertTrue(daemon._ready.wait(30))
                    self.assertEqual(complaints(daemon), [])
                finally:
                    daemon.stop()
                    daemon.directory.cleanup()
