"""A worker is killed: what idled goes on with its successor, what waited is let go at once."""

import os
import select
import signal
import socket
import time
import unittest
from pathlib import Path

from tests.support.daemon import Daemon, Reader, read_all, request, wait_for
from tests.support.extent import slow

APP = ("--class", "stickyd_test_apps:Page")
ONE, TWO = "10.10.10.10", "10.10.12.11"
OF = {1: ONE, 2: TWO}
RELEASED_WITHIN = 5.0
"""Seconds that a client may wait for the end of a connection that nobody will answer: at once,
which is less than any of the daemon's deadlines, on a machine that has much else to do."""


class Kept:
    """A kept-alive connection, and the slot its client belongs to."""

    def __init__(self, sock: socket.socket, slot: int) -> None:
        self.sock = sock
        self.slot = slot
        self.reader = Reader(sock)

    def ask(self, path: str = "/hello") -> int:
        """The worker that answers."""
        self.sock.sendall(request(OF[self.slot], path))
        return self.reader.response().worker


class GuardianTest(unittest.TestCase):
    def setUp(self) -> None:
        self.kept: list[Kept] = []
        self.addCleanup(self.close_all)

    def close_all(self) -> None:
        for each in self.kept:
            each.sock.close()

    def keep(self, daemon: Daemon, slot: int) -> Kept:
        kept = self.own(daemon.connect(), slot)
        self.assertEqual(kept.ask(), slot)
        return kept

    def keep_local(self, daemon: Daemon) -> Kept:
        """Over a Unix socket, of which the kernel keeps no count of bytes."""
        sock = socket.socket(socket.AF_UNIX)
        kept = self.own(sock, 1)
        sock.settimeout(10)
        sock.connect(os.path.join(daemon.directory.name, "clients"))
        self.assertEqual(kept.ask(), 1)
        return kept

    def own(self, sock: socket.socket, slot: int) -> Kept:
        kept = Kept(sock, slot)
        self.kept.append(kept)
        return kept

    def kill(self, daemon: Daemon, slot: int) -> int:
        """kill -9; the pid it had."""
        pid = daemon.pids()[slot]
        os.kill(pid, signal.SIGKILL)
        return pid

    def replaced(self, daemon: Daemon, slot: int, pid: int) -> None:
        wait_for(lambda: daemon.pids().get(slot, pid) != pid, 30, "a replacement")

    def ends_within(self, socks: list[socket.socket], seconds: float) -> None:
        """Each of them ends, by a FIN or a reset, without another byte."""
        until = time.monotonic() + seconds
        waiting = set(socks)
        while waiting:
            left = until - time.monotonic()
            self.assertGreater(left, 0, f"{len(waiting)} of {len(socks)} have not ended")
            for sock in select.select(list(waiting), [], [], left)[0]:
                try:
                    self.assertEqual(sock.recv(65536), b"")
                except ConnectionResetError:
                    pass
                waiting.discard(sock)

    def counted(self, daemon: Daemon, rescued: int, released: int) -> None:
        master = daemon.report()["master"]
        self.assertEqual((master["rescued"], master["released"]), (rescued, released))


