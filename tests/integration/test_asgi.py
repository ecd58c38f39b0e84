"""ASGI apps in the workers: bodies, streams, ends, lifespan, and what the scope tells."""

import asyncio
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from stickyd.errors import CannotLoad
from stickyd.settings import AppSettings, OriginSettings, Settings
from stickyd.worker.apps.asgi import AsgiApp
from stickyd.worker.apps.loader import load_app
from tests.support import shared
from tests.support.daemon import (
    ROOT,
    SEED,
    Daemon,
    Reader,
    at_rest,
    free_port,
    read_all,
    request,
    splits,
    wait_for,
)
from tests.support.extent import slow

APP = ("--asgi", "stickyd_asgi_apps:app")
MEBI = 1 << 20
ONE, TWO = "10.10.10.10", "10.10.12.11"


def head_only(sock: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += sock.recv(1)
    return got


class Answers(shared.Shared):
    options = (*APP, "--worker-header", "--root-path", "/under/")

    def test_keep_alive_and_the_worker_header(self) -> None:
        for _ in range(3):
            response = self.ask(request(TWO))
            self.assertEqual(response.body, b"From worker 2 for 10.10.12.11 ")
            self.assertEqual(response.headers["x-stickyd-worker"], "2")
            self.assertIn("date", response.headers)
            self.assertNotIn("server", response.headers)
            self.assertNotIn("connection", response.headers)

    def test_close(self) -> None:
        response = self.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: a, close\r\n\r\n")
        self.assertEqual(response.headers["connection"], "close")
        self.assertTrue(self.reader.at_end())

    def test_head_and_204(self) -> None:
        for _ in range(2):
            response = self.ask(request(ONE, method="HEAD"), "HEAD")
            self.assertEqual((response.status, response.headers["content-length"]), (200, "30"))
            self.assertEqual(self.ask(request(ONE, "/nothing")).status, 204)
        self.assertEqual(self.ask(request(ONE)).status, 200)

    def test_http_1_0_gets_no_chunks(self) -> None:
        response = self.ask(b"GET /events?n=3 HTTP/1.0\r\n\r\n")
        self.assertNotIn("transfer-encoding", response.headers)
        self.assertEqual(response.headers["connection"], "close")
        self.assertEqual(response.body, b"data: 0\n\ndata: 1\n\ndata: 2\n\n")
        with self.daemon.connect() as sock:
            sock.sendall(b"GET /scope HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
            reader = Reader(sock)
            for _ in range(2):
                response = reader.response()
                self.assertEqual(json.loads(response.body)["http_version"], "1.0")
                self.assertEqual(response.headers["connection"], "keep-alive")

    def test_stream_to_a_client_that_reads_late(self) -> None:
        blocks = 1600
        self.sock.sendall(request(ONE, f"/stream?n={blocks}"))
        self.assertIn(b"chunked", head_only(self.sock))
        # The app stands still because the client does; nothing but time can show it.
        left = int(at_rest(lambda: self._elsewhere("/left")))
        self.assertGreater(left, blocks // 2)
        self.sock.sendall(request(ONE))
        body = Reader(self.sock)
        body._held = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        sha = hashlib.sha256()
        for block in range(blocks, 0, -1):
            sha.update(bytes([block % 251]) * 65536)
        self.assertEqual(hashlib.sha256(body.response().body).digest(), sha.digest())
        self.assertEqual(body.response().status, 200)

    def _elsewhere(self, path: str) -> bytes:
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, path))
            return Reader(sock).response().body

    def test_server_sent_events(self) -> None:
        response = self.ask(request(ONE, "/events?n=5"))
        self.assertEqual(response.body.count(b"data: "), 5)
        self.assertEqual(self.ask(request(ONE)).status, 200)

    def test_a_head_does_not_wait_for_its_body_and_a_client_that_goes_is_noticed(self) -> None:
        before = json.loads(self._elsewhere("/gone"))["http"]
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, "/wait"))
            self.assertIn(b"200 OK", head_only(sock))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        after = [*before, "http.disconnect"]
        wait_for(lambda: json.loads(self._elsewhere("/gone"))["http"] == after)

    def test_context_is_not_handed_to_the_next_request(self) -> None:
        data = b"".join(request(ONE, f"/context?who={n}") for n in range(4))
        self.sock.sendall(data)
        self.assertEqual([self.reader.response().body for _ in range(4)], [b"nobody"] * 4)

    def test_threads_know_their_slot(self) -> None:
        key = self.ask(request(TWO, "/thread")).body.decode()
        self.assertEqual(len(key), 28)

    def test_errors(self) -> None:
        response = self.ask(request(ONE, "/boom"))
        self.assertEqual((response.status, response.body), (500, b"Internal Server Error"))
        self.assertTrue(self.reader.at_end())
        self.expect_error("ValueError: an app's fault")
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, "/boom-amid") + request(ONE))
            answer = read_all(sock)
            self.assertTrue(answer.endswith(b"\r\n4\r\nhalf\r\n"), answer)
        self.expect_error("ValueError: an app's fault amid")
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, "/boom-after") + request(ONE))
            reader = Reader(sock)
            self.assertEqual(reader.response().body, b"whole")
            self.assertEqual(reader.response().status, 200)
        self.expect_error("ValueError: an app's fault after")

    def test_no_answer_is_500(self) -> None:
        self.assertEqual(self.ask(request(ONE, "/silent")).status, 500)

    def test_any_method_and_any_form_of_target(self) -> None:
        told = json.loads(self.ask(request(ONE, "/a%20b//scope?x=%41", "PURGE")).body)
        self.assertEqual(told["method"], "PURGE")
        self.assertEqual(told["path"], "/under/a b//scope")
        self.assertEqual(told["raw_path"], "/under/a%20b//scope")
        self.assertEqual((told["query_string"], told["root_path"]), ("x=%41", "/under"))
        told = json.loads(self.ask(b"GET http://o.k:1/scope HTTP/1.1\r\nHost: x\r\n\r\n").body)
        self.assertEqual([h for h in told["headers"] if h[0] == "host"], [["host", "o.k:1"]])
        # An empty path is that of "/" (RFC 9110, 4.2.3).
        for target in (b"http://o.k", b"http://o.k?x=1"):
            answer = self.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            self.assertIn(b"From worker", answer.body)
        told = json.loads(self.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").body)
        self.assertEqual(told["raw_path"], "/under*")
        self.assertEqual(told["state"], {"started": True})

    def test_lf_only_heads(self) -> None:
        for names in (["msg1"], ["msg2"], ["msg1", "msg2"], ["msg2", "msg1", "msg1"]):
            data = b"".join((SEED / name).read_bytes() for name in names)
            with self.daemon.connect() as sock:
                sock.sendall(data)
                reader = Reader(sock)
                for name in names:
                    client = {"msg1": b"10.10.10.10", "msg2": b"10.10.12.11"}[name]
                    self.assertTrue(reader.response().body.endswith(b" for %b " % client))

    def test_client_and_scheme_from_trusted_peers(self) -> None:
        told = json.loads(self.ask(request(ONE, "/scope")).body)
        self.assertEqual((told["client"], told["scheme"]), ([ONE, 0], "http"))
        told = json.loads(self.ask(b"GET /scope HTTP/1.1\r\nHost: x\r\n\r\n").body)
        self.assertEqual(told["client"], list(self.sock.getsockname()))
        self.assertEqual(told["server"], ["127.0.0.1", self.daemon.port])
        secure = request(ONE, "/scope")[:-2] + b"X-Forwarded-Proto: https\r\n\r\n"
        self.assertEqual(json.loads(self.ask(secure).body)["scheme"], "https")

    def test_unix_socket(self) -> None:
        sock = self.connect_unix()
        sock.sendall(b"GET /scope HTTP/1.1\r\nHost: x\r\n\r\n")
        told = json.loads(Reader(sock).response().body)
        self.assertEqual((told["client"], told["server"]), (None, None))


class Bodies(shared.Shared):
    options = APP
    body = random.Random(3).randbytes(5 * MEBI)
    digest = hashlib.sha256(body).hexdigest().encode()

    def check(self, data: bytes) -> int:
        sender = threading.Thread(target=self.sock.sendall, args=(data,))
        sender.start()
        words = self.reader.response().body.split()
        sender.join()
        self.assertEqual(words[-1], self.digest)
        return int(words[-2])

    def test_by_length_at_the_pace_of_the_app(self) -> None:
        # uvicorn holds 64 KiB before it pauses, and one read of ours comes on top.
        largest = self.check(request(ONE, "/digest?s=0.3", "POST", self.body))
        self.assertLessEqual(largest, 2 * 65536 + 4096)
        self.assertEqual(self.ask(request(ONE)).status, 200)

    def test_chunked(self) -> None:
        head = b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        pieces = [self.body[at : at + 77_777] for at in range(0, len(self.body), 77_777)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        self.check(head + chunks + b"0\r\nTrailer: x\r\n\r\n")
        self.assertEqual(self.ask(request(ONE)).status, 200)

    def test_split_at_random(self) -> None:
        small = self.body[:500]
        digest = hashlib.sha256(small).hexdigest().encode()
        message = request(ONE, "/digest", "POST", small) + request(ONE)
        for pieces in splits(message, 30, random.Random(5)):
            for piece in pieces:
                self.sock.sendall(piece)
            self.assertEqual(self.reader.response().body.split()[-1], digest)
            self.assertEqual(self.reader.response().status, 200)

    def test_echo_while_it_is_read(self) -> None:
        self.sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
        self.assertIn(b"200 OK", head_only(self.sock))
        for part in (b"one", b"two"):
            self.sock.sendall(part)
            got = b""
            while not got.endswith(b"\r\n" + part + b"\r\n"):
                got += self.sock.recv(1)
        reader = Reader(self.sock)
        self.assertEqual(self.sock.recv(5), b"0\r\n\r\n")
        self.sock.sendall(request(ONE))
        self.assertEqual(reader.response().status, 200)

    def test_100_continue_when_the_app_asks_for_the_body(self) -> None:
        head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        self.assertEqual(self.ask(head % b"/digest").status, 100)
        self.sock.sendall(b"body")
        digest = hashlib.sha256(b"body").hexdigest().encode()
        self.assertEqual(self.reader.response().body.split()[-1], digest)
        # An app that does not want the body does not invite it.
        response = self.ask(head % b"/refuse")
        self.assertEqual((response.status, response.headers["connection"]), (403, "close"))
        self.assertTrue(self.reader.at_end())

    def test_an_answer_before_the_body_is_whole_ends_the_connection_in_order(self) -> None:
        message = request(ONE, "/refuse", "POST", self.body)
        self.sock.sendall(message[:2000])
        response = self.reader.response()
        self.assertEqual((response.status, response.headers["connection"]), (403, "close"))
        self.sock.sendall(message[2000:] + request(ONE))
        self.assertTrue(self.reader.at_end())

    def test_a_body_that_is_cut_off(self) -> None:
        lost = self.daemon.report()["workers"]["lost"]
        self.sock.sendall(request(ONE, "/digest", "POST", self.body)[:2000])
        self.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(self.sock), b"")
        wait_for(lambda: self.daemon.report()["workers"]["lost"] == lost + 1)
        self.expect_error("ConnectionError: the client is gone")

    def test_broken_chunk_is_400(self) -> None:
        head = b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(self.ask(head + b"0x5\r\nhello\r\n0\r\n\r\n").status, 400)
        self.assertTrue(self.reader.at_end())
        self.expect_error("ConnectionError: the client is gone")

    def test_an_app_that_reads_late_costs_the_client_no_408(self) -> None:
        with Daemon(*APP, "--body-timeout", "0.4") as daemon, daemon.connect() as sock:
            self.sock, self.reader = sock, Reader(sock)
            self.check(request(ONE, "/digest?s=0.9", "POST", self.body))


class Moves(shared.Shared):
    options = (*APP, "--affinity-scope", "request", "--worker-header", "--display-tracebacks")
    workers = 4

    def test_tracebacks_in_the_page_for_who_asks_for_it(self) -> None:
        response = self.ask(request(ONE, "/boom"))
        self.assertEqual((response.status, response.headers["connection"]), (500, "close"))
        self.assertIn(b"ValueError: an app's fault", response.body)
        self.assertTrue(self.reader.at_end())
        self.expect_error("ValueError: an app's fault")
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, "/boom-amid"))
            answer = read_all(sock)
            self.assertTrue(answer.endswith(b"\r\n4\r\nhalf\r\n"), answer)
        self.expect_error("ValueError: an app's fault amid")

    def test_pipelined_requests_reach_their_own_workers(self) -> None:
        table = Settings(workers=4).policy().table
        clients = [f"10.1.{n}.{n * 7 % 256}" for n in range(200)]
        paths = ["/", "/late?s=0.01", "/digest"]
        self.sock.sendall(
            b"".join(
                request(client, paths[n % 3], "POST", b"x" * (n % 5))
                for n, client in enumerate(clients)
            )
        )
        for client in clients:
            response = self.reader.response()
            slot = table.slot_of(client.encode())
            self.assertTrue(response.body.startswith(b"From worker %d " % slot))
            self.assertEqual(response.headers["x-stickyd-worker"], str(slot))
        self.assertGreater(sum(self.daemon.report()["workers"]["moved"].values()), 100)


