"""The stop of a daemon with WebSockets and event streams, each kind of them at wire level."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from functools import partial

from tests.support.daemon import Daemon, Reader, _alive, request, wait_for
from tests.support.extent import SLOW, slow
from tests.support.lasting import (
    Stream,
    client_of,
    code_of,
    core,
    over,
    port_is_free,
    together,
)

ASGI = ("--asgi", "stickyd_stream_apps:app")
WEB = ("--class", "stickyd_stream_apps:site")
WSGI = ("--wsgi", "stickyd_stream_apps:wsgi")

ONE = "10.10.10.10"

CORES = ("", "0") if SLOW else ("",)
"""The core that is there, and Python's."""


def start(*options: str, workers: int = 2) -> Daemon:
    daemon = Daemon(*options, workers=workers)
    daemon._environment["LIFE"] = daemon.directory.name
    return daemon


def notes(daemon: Daemon) -> list[str]:
    try:
        with open(os.path.join(daemon.directory.name, "notes")) as file:
            return file.read().split("\n")[:-1]
    except FileNotFoundError:
        return []


class AtOnce(unittest.TestCase):
    """TERM, default options: nobody waits for the grace of 30 s."""

    sockets, streams, threads = 6, 4, "4"
    most = 10.0

    def check(self, *app: str, sockets: int, streams: int, whole: bool) -> None:
        with start(*app) as daemon, contextlib.ExitStack() as stack:
            family = daemon.family()
            clients = map(client_of, range(sockets + streams))
            open_ones = [stack.enter_context(over(daemon, next(clients))) for _ in range(sockets)]
            reading = [Stream(daemon, "/listens", next(clients)) for _ in range(streams)]
            began = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            calls = [partial(code_of, each) for each in open_ones] + [s.end for s in reading]
            ends = together(calls)
            daemon.wait()
            took = time.monotonic() - began
            self.assertTrue(port_is_free(daemon))
            self.assertEqual([pid for pid in family if _alive(pid)], [])
            self.assertEqual(ends[:sockets], [1012] * sockets)
            self.assertEqual({end.how for end in ends[sockets:]}, {"FIN"})
            self.assertEqual({end.whole for end in ends[sockets:]}, {whole})
            self.assertLess(took, self.most)
            self.assertEqual([line for line in daemon.log if "error]" in line], [])

    def test_asgi(self) -> None:
        for native in ("", "0"):
            with self.subTest(native), core(native):
                # sse-starlette cancels its streams, which nothing may make look whole.
                self.check(*ASGI, sockets=self.sockets, streams=self.streams, whole=False)

    def test_web(self) -> None:
        for native in ("", "0"):
            with self.subTest(native), core(native):
                self.check(*WEB, sockets=self.sockets, streams=self.streams, whole=True)

    def test_wsgi(self) -> None:
        for native in ("", "0"):
            with self.subTest(native), core(native):
                self.check(
                    *WSGI, "--threads", self.threads, sockets=0, streams=self.streams, whole=True
                )


class Cut(unittest.TestCase):
    """Streams that do not listen: cut when the grace ends, and never whole."""

    def check(self, *app: str, said: str, paths: tuple[str, ...] = ("/deaf",)) -> None:
        with start(*app, "--graceful-timeout", "1", workers=1) as daemon:
            kinds = [(path, version) for path in paths for version in ("1.1", "1.0")]
            streams = [Stream(daemon, path, ONE, version) for path, version in kinds]
            daemon.process.send_signal(signal.SIGTERM)
            for kind, end in zip(kinds, together([s.end for s in streams]), strict=True):
                self.assertEqual((end.how, end.whole), ("RST", False), kind)
            daemon.wait()
            self.assertEqual(notes(daemon), [said] * len(kinds))

    def test_asgi(self) -> None:
        for native in CORES:
            with self.subTest(native), core(native):
                self.check(*ASGI, said="disconnect", paths=("/deaf", "/deaf-sized"))

    def test_web(self) -> None:
        for native in CORES:
            with self.subTest(native), core(native):
                self.check(*WEB, said="lost")

    def test_wsgi(self) -> None:
        for native in CORES:
            with self.subTest(native), core(native):
                self.check(*WSGI, said="closed")

    def test_a_cancelled_stream_of_http_1_0_has_no_orderly_end(self) -> None:
        """Without chunks only a reset tells the client that something is missing."""
        with start(*ASGI, workers=1) as daemon:
            stream = Stream(daemon, "/listens", ONE, "1.0")
            daemon.process.send_signal(signal.SIGTERM)
            self.assertEqual(stream.end().how, "RST")

    def test_nor_has_one_whose_app_fails(self) -> None:
        for app in (ASGI, WSGI):
            with self.subTest(app), start(*app, workers=1) as daemon:
                for version, how in (("1.0", "RST"), ("1.1", "FIN")):
                    end = Stream(daemon, "/fails", ONE, version).end()
                    self.assertEqual((end.how, end.whole), (how, False))
                daemon.stop()
                # The app's fault is in the log, which the context would not accept.
                self.assertIn("told to fail", "\n".join(daemon.log))
                daemon.log.clear()


