"""Workers that die, hang or end, and what becomes of their connections."""

import contextlib
import os
import signal
import tempfile
import unittest
from pathlib import Path

from tests.support.daemon import Daemon, Reader, _alive, read_all, request, wait_for, workers_in

WAITING = 200


class Death(unittest.TestCase):
    def test_what_waits_in_the_inbox_is_served_by_the_replacement(self) -> None:
        with Daemon() as daemon:
            pid = daemon.pids()[1]
            os.kill(pid, signal.SIGSTOP)
            head = request("10.10.10.10")
            padding = b"X-Padding: " + b"p" * (600 - len(head) - 13) + b"\r\n\r\n"
            message = head[:-2] + padding
            self.assertEqual(len(message), 600)
            clients = [daemon.connect() for _ in range(WAITING)]
            try:
                for at, sock in enumerate(clients):
                    # Every other head is collected by the master and travels in the frame.
                    if at % 2:
                        sock.sendall(message)
                    else:
                        sock.sendall(message[:300])
                for at, sock in enumerate(clients):
                    if not at % 2:
                        sock.sendall(message[300:])
                wait_for(lambda: daemon.report()["master"]["accepted"] == WAITING)
                os.kill(pid, signal.SIGKILL)
                for sock in clients:
                    self.assertEqual(Reader(sock).response().worker, 1)
                self.assertNotEqual(daemon.pids()[1], pid)
            finally:
                for sock in clients:
                    sock.close()

    def test_a_replacement_has_the_same_slot_and_the_counters_go_on(self) -> None:
        with Daemon() as daemon:
            daemon.exchange(request("10.10.10.10"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
            old = daemon.pids()
            os.kill(old[1], signal.SIGKILL)
            wait_for(lambda: daemon.pids().get(1, old[1]) != old[1], what="a replacement")
            self.assertEqual(daemon.pids()[2], old[2])
            self.assertEqual(workers_in(daemon.exchange(request("10.10.10.10"))), [1])
            report = daemon.report()
            self.assertEqual(report["workers"]["requests"], 2)
            self.assertEqual([s["spawned"] for s in report["slots"]], [2, 1])

    def test_a_worker_told_to_end_by_hand_finishes_and_its_connection_goes_on(self) -> None:
        with Daemon("--class", "stickyd_test_apps:Page") as daemon:
            with daemon.connect() as sock:
                sock.sendall(request("10.10.10.10", "/late?s=0.5"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
                pid = daemon.pids()[1]
                os.kill(pid, signal.SIGTERM)
                reader = Reader(sock)
                self.assertEqual(reader.response().body, b"From worker 1 late ")
                wait_for(lambda: daemon.pids().get(1, pid) != pid, what="a replacement")
                wait_for(lambda: not _alive(pid), what="the end of the old one")
                sock.sendall(request("10.10.10.10", "/hello"))
                self.assertIn(b"From worker 1 ", reader.response().body)


class Stop(unittest.TestCase):
    def check_stop(self, number: int) -> None:
        options = ("--class", "stickyd_test_apps:Page")
        with tempfile.TemporaryDirectory() as directory, Daemon(*options) as daemon:
            go = Path(directory) / "go"
            family = daemon.family()
            busy, idle = daemon.connect(), daemon.connect()
            with busy, idle:
                idle.sendall(request("10.10.10.10", "/hello"))
                idle_reader = Reader(idle)
                idle_reader.response()
                busy.sendall(request("10.10.10.10", f"/held?until={go}"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 2)
                daemon.process.send_signal(number)
                # Then their worker has been told, and what it answers from now on is the last.
                self.assertTrue(idle_reader.at_end())
                go.touch()
                response = Reader(busy).response()
                self.assertEqual(response.body, b"From worker 1 held ")
                self.assertEqual(response.headers["connection"], "close")
                # Not at the end of the grace of 30 s.
                self.assertIn(daemon.wait(20), (-number, 0))
            self.assertEqual([pid for pid in family if _alive(pid)], [])
            self.assertEqual(os.listdir(daemon.directory.name), [])
            with self.assertRaises(ConnectionRefusedError):
                daemon.connect()

    def test_term(self) -> None:
        self.check_stop(signal.SIGTERM)

    def test_int(self) -> None:
        self.check_stop(signal.SIGINT)

    def test_an_answer_that_never_comes_is_cut_at_the_end_of_the_grace(self) -> None:
        with Daemon("--class", "stickyd_test_apps:Page", "--graceful-timeout", "1") as daemon:
            with daemon.connect() as sock:
                sock.sendall(request("10.10.10.10", "/late?s=3600"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
                daemon.stop()
                with self.assertRaises((EOFError, ConnectionResetError)):
                    Reader(sock).response()

    def test_who_came_just_before_is_served(self) -> None:
        with Daemon() as daemon, contextlib.ExitStack() as clients:
            early, late, silent = (clients.enter_context(daemon.connect()) for _ in range(3))
            early.sendall(b"GET / HT")
            late.sendall(b"GET / HT")
            wait_for(lambda: daemon.report()["master"]["accepted"] == 3)
            daemon.process.send_signal(signal.SIGSTOP)
            backlog = [daemon.connect() for _ in range(20)]
            for sock in backlog:
                sock.sendall(request("10.10.12.11"))
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.send_signal(signal.SIGCONT)
            early.sendall(b"TP/1.0\r\nX-Forwarded-For: 10.10.10.10\r\n\r\n")
            for sock in backlog:
                with sock:
                    self.assertEqual(Reader(sock).response().worker, 2)
            self.assertEqual(workers_in(read_all(early)), [1])
            self.assertIn(b"503 Service Unavailable: shutting down", read_all(late))
            # Who has asked for nothing is told nothing.
            self.assertEqual(read_all(silent), b"")
            # Not at the end of the grace of 30 s.
            daemon.wait(20)

    def test_more_signals_on_the_way(self) -> None:
        with Daemon("--class", "stickyd_test_apps:Page") as daemon, daemon.connect() as sock:
            sock.sendall(request("10.10.10.10", "/late?s=60"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
            daemon.process.send_signal(signal.SIGTERM)
            wait_for(lambda: any("Received SIGTERM" in line for line in daemon.log))
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.send_signal(signal.SIGINT)
            daemon.process.send_signal(signal.SIGINT)
            # Not at the end of the grace of 30 s.
            daemon.wait(20)

    def test_workers_follow_a_master_that_was_killed(self) -> None:
        with Daemon() as daemon:
            _, *workers = daemon.family()
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.wait()
            wait_for(lambda: not any(_alive(pid) for pid in workers), what="workers ended")

    def test_a_socket_file_of_a_killed_master_is_no_obstacle(self) -> None:
        with Daemon() as daemon:
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.wait()
            daemon.start()
            self.assertEqual(workers_in(daemon.exchange(request("10.10.10.10"))), [1])


class FullInbox(unittest.TestCase):
    def test_a_worker_that_takes_nothing_costs_a_503_and_no_descriptor(self) -> None:
        with Daemon("--inbox-timeout", "1") as daemon:
            daemon.exchange(request("10.10.12.11"))
            wait_for(lambda: not daemon.report()["connections"]["guarded"])
            before = daemon.settled_descriptors()[daemon.process.pid]
            pid = daemon.pids()[1]
            os.kill(pid, signal.SIGSTOP)
            head = request("10.10.10.10")[:-2] + b"X-Padding: " + b"p" * 8000 + b"\r\n"
            head += b"Y-Padding: " + b"p" * 8000 + b"\r\n\r\n"
            clients = []
            try:
                refused = 0
                for _ in range(600):
                    sock = daemon.connect()
                    clients.append(sock)
                    # In two pieces, so that the head travels in the frame and fills the inbox.
                    sock.sendall(head[:8000])
                wait_for(lambda: daemon.report()["master"]["open"] == 600)
                for sock in clients:
                    sock.sendall(head[8000:])
                wait_for(lambda: daemon.report()["master"]["refused"].get("503"), what="a 503")
                wait_for(lambda: not daemon.report()["slots"][0]["waiting"], what="no one waiting")
                refused = daemon.report()["master"]["refused"]["503"]
                os.kill(pid, signal.SIGCONT)
                statuses = [Reader(sock).response().status for sock in clients]
                self.assertEqual(statuses.count(503), refused)
                self.assertEqual(statuses.count(200), 600 - refused)
                self.assertGreater(refused, 0)
            finally:
                for sock in clients:
                    sock.close()
            wait_for(lambda: daemon.descriptors()[daemon.process.pid] == before, what="no leak")
