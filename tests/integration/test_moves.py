"""Connections that move: big bodies, upgrades, a full inbox, a worker that starts."""

import hashlib
import os
import signal
import threading
import unittest

from tests.support.daemon import Daemon, Reader, request, wait_for
from tests.support.extent import slow

APP = ("--class", "stickyd_test_apps:Page", "--affinity-scope", "request")
ONE, TWO = "10.10.10.10", "10.10.12.11"
MEBI = 1 << 20


def cpu_free_sender(sock, data: bytes) -> threading.Thread:
    """Send beside the reading, as a client does whose request and answer are both large."""
    thread = threading.Thread(target=sock.sendall, args=(data,))
    thread.start()
    return thread


class BigBodies(unittest.TestCase):
    def test_what_is_pipelined_behind_a_big_answer_moves_when_that_is_sent(self) -> None:
        with Daemon(*APP, "--head-timeout", "3") as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            # More than is written at once, less than the socket takes.
            for size in (140_000, 200_000, 260_000):
                sock.sendall(request(ONE, f"/big?n={size}") + request(TWO, "/hello"))
                self.assertEqual(len(reader.response().body), size)
                self.assertEqual(reader.response().worker, 2)

    @slow
    def test_both_ways_between_small_requests_of_other_clients(self) -> None:
        upload = os.urandom(MEBI) * 64
        digest = hashlib.sha256(upload).hexdigest().encode()
        blocks = 1024
        expected = hashlib.sha256()
        for left in range(blocks, 0, -1):
            expected.update(bytes([left % 251]) * 65536)
        with Daemon(*APP) as daemon, daemon.connect() as sock:
            sock.settimeout(60)
            reader = Reader(sock)
            chunks = b"".join(
                b"%x\r\n%b\r\n" % (len(part), part)
                for part in (upload[at : at + 100_000] for at in range(0, len(upload), 100_000))
            )
            head = b"POST /digest HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.10.12.11\r\n"
            data = b"".join(
                (
                    request(ONE, "/hello"),
                    request(TWO, "/digest", "POST", upload),
                    request(ONE, "/hello"),
                    head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
                    request(ONE, f"/stream?n={blocks}"),
                    request(TWO, "/hello"),
                )
            )
            sender = cpu_free_sender(sock, data)
            bodies = [reader.response().body for _ in range(4)]
            stream = reader.response()
            last = reader.response().body
            sender.join()
            self.assertTrue(bodies[0].startswith(b"From worker 1 for 10.10.10.10"))
            self.assertEqual(bodies[1], b"From worker 2 " + digest)
            self.assertTrue(bodies[2].startswith(b"From worker 1 for 10.10.10.10"))
            self.assertEqual(bodies[3], b"From worker 2 " + digest)
            self.assertEqual(stream.headers["x-worker"], "1")
            self.assertEqual(hashlib.sha256(stream.body).digest(), expected.digest())
            self.assertTrue(last.startswith(b"From worker 2 for 10.10.12.11"))
            report = daemon.report()["workers"]
            self.assertEqual(report["requests"], 6)
            self.assertEqual(sum(report["moved"].values()), 5)

    def test_expect_continue_is_said_by_the_worker_that_serves(self) -> None:
        with Daemon(*APP) as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            sock.sendall(request(ONE, "/hello"))
            reader.response()
            message = request(TWO, "/digest", "POST", b"body")
            sock.sendall(message[:-6] + b"Expect: 100-continue\r\n\r\n")
            self.assertEqual(reader.response().status, 100)
            sock.sendall(b"body")
            self.assertTrue(reader.response().body.startswith(b"From worker 2 "))