class Sockets(unittest.TestCase):
    def test_they_are_closed_over_the_spread(self) -> None:
        for app in (ASGI, WEB):
            options = ("--close-spread", "6")
            with self.subTest(app), start(*app, *options, workers=1) as daemon:
                with contextlib.ExitStack() as stack:
                    clients = [client_of(number) for number in range(8)]
                    open_ones = [stack.enter_context(over(daemon, each)) for each in clients]
                    ended: list[float] = []

                    def wait(websocket: object, ended: list[float] = ended) -> None:
                        self.assertEqual(code_of(websocket), 1012)  # type: ignore[arg-type]
                        ended.append(time.monotonic())

                    daemon.process.send_signal(signal.SIGTERM)
                    together([partial(wait, each) for each in open_ones])
                    self.assertEqual(len(ended), 8)
                    # Six seconds are between the first and the turn behind the last. A busy
                    # machine may notice the first ones late.
                    self.assertGreater(ended[-1] - ended[0], 2)
                daemon.wait()

    def test_one_that_the_app_accepts_during_the_stop(self) -> None:
        with start(*ASGI, workers=1) as daemon:

            def go() -> None:
                wait_for(lambda: notes(daemon) == ["offered"], what="the offer")
                daemon.process.send_signal(signal.SIGTERM)
                wait_for(lambda: port_is_free(daemon), what="the stop")
                open(os.path.join(daemon.directory.name, "go"), "w").close()

            def offer() -> int:
                with over(daemon, ONE, "/late") as websocket:
                    return code_of(websocket)

            began = time.monotonic()
            self.assertEqual(together([offer, go])[0], 1012)
            daemon.wait()
            self.assertLess(time.monotonic() - began, 20)

    def test_one_whose_app_has_taken_the_transport(self) -> None:
        """As Autobahn's resource does, whose protocols have the method ``sendCloseFrame``."""
        with start("--class", "stickyd_taken_app:Taken", workers=1) as daemon:
            with daemon.connect() as sock:
                offer = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                sock.sendall(request(ONE)[:-2] + offer)
                while b"open" not in sock.recv(4096):
                    pass
                daemon.process.send_signal(signal.SIGTERM)
                self.assertEqual(sock.recv(4096), b"\x88\x02\x03\xf4")
                self.assertEqual(sock.recv(1), b"")
            daemon.wait()

    def test_idle_connections_are_closed_in_turn(self) -> None:
        """And a request that comes before the turn is served, as the last."""
        with start(*WEB, "--close-spread", "2", workers=1) as daemon:
            idle = [daemon.connect() for _ in range(10)]
            for sock in idle:
                sock.sendall(request(ONE, "/nothing"))
                self.assertIn(b"404", sock.recv(65536))
            began = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            # The first end says that the worker has heard of the stop.
            self.assertTrue(select.select(idle, [], [], 30)[0])
            answers = []
            for sock in idle:
                with sock:
                    # Those whose turn has come have ended.
                    with contextlib.suppress(OSError):
                        sock.sendall(request(ONE, "/nothing"))
                        answers.append(sock.recv(65536).lower())
            served = [answer for answer in answers if answer]
            self.assertGreater(len(served), 3)
            for answer in served:
                self.assertIn(b"connection: close", answer)
            daemon.wait()
            self.assertLess(time.monotonic() - began, 20)

    def test_a_worker_alone_gives_them_the_grace(self) -> None:
        """Its replacement takes the keys; the sockets stay until the grace is over."""
        with start(*ASGI, "--graceful-timeout", "1", workers=1) as daemon:
            pid = daemon.pids()[1]
            with over(daemon, ONE) as websocket:
                os.kill(pid, signal.SIGTERM)
                wait_for(lambda: daemon.pids().get(1, pid) != pid, what="a replacement")
                websocket.send("still here")
                self.assertEqual([websocket.recv(), websocket.recv()], ["open", "still here"])
                self.assertEqual(code_of(websocket), 1012)


@slow
class Library(unittest.TestCase):
    """Versions of sse-starlette, each of which asks in its own way whether the server ends."""

    def test_versions(self) -> None:
        for version in ("1.8.2", "2.4.1", "3.1.2"):
            with self.subTest(version), tempfile.TemporaryDirectory() as directory:
                pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
                wanted = ["--target", directory, f"sse-starlette=={version}"]
                subprocess.run([*pip, *wanted], check=True, stderr=subprocess.DEVNULL)
                daemon = start(*ASGI, workers=1)
                path = daemon._environment["PYTHONPATH"]
                daemon._environment["PYTHONPATH"] = f"{directory}{os.pathsep}{path}"
                with daemon:
                    stream = Stream(daemon, "/listens", ONE)
                    daemon.process.send_signal(signal.SIGTERM)
                    end = stream.end()
                    self.assertEqual((end.how, end.whole), ("FIN", False))
                    self.assertLess(end.seconds, 10)


