"""The life of workers: reload, wear, scale, silence, crash loops."""

import itertools
import os
import signal
import unittest
from pathlib import Path

from tests.support.daemon import Daemon, Reader, Response, _alive, request, wait_for
from tests.support.extent import slow

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of slot 1 and slot 2 at seed 1."""

BUSY = "10.10.12.10"
"""Another client of slot 1."""

APP = ("--class", "stickyd_life_app:App")


class Client:
    """One connection, kept for the whole test."""

    def __init__(self, daemon: Daemon) -> None:
        self.sock = daemon.connect()
        self.port = self.sock.getsockname()[1]
        self.reader = Reader(self.sock)

    def ask(self, client: str, path: str = "/") -> Response:
        self.sock.sendall(request(client, path))
        return self.reader.response()

    def who(self, client: str, path: str = "/") -> tuple[int, int]:
        """Slot and pid that answer."""
        response = self.ask(client, path)
        assert response.status == 200, response.body
        slot, pid, _ = response.body.split()
        return int(slot), int(pid)


class Life(unittest.TestCase):
    def client(self, daemon: Daemon) -> Client:
        """A client that goes when the test ends."""
        client = Client(daemon)
        self.addCleanup(client.sock.close)
        return client

    def at_rest(self, daemon: Daemon) -> None:
        """A client may have its answer a moment before the worker can note that."""
        daemon.report()


def life(daemon: Daemon) -> Path:
    return Path(daemon.directory.name)


def start(*options: str, workers: int = 2) -> Daemon:
    # A head that waits for its second half has all the time that a busy machine takes.
    daemon = Daemon(*APP, "--head-timeout", "300", *options, workers=workers)
    daemon._environment["LIFE"] = daemon.directory.name
    return daemon


def reload(daemon: Daemon) -> None:
    generation = daemon.report()["generation"]
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.report()["generation"] > generation, what="a new generation")
    # Asked once more, every worker has heard before what has become of it.
    daemon.report()


class Reload(Life):
    def check(self, scope: str) -> None:
        with start("--affinity-scope", scope) as daemon:
            idle, busy, half = self.client(daemon), self.client(daemon), self.client(daemon)
            before = idle.who(ONE)
            self.assertEqual(half.who(ONE), before)
            # Another client of the slot: its key stays with the old worker.
            busy.sock.sendall(request(BUSY, "/late?s=1"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 3)
            # Part of a head: it travels with the connection.
            whole = request(ONE)
            half.sock.sendall(whole[:20])
            reload(daemon)
            slot, pid = idle.who(ONE)
            self.assertEqual(slot, 1)
            self.assertNotEqual(pid, before[1])
            self.assertEqual(daemon.pids()[1], pid)
            half.sock.sendall(whole[20:])
            self.assertEqual(half.reader.response().body.split()[1], b"%d" % pid)
            self.assertEqual(busy.reader.response().body, b"1 %d late" % before[1])
            wait_for(lambda: not _alive(before[1]), what="the end of the old worker")
            self.assertEqual(busy.who(BUSY), (1, pid))
            for client in (idle, busy, half):
                self.assertEqual(client.sock.getsockname()[1], client.port)
            self.assertEqual(daemon.report()["workers"]["lost"], 0)

    def test_connections_go_on_in_connection_scope(self) -> None:
        self.check("connection")

    def test_connections_go_on_in_request_scope(self) -> None:
        self.check("request")

    def test_new_code_is_loaded_and_broken_code_is_not(self) -> None:
        daemon = Daemon("--class", "changing:Page", workers=2)
        file = life(daemon) / "changing.py"
        code = "from twisted.web.resource import Resource\nclass Page(Resource):\n"
        code += "  isLeaf = True\n  def render(self, request): return b'{}'\n"
        file.write_text(code.format("first"))
        with daemon:
            client = self.client(daemon)
            self.assertEqual(client.ask(ONE).body, b"first")
            file.write_text("raise RuntimeError('broken on purpose')\n")
            pids = daemon.pids()
            daemon.process.send_signal(signal.SIGHUP)
            (line,) = daemon.said("broken on purpose")
            self.assertIn("reload: cannot load --class changing:Page: RuntimeError", line)
            daemon.said("given up")
            self.assertEqual(daemon.pids(), pids)
            self.assertEqual(client.ask(ONE).body, b"first")
            file.write_text(code.format("the second one"))
            reload(daemon)
            self.assertEqual(client.ask(ONE).body, b"the second one")

    def test_several_hups_at_once_end_in_one_generation_more_or_two(self) -> None:
        with start() as daemon:
            client = self.client(daemon)
            for _ in range(20):
                daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: daemon.report()["generation"] in (2, 3))
            client.who(ONE)
            wait_for(lambda: len(daemon.family()) == 3, 20, "the end of the old ones")
            self.assertLessEqual(daemon.report()["generation"], 3)


class Wear(Life):
    def test_max_requests(self) -> None:
        with start("--max-requests", "20", "--max-requests-jitter", "5") as daemon:
            client = self.client(daemon)
            pids: list[int] = []
            # A worker goes on until its replacement is there, so it may serve more.
            while len(set(pids)) < 3:
                pids.append(client.who(ONE)[1])
                self.assertLess(len(pids), 100_000)
            self.assertEqual(len([a for a, b in itertools.pairwise(pids) if a != b]), 2)
            self.assertGreaterEqual(pids.count(pids[0]), 20)


class Scale(Life):
    CLIENTS = tuple(f"10.20.{n}.{n * 7 % 250}" for n in range(60))

    def check(self, scope: str) -> None:
        with start("--affinity-scope", scope) as daemon:
            clients = {name: self.client(daemon) for name in self.CLIENTS}
            where = {name: client.who(name)[0] for name, client in clients.items()}
            late = clients[self.CLIENTS[0]]
            late.sock.sendall(request(self.CLIENTS[0], "/late?s=0.5"))
            daemon.process.send_signal(signal.SIGTTIN)
            wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3])
            self.assertIn(b"late", late.reader.response().body)
            now = {name: client.who(name)[0] for name, client in clients.items()}
            moved = [name for name in now if now[name] != where[name]]
            self.assertEqual({now[name] for name in moved}, {3})
            self.assertGreater(len(moved), 5)
            self.assertLess(len(moved), 40)
            # Those that are busy now, in the slot that goes.
            name = moved[0]
            clients[name].sock.sendall(request(name, "/late?s=0.5"))
            wait_for(lambda: daemon.report()["slots"][2]["counters"]["requests"] > len(moved))
            daemon.process.send_signal(signal.SIGTTOU)
            self.assertTrue(clients[name].reader.response().body.startswith(b"3 "))
            wait_for(lambda: len(daemon.report()["slots"]) == 2)
            again = {name: client.who(name)[0] for name, client in clients.items()}
            self.assertEqual(again, where)
            self.assertEqual(daemon.report()["table"], {"version": 3, "slots": [1, 2]})
            # A slot of the same number again, with an inbox of its own.
            daemon.process.send_signal(signal.SIGTTIN)
            wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3])
            self.assertEqual({n: c.who(n)[0] for n, c in clients.items()}, now)
            for client in clients.values():
                self.assertEqual(client.sock.getsockname()[1], client.port)

    @slow
    def test_connection_scope(self) -> None:
        self.check("connection")

    def test_request_scope(self) -> None:
        self.check("request")

    def test_the_last_slot_stays(self) -> None:
        with start(workers=1) as daemon:
            daemon.process.send_signal(signal.SIGTTOU)
            daemon.said("one slot must be left")
            client = self.client(daemon)
            self.assertEqual(client.who(TWO)[0], 1)


class Silence(Life):
    def test_a_stopped_worker_is_replaced_and_its_inbox_served(self) -> None:
        with start("--timeout", "2") as daemon:
            pid = daemon.pids()[1]
            os.kill(pid, signal.SIGSTOP)
            client = self.client(daemon)
            slot, by = client.who(ONE)
            self.assertEqual(slot, 1)
            self.assertNotEqual(by, pid)
            self.assertFalse(_alive(pid))

    def test_a_blocked_worker_says_where_it_hangs(self) -> None:
        with start("--timeout", "2") as daemon:
            client = self.client(daemon)
            client.sock.sendall(request(ONE, "/block?s=60"))
            daemon.said("has been silent for 2.0 s and is killed")
            daemon.said("stickyd_life_app.py")
            with self.assertRaises((EOFError, ConnectionResetError)):
                client.reader.response()

    @slow
    def test_one_that_is_busy_in_a_thread_is_left_alone(self) -> None:
        with start("--timeout", "2") as daemon:
            client = self.client(daemon)
            pid = daemon.pids()[1]
            self.assertEqual(client.ask(ONE, "/thread?s=4").body, b"1 %d late" % pid)

    @slow
    def test_an_app_that_never_loads_is_given_up(self) -> None:
        with start("--start-timeout", "2") as daemon:
            (life(daemon) / "hangs-1").touch()
            pids = daemon.pids()
            daemon.process.send_signal(signal.SIGHUP)
            daemon.said("given up")
            self.assertEqual(daemon.pids(), pids)


class CrashLoop(Life):
    def test_a_slot_that_cannot_start_is_passed_over_until_it_can(self) -> None:
        with start("--slot-failover", "1") as daemon:
            other = self.client(daemon)
            self.assertEqual(other.who(TWO)[0], 2)
            fails = life(daemon) / "fails-1"
            fails.touch()
            os.kill(daemon.pids()[1], signal.SIGKILL)
            # Waits in the inbox of slot 1 at first.
            waiting = self.client(daemon)
            self.assertEqual(waiting.who(ONE)[0], 2)
            self.assertEqual(daemon.report()["table"]["slots"], [2])
            self.assertEqual(other.who(TWO)[0], 2)
            daemon.said("is started again in 1.0 s")
            fails.unlink()
            wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2], 20, "slot 1 back")
            self.assertEqual(waiting.who(ONE)[0], 1)
            self.assertEqual(other.who(TWO)[0], 2)
            log = [line for line in daemon.log if "told to fail" in line]
            self.assertLess(len(log), 8)

    @slow
    def test_without_failover_keys_wait_for_their_slot(self) -> None:
        with start("--slot-failover", "0") as daemon:
            fails = life(daemon) / "fails-1"
            fails.touch()
            os.kill(daemon.pids()[1], signal.SIGKILL)
            daemon.said("is started again in 0.5 s")
            waiting = self.client(daemon)
            waiting.sock.sendall(request(ONE))
            wait_for(lambda: daemon.report()["master"]["handed_off"])
            fails.unlink()
            self.assertTrue(waiting.reader.response().body.startswith(b"1 "))