class Waiting(unittest.TestCase):
    def test_a_worker_that_starts_gets_the_connection_from_its_inbox(self) -> None:
        with Daemon(*APP) as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            sock.sendall(request(ONE, "/hello"))
            reader.response()
            pid = daemon.pids()[2]
            os.kill(pid, signal.SIGSTOP)
            sock.sendall(request(TWO, "/hello"))
            wait_for(lambda: daemon.report()["slots"][0]["counters"]["moved"] == {"2": 1})
            os.kill(pid, signal.SIGKILL)
            self.assertTrue(reader.response().body.startswith(b"From worker 2 "))

    def test_a_full_inbox_is_a_503_in_the_set_time_and_never_the_wrong_worker(self) -> None:
        with Daemon(*APP, "--inbox-timeout", "1") as daemon:
            pid = daemon.pids()[2]
            os.kill(pid, signal.SIGSTOP)
            clients = [daemon.connect() for _ in range(400)]
            try:
                # The first request stays; what lies behind it is large and belongs elsewhere.
                padding = b"X-Padding: " + b"p" * 8000 + b"\r\n"
                other = request(TWO, "/hello")[:-2] + padding * 3 + b"\r\n"
                for sock in clients:
                    sock.sendall(request(ONE, "/hello") + other)
                readers = [Reader(sock) for sock in clients]
                for reader in readers:
                    self.assertTrue(reader.response().body.startswith(b"From worker 1 "))
                refused = wait_for(
                    lambda: daemon.report()["slots"][0]["counters"]["refused"].get("503"),
                    what="a 503",
                )
                self.assertGreater(refused, 0)
                wait_for(lambda: daemon.report()["slots"][0]["counters"]["open"] == 0)
                os.kill(pid, signal.SIGCONT)
                seen = []
                for reader in readers:
                    answer = reader.response()
                    if answer.status == 503:
                        self.assertEqual(answer.headers["connection"], "close")
                        self.assertTrue(reader.at_end())
                    else:
                        self.assertTrue(answer.body.startswith(b"From worker 2 "))
                    seen.append(answer.status)
                self.assertEqual(set(seen), {200, 503})
            finally:
                os.kill(pid, signal.SIGCONT)
                for sock in clients:
                    sock.close()


class Upgrade(unittest.TestCase):
    def test_an_upgraded_connection_stays_with_its_worker_for_life(self) -> None:
        options = ("--class", "stickyd_test_apps:Upgrading", "--affinity-scope", "request")
        with Daemon(*options) as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            sock.sendall(request(ONE, "/"))
            self.assertEqual(reader.response().status, 426)
            offer = request(TWO, "/")[:-2] + b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            # What follows the offer at once is the new protocol's already.
            sock.sendall(offer + b"early ")
            expected = b"HTTP/1.1 101 Switching Protocols\r\n"
            expected += b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            expected += b"2: early 2: " + request(ONE, "/")
            got = sock.recv(len(expected))
            while b"early" not in got:
                got += sock.recv(len(expected))
            # A request of another client would move; here it is only bytes.
            sock.sendall(request(ONE, "/"))
            while len(got) < len(expected):
                got += sock.recv(len(expected) - len(got))
            self.assertEqual(got, expected)
            report = daemon.report()["workers"]
            self.assertEqual((report["pinned"], sum(report["moved"].values())), (1, 1))
            sock.close()
            wait_for(lambda: daemon.report()["workers"]["open"] == 0)


class Misroutes(unittest.TestCase):
    def test_in_connection_scope_they_are_counted_and_said_once(self) -> None:
        with Daemon("--class", "stickyd_test_apps:Page") as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            for client in (ONE, TWO, ONE, TWO):
                sock.sendall(request(client, "/hello"))
                self.assertTrue(reader.response().body.startswith(b"From worker 1 "))
            self.assertEqual(daemon.report()["workers"]["misrouted"], 2)
            self.assertEqual(len(daemon.said("--affinity-scope request")), 1)

    def test_worker_header_without_a_name(self) -> None:
        with Daemon("--worker-header", "--seed", "1") as daemon, daemon.connect() as sock:
            sock.sendall(request(TWO))
            self.assertEqual(Reader(sock).response().headers["x-stickyd-worker"], "2")

    def test_worker_header(self) -> None:
        with Daemon("--worker-header", "X-Who") as daemon, daemon.connect() as sock:
            sock.sendall(request(TWO))
            self.assertEqual(Reader(sock).response().headers["x-who"], "2")