class Delay(unittest.TestCase):
    """--shutdown-delay: not ready, but serving."""

    delay, on = "30", 0.5

    def load(self, daemon: Daemon, over: threading.Event, failed: list[object]) -> int:
        """Requests on new and on kept connections, until told; how many were answered."""
        answers = 0
        kept = daemon.connect()
        try:
            while not over.is_set():
                fresh = daemon.connect()
                for sock in (kept, fresh):
                    sock.sendall(request(client_of(answers)))
                    status = Reader(sock).response().status
                    if status != 200:
                        failed.append(status)
                    answers += 1
                fresh.close()
        except (OSError, EOFError) as error:
            failed.append(error)
        finally:
            kept.close()
        return answers

    def test_a_load_that_ends_after_readiness_fell(self) -> None:
        with start("--shutdown-delay", self.delay) as daemon:
            self.assertTrue(daemon.report()["ready"])
            over, failed = threading.Event(), list[object]()

            def stop() -> int:
                daemon.process.send_signal(signal.SIGTERM)
                wait_for(lambda: not daemon.report()["ready"], what="unreadiness")
                # As long as balancers go on sending.
                over.wait(self.on)
                over.set()
                return 0

            results = together([partial(self.load, daemon, over, failed)] * 3 + [stop])
            self.assertEqual(failed, [])
            self.assertGreater(min(results[:3]), 10)
            self.end(daemon)

    def end(self, daemon: Daemon) -> None:
        self.assertIsNone(daemon.process.poll())
        began = time.monotonic()
        # A second one ends the delay.
        daemon.stop()
        self.assertLess(time.monotonic() - began, 20)

    def test_quick(self) -> None:
        """INT has no delay; during one it ends delay and grace."""
        for signals in ((signal.SIGINT,), (signal.SIGTERM, signal.SIGINT)):
            with start(*WEB, "--shutdown-delay", "60", workers=1) as daemon:
                stream = Stream(daemon, "/deaf", ONE)
                for number in signals:
                    daemon.process.send_signal(number)
                    if number == signal.SIGTERM:
                        daemon.said("stop: not ready, but serving for another 60 s")
                self.assertEqual(stream.end().how, "RST")
                daemon.wait(20)

    def test_none_before_the_start_is_complete(self) -> None:
        """A worker that does not load ends the daemon at once."""
        daemon = start("--class", "stickyd_no_such:thing", "--shutdown-delay", "60")
        daemon.start(wait=False)
        self.assertEqual(daemon.wait(20), 1)
        daemon.directory.cleanup()

    def test_a_reload_is_not_begun(self) -> None:
        with start("--shutdown-delay", "60") as daemon:
            daemon.process.send_signal(signal.SIGTERM)
            daemon.said("stop: not ready")
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: not daemon.report()["ready"])
            daemon.stop()
            self.assertEqual([line for line in daemon.log if "reload" in line], [])


class LargeDelay(Delay):
    """Five seconds, of which the load uses three."""

    delay, on = "5", 3.0

    def setUp(self) -> None:
        if not SLOW:
            self.skipTest("slow: make check-slow")

    def end(self, daemon: Daemon) -> None:
        self.assertIsNone(daemon.process.poll())
        daemon.wait(20)


class Large(AtOnce):
    """Many, which is what a stop within three seconds is for: make check-slow."""

    sockets, streams, threads = 200, 50, "64"
    most = 3.0

    def setUp(self) -> None:
        if not SLOW:
            self.skipTest("slow: make check-slow")


class LateThreads(unittest.TestCase):
    def check(self, path: str, thread: str) -> None:
        """It stays until the grace is over, and the last second."""
        with start("--asgi", "stickyd_thread_app:app", "--graceful-timeout", "2") as daemon:
            with contextlib.closing(daemon.connect()) as sock:
                sock.sendall(request(ONE, path))
                self.assertEqual(Reader(sock).response().body, b"waits\n")
            daemon.stop()
        (told,) = [line for line in daemon.log if "waits for threads of the app" in line]
        self.assertRegex(told, rf"#warn\].*\[worker \d\].*: {thread} \(\w+\.py:\d+\)")

    def test_the_log_names_the_threads_that_a_worker_waits_for(self) -> None:
        self.check("/", "kernel_0")

    def test_those_of_the_reactor_too(self) -> None:
        self.check("/reactor", "PoolThread-twisted.internet.reactor-0")