class Death(GuardianTest):
    def check_rounds(self, scope: str, *rounds: int) -> None:
        with Daemon(*APP, "--affinity-scope", scope) as daemon:
            before = daemon.settled_descriptors()[daemon.process.pid]
            idle = [self.keep(daemon, slot) for slot in (1, 2) for _ in range(16)]
            ports = [each.sock.getsockname()[1] for each in idle]
            rescued = released = 0
            for slot in rounds:
                busy = [self.keep(daemon, slot) for _ in range(3)]
                for each in busy:
                    each.sock.sendall(request(OF[slot], "/late?s=60"))
                half = [self.keep(daemon, slot) for _ in range(2)]
                for each in half:
                    each.sock.sendall(request(OF[slot])[:40])
                with daemon.connect() as fresh:
                    # Nothing of it is read by a worker before it is whole.
                    fresh.sendall(request(OF[slot], "/late?s=60"))
                    lost = [each.sock for each in busy + half] + [fresh]
                    # Everything has been read: a byte that waits would be the successor's.
                    wait_for(lambda: self.settled(daemon, 32 + 6), what="all read")
                    pid = self.kill(daemon, slot)
                    self.ends_within(lost, RELEASED_WITHIN)
                rescued, released = rescued + 16, released + 6
                for each in busy + half:
                    each.sock.close()
                self.replaced(daemon, slot, pid)
                self.assertEqual([each.ask() for each in idle], [each.slot for each in idle])
                self.counted(daemon, rescued, released)
                self.assertEqual(daemon.report()["connections"]["open"], 32)
            self.assertEqual([each.sock.getsockname()[1] for each in idle], ports)
            self.close_all()
            wait_for(lambda: daemon.report()["connections"]["guarded"] == 0, what="no copies")
            self.assertEqual(daemon.report()["connections"]["open"], 0)
            wait_for(lambda: daemon.descriptors()[daemon.process.pid] == before, what="no leak")

    def settled(self, daemon: Daemon, number: int) -> bool:
        report = daemon.report()
        unread = _unread_of(daemon.port)
        return report["connections"]["guarded"] >= number and not any(unread)

    @slow
    def test_rounds_in_connection_scope(self) -> None:
        self.check_rounds("connection", 1, 2, 1)

    def test_rounds_in_request_scope(self) -> None:
        self.check_rounds("request", 2, 1)

    def test_what_has_moved_goes_on_where_it_was_last(self) -> None:
        with Daemon(*APP, "--affinity-scope", "request") as daemon:
            kept = [self.keep(daemon, 1) for _ in range(4)]
            for each in kept:
                each.slot = 2
                self.assertEqual(each.ask(), 2)
            # Nothing of these is the first worker's any more.
            first = self.kill(daemon, 1)
            self.assertEqual([each.ask() for each in kept], [2] * 4)
            self.replaced(daemon, 1, first)
            self.counted(daemon, 0, 0)
            second = self.kill(daemon, 2)
            self.replaced(daemon, 2, second)
            self.assertEqual([each.ask() for each in kept], [2] * 4)
            self.counted(daemon, 4, 0)
            for each in kept:
                each.slot = 1
                self.assertEqual(each.ask(), 1)

    def test_what_is_on_its_way_outlives_sender_and_receiver(self) -> None:
        with Daemon(*APP, "--affinity-scope", "request") as daemon:
            kept = [self.keep(daemon, 1) for _ in range(4)]
            sender, receiver = daemon.pids()[1], daemon.pids()[2]
            os.kill(receiver, signal.SIGSTOP)
            for each in kept:
                each.sock.sendall(request(TWO, "/hello"))
            wait_for(lambda: daemon.report()["slots"][0]["counters"]["moved"] == {"2": 4})
            os.kill(sender, signal.SIGKILL)
            self.replaced(daemon, 1, sender)
            os.kill(receiver, signal.SIGKILL)
            self.assertEqual([each.reader.response().worker for each in kept], [2] * 4)
            self.counted(daemon, 0, 0)

    def test_what_clients_did_while_they_idled(self) -> None:
        with Daemon(*APP, "--listen", "unix:clients") as daemon:
            before = daemon.settled_descriptors()[daemon.process.pid]
            stays, finished, gone, reset, asked, last = (self.keep(daemon, 1) for _ in range(6))
            local, local_asked, local_busy = (self.keep_local(daemon) for _ in range(3))
            local_busy.sock.sendall(request(ONE, "/late?s=60"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 10)
            pid = daemon.pids()[1]
            # Nobody reads any more what they do now.
            os.kill(pid, signal.SIGSTOP)
            finished.sock.shutdown(socket.SHUT_WR)
            gone.sock.close()
            reset.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            reset.sock.close()
            for each in (asked, last, local_asked):
                each.sock.sendall(request(ONE, "/hello"))
            last.sock.shutdown(socket.SHUT_WR)
            os.kill(pid, signal.SIGKILL)
            self.ends_within([finished.sock, local_busy.sock], RELEASED_WITHIN)
            for each in (asked, last, local_asked):
                self.assertEqual(each.reader.response().worker, 1)
            self.assertTrue(last.reader.at_end())
            self.assertEqual([each.ask() for each in (stays, asked, local)], [1] * 3)
            self.counted(daemon, 5, 4)
            self.close_all()
            wait_for(lambda: daemon.descriptors()[daemon.process.pid] == before, what="no leak")

    def test_the_answer_is_whole_and_the_app_goes_on(self) -> None:
        """Nothing of the answer is lost with the worker: so the connection idles for its client."""
        wsgi, asgi = ("--wsgi", "stickyd_wsgi_apps:app"), ("--asgi", "stickyd_asgi_apps:app")
        for app in (APP, wsgi, asgi):
            with self.subTest(app[0]), Daemon(*app) as daemon:
                idle, asked = self.keep(daemon, 1), self.keep(daemon, 1)
                for each in (idle, asked):
                    self.assertEqual(each.ask("/whole"), 1)
                asked.sock.sendall(request(ONE, "/hello"))
                wait_for(lambda: not any(_unread_of(daemon.port)), what="all read")
                self.kill(daemon, 1)
                self.ends_within([asked.sock], RELEASED_WITHIN)
                self.assertEqual(idle.ask(), 1)
                self.counted(daemon, 1, 1)

    def test_an_upgraded_connection_ends_with_its_worker(self) -> None:
        with Daemon("--class", "stickyd_test_apps:Upgrading") as daemon:
            with daemon.connect() as sock:
                sock.sendall(
                    request(ONE, "/")[:-2] + b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
                )
                self.assertEqual(Reader(sock).response().status, 101)
                sock.sendall(b"one")
                self.assertEqual(sock.recv(100), b"1: one")
                self.kill(daemon, 1)
                self.ends_within([sock], RELEASED_WITHIN)
                self.counted(daemon, 0, 1)

    def test_behind_a_proxy_header(self) -> None:
        options = (*APP, "--proxy-protocol", "v1", "--affinity", "src")
        with Daemon(*options, workers=1) as daemon:
            kept = self.own(daemon.connect(), 1)
            sock = kept.sock
            header = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"
            # The head in two parts: the master takes the first one out of the socket.
            head = request(ONE, "/hello")
            sock.sendall(header + head[:30])
            wait_for(lambda: not any(_unread_of(daemon.port)), what="the first part taken")
            sock.sendall(head[30:])
            self.assertEqual(kept.reader.response().worker, 1)
            self.kill(daemon, 1)
            sock.sendall(request(ONE, "/secure"))
            self.assertEqual(kept.reader.response().body.split()[1:], [b"203.0.113.7", b"4711"])
            self.counted(daemon, 1, 0)


class Life(GuardianTest):
    """Without any death a guarded connection is as any other."""

    def test_its_end_is_seen_at_once_and_its_copy_dropped(self) -> None:
        with Daemon(*APP, "--keep-alive", "2") as daemon:
            before = daemon.settled_descriptors()[daemon.process.pid]
            ending = [self.keep(daemon, 1).sock for _ in range(2)]
            idle = self.keep(daemon, 1)
            # It cannot drop its copies, so what ends is the worker's doing alone.
            daemon.process.send_signal(signal.SIGSTOP)
            for sock, path in zip(ending, ("/close", "/short"), strict=True):
                sock.sendall(request(ONE, path))
                self.assertIn(b"From worker 1 ", read_all(sock))
            self.assertTrue(idle.reader.at_end())
            daemon.process.send_signal(signal.SIGCONT)
            with daemon.connect() as sock:
                # Refused by the worker, behind a request that it has answered.
                sock.sendall(request(ONE, "/hello") + b"no request\r\n\r\n")
                reader = Reader(sock)
                self.assertEqual([reader.response().status for _ in "12"], [200, 400])
                self.assertTrue(reader.at_end())
            wait_for(lambda: daemon.report()["connections"]["guarded"] == 0, what="no copies")
            wait_for(lambda: daemon.descriptors()[daemon.process.pid] == before, what="no leak")
            self.counted(daemon, 0, 0)

    def test_a_reload_hands_it_over_and_the_successor_may_die(self) -> None:
        with Daemon(*APP) as daemon:
            kept = [self.keep(daemon, slot) for slot in (1, 2) for _ in range(4)]
            old = daemon.pids()
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: daemon.report()["workers"]["returned"] == 8, 30, "given back")
            wait_for(lambda: not any(map(_exists, old.values())), 30, "the old ones ended")
            self.counted(daemon, 0, 0)
            # Not one of them has had a request since.
            wait_for(lambda: daemon.report()["workers"]["open"] == 8)
            for slot in (1, 2):
                pid = self.kill(daemon, slot)
                self.replaced(daemon, slot, pid)
            self.assertEqual([each.ask() for each in kept], [each.slot for each in kept])
            self.counted(daemon, 8, 0)

    def test_off_is_off(self) -> None:
        with Daemon(*APP, "--guardian", "off") as daemon:
            kept = self.keep(daemon, 1)
            self.assertEqual(daemon.report()["connections"]["guarded"], 0)
            self.kill(daemon, 1)
            self.ends_within([kept.sock], RELEASED_WITHIN)
            self.counted(daemon, 0, 0)


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _unread_of(port: int) -> list[int]:
    """Bytes that wait in the sockets of a port's connections (proc(5), /proc/net/tcp)."""
    local = f"0100007F:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return [int(row[4].partition(":")[2], 16) for row in rows if row[1] == local and row[3] == "01"]