class CannotLoadApps(unittest.TestCase):
    """What is wrong with an app is one line."""

    def setUp(self) -> None:
        sys.path.insert(0, str(ROOT / "tests" / "apps"))
        self.addCleanup(sys.path.remove, str(ROOT / "tests" / "apps"))

    def check(self, name: str, says: str, factory: bool = False) -> None:
        origin = OriginSettings(factory=factory)
        app = AppSettings("asgi", f"stickyd_asgi_apps{name}", origin=origin)
        settings = Settings(app=app)
        with self.assertRaises(CannotLoad) as caught:
            app = load_app(None, settings)
            assert isinstance(app, AsgiApp)
            asyncio.run(app.lifespan.startup())
        self.assertEqual(len(str(caught.exception).splitlines()), 1)
        self.assertIn(says, str(caught.exception))

    def test_a_startup_that_fails_in_words(self) -> None:
        self.check(":says_it_fails", "RuntimeError: no database")

    def test_a_startup_that_raises(self) -> None:
        self.check(".fails_at_the_start", "RuntimeError: no database")
        self.check(".fails_at_the_start", "stickyd_asgi_apps.py:")

    def test_factories(self) -> None:
        self.check(":made_badly", "RuntimeError: this factory fails", factory=True)
        self.check(":makes_nothing", "not callable", factory=True)
        self.check(":made", "--factory")

    def test_an_app_of_another_kind(self) -> None:
        for kind, name in (("asgi", "stickyd_wsgi_apps:app"), ("wsgi", "stickyd_asgi_apps:app")):
            with self.assertRaises(CannotLoad) as caught:
                load_app(None, Settings(app=AppSettings(kind, name)))
            self.assertIn("not callable as a", str(caught.exception))

    def test_no_such_app(self) -> None:
        self.check(":none", "none")
        self.check(".none.none", "none")

    def test_an_app_without_lifespan_is_served(self) -> None:
        app = load_app(
            None, Settings(app=AppSettings("asgi", "stickyd_asgi_apps:without_lifespan"))
        )
        assert isinstance(app, AsgiApp)
        asyncio.run(app.lifespan.startup())
        self.assertEqual(app.lifespan.state, {})

    def test_an_app_of_the_old_style(self) -> None:
        app = load_app(None, Settings(app=AppSettings("asgi", "stickyd_asgi_apps:Old")))
        assert isinstance(app, AsgiApp)
        sent = []

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        asyncio.run(app.config.loaded_app({"type": "http"}, None, send))
        self.assertEqual(sent[1]["body"], b"old style")


class WithoutAModule(unittest.TestCase):
    def environment(self, module: str) -> dict[str, str]:
        """Where ``module`` cannot be imported."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        with open(os.path.join(directory.name, f"{module}.py"), "w") as file:
            file.write(f'raise ModuleNotFoundError("No module named {module}")\n')
        path = [directory.name, str(ROOT), str(ROOT / "tests" / "apps")]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}

    def test_without_the_extra_it_says_what_to_install(self) -> None:
        listen = f"tcp:{free_port()}:interface=127.0.0.1"
        ended = subprocess.run(
            [sys.executable, "-m", "stickyd", "run", "--listen", listen, *APP],
            capture_output=True,
            text=True,
            timeout=30,
            env=self.environment("uvicorn"),
        )
        self.assertEqual(ended.returncode, 1, ended)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn("pip install 'stickyd[asgi]'", ended.stderr)
        self.assertNotIn("Traceback", ended.stdout)

    @slow
    def test_without_uvloop_asyncio_has_one_of_its_own(self) -> None:
        for environment, loop in ((None, b"uvloop"), (self.environment("uvloop"), b"asyncio")):
            with Daemon(*APP, workers=1, environment=environment) as daemon:
                with daemon.connect() as sock:
                    sock.sendall(request(ONE, "/loop"))
                    self.assertTrue(Reader(sock).response().body.startswith(loop))
                    body = request(ONE, "/digest", "POST", bytes(MEBI)) + request(ONE)
                    sock.sendall(body)
                    reader = Reader(sock)
                    digest = hashlib.sha256(bytes(MEBI)).hexdigest().encode()
                    self.assertEqual(reader.response().body.split()[-1], digest)
                    self.assertEqual(reader.response().status, 200)


class Lifes(unittest.TestCase):
    def test_an_app_that_does_not_come_back_is_cut_at_the_end_of_the_grace(self) -> None:
        with Daemon(*APP, "--graceful-timeout", "0.5", workers=1) as daemon:
            with daemon.connect() as sock:
                sock.sendall(request(ONE, "/late?s=3600"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
                daemon.stop()
            self.assertTrue(any("the app has ended in order" in line for line in daemon.log))
            self.assertTrue(any("CancelledError" in line for line in daemon.log))
            # Where it was cut belongs in the log.
            daemon.log[:] = [line for line in daemon.log if "Traceback" not in line]

    def test_startup_before_the_first_request_and_shutdown_behind_the_last(self) -> None:
        with Daemon("--asgi", "stickyd_asgi_apps:made", "--factory", workers=1) as daemon:
            with daemon.connect() as sock, daemon.connect() as behind:
                sock.sendall(request(ONE, "/late?s=2"))
                behind.sendall(request(ONE, "/behind"))
                Reader(behind).response()
                wait_for(lambda: daemon.report()["workers"]["requests"] == 2)
                daemon.process.send_signal(signal.SIGTERM)
                response = Reader(sock).response()
                self.assertEqual(response.body, b"From worker 1 late ")
                self.assertEqual(response.headers["connection"], "close")
            daemon.wait()
            said = [line for line in daemon.log if "done" in line or "in order" in line]
            self.assertIn("the work behind the answer is done", said[0])
            self.assertIn("the app has ended in order", said[1])
