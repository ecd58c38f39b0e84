"""WSGI apps in the workers."""

import hashlib
import json
import random
import socket
import unittest

from stickyd.routing.signed_keys import secret_of, slot_in
from stickyd.settings import Settings
from tests.support import shared
from tests.support.daemon import SEED, Daemon, Reader, at_rest, read_all, request, wait_for

APP = ("--wsgi", "stickyd_wsgi_apps:app")
ONE, TWO = "10.10.10.10", "10.10.12.11"
MEBI = 1 << 20


class Answers(shared.Shared):
    options = (*APP, "--worker-header", "--threads", "4")

    def told(self, head: bytes) -> dict[str, object]:
        return json.loads(self.ask(head).body)

    def test_keep_alive_and_the_worker_header(self) -> None:
        for _ in range(3):
            response = self.ask(request(TWO))
            self.assertEqual(response.body, b"From worker 2 for 10.10.12.11 ")
            self.assertEqual(response.headers["x-stickyd-worker"], "2")

    def test_head_and_204(self) -> None:
        for _ in range(2):
            self.assertEqual(self.ask(request(ONE, method="HEAD"), "HEAD").status, 200)
            self.assertEqual(self.ask(request(ONE, "/nothing")).status, 204)
        self.assertEqual(self.ask(request(ONE)).status, 200)

    def test_environment(self) -> None:
        told = self.told(request(ONE, "/a%20b/told?x=%41"))
        self.assertEqual((told["SCRIPT_NAME"], told["PATH_INFO"]), ("", "/a b/told"))
        self.assertEqual(told["QUERY_STRING"], "x=%41")
        self.assertEqual((told["REMOTE_ADDR"], told["wsgi.url_scheme"]), (ONE, "http"))
        self.assertEqual((told["SERVER_NAME"], told["SERVER_PROTOCOL"]), ("test", "HTTP/1.1"))
        self.assertEqual(told["SERVER_PORT"], str(self.daemon.port))
        self.assertIs(told["wsgi.multiprocess"], True)
        self.assertIs(told["wsgi.input_terminated"], True)
        self.assertIs(told["wsgi.multithread"], True)
        secure = request(ONE, "/told")[:-2] + b"X-Forwarded-Proto: https\r\n\r\n"
        self.assertEqual(self.told(secure)["wsgi.url_scheme"], "https")
        told = self.told(b"GET /told HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(told["REMOTE_ADDR"], "127.0.0.1")

    def test_an_empty_path_and_http_1_0(self) -> None:
        """What a proxy, and a health check without Host, may send."""
        for target in (b"http://o.k", b"http://o.k?x=1"):
            answer = self.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            self.assertIn(b"From worker", answer.body)
        answer = self.ask(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
        self.assertTrue(self.reader.at_end())

    def test_bodies(self) -> None:
        body = random.Random(4).randbytes(3 * MEBI)
        digest = hashlib.sha256(body).hexdigest().encode()
        response = self.ask(request(ONE, "/digest", "POST", body))
        self.assertEqual(response.body.split()[-1], digest)
        head = b"POST /%b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        pieces = [body[at : at + 77_777] for at in range(0, len(body), 77_777)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        response = self.ask(head % b"digest" + chunks + b"0\r\n\r\n")
        self.assertEqual(response.body.split()[-1], digest)
        told = self.told(head % b"told" + b"5\r\nhello\r\n0\r\n\r\n")
        self.assertEqual((told["CONTENT_LENGTH"], told["HTTP_TRANSFER_ENCODING"]), ("5", None))

    def test_a_form_is_left_to_the_app(self) -> None:
        form = b"POST /digest HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b"
        response = self.ask(form + b"\r\nContent-Length: 5\r\n\r\nhello")
        digest = hashlib.sha256(b"hello").hexdigest().encode()
        self.assertEqual(response.body.split()[-1], digest)

    def test_100_continue(self) -> None:
        head = b"POST /digest HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        self.assertEqual(self.ask(head + b"Expect: 100-continue\r\n\r\n").status, 100)
        self.sock.sendall(b"body")
        self.assertEqual(self.reader.response().status, 200)

    def test_stream_to_a_client_that_reads_late(self) -> None:
        blocks = 1600
        self.sock.sendall(request(ONE, f"/stream?n={blocks}") + request(ONE, "/closed"))
        # The app stands still because the client does; nothing but time can show it.
        left = int(at_rest(lambda: self._elsewhere("/left")))
        self.assertGreater(left, blocks // 2)
        sha = hashlib.sha256()
        for block in range(blocks, 0, -1):
            sha.update(bytes([block % 251]) * 65536)
        self.assertEqual(hashlib.sha256(self.reader.response().body).digest(), sha.digest())
        self.assertGreater(int(self.reader.response().body), 0)

    def _elsewhere(self, path: str) -> bytes:
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, path))
            return Reader(sock).response().body

    def test_a_client_that_goes_amid_a_stream_ends_it(self) -> None:
        closed = int(self._elsewhere("/closed"))
        with self.daemon.connect() as sock:
            sock.sendall(request(ONE, "/stream?n=100000"))
            sock.recv(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_for(lambda: int(self._elsewhere("/closed")) == closed + 1, what="close()")

    def test_server_sent_events(self) -> None:
        response = self.ask(request(ONE, "/events?n=5"))
        self.assertEqual(response.body.count(b"data: "), 5)
        self.assertEqual(self.ask(request(ONE)).status, 200)

    def test_requests_run_at_the_same_time(self) -> None:
        with self.daemon.connect() as other:
            for sock in (self.sock, other):
                sock.sendall(request(ONE, "/together"))
            met = {self.reader.response().body, Reader(other).response().body}
        self.assertEqual(met, {b"met 0", b"met 1"})

    def test_background_threads_know_their_slot(self) -> None:
        key = self.ask(request(TWO, "/back")).body.decode()
        self.assertEqual(slot_in(key, secret_of(1)), 2)

    def test_errors(self) -> None:
        for path, text in (
            ("/boom", "ValueError: an app's fault"),
            ("/boom-lazily", "fault before the first block"),
            ("/silent", "has not called start_response"),
        ):
            response = self.ask(request(ONE, path))
            self.assertEqual((response.status, response.body), (500, b"Internal Server Error\n"))
            self.expect_error(text)
        self.sock.sendall(request(ONE, "/boom-amid") + request(ONE))
        answer = read_all(self.sock)
        self.assertTrue(answer.endswith(b"\r\n4\r\nhalf\r\n"), answer)
        self.expect_error("fault amid")

    def test_a_status_without_a_reason(self) -> None:
        self.assertEqual(self.ask(request(ONE, "/bare-status")).status, 299)

    def test_lf_only_heads(self) -> None:
        data = (SEED / "msg1").read_bytes() + (SEED / "msg2").read_bytes()
        self.sock.sendall(data)
        self.assertIn(b" for 10.10.10.10 ", self.reader.response().body)
        self.assertIn(b" for 10.10.12.11 ", self.reader.response().body)

    def test_unix_socket(self) -> None:
        sock = self.connect_unix()
        reader = Reader(sock)
        sock.sendall(b"GET /told HTTP/1.1\r\nHost: some.host:81\r\n\r\n")
        told = json.loads(reader.response().body)
        self.assertEqual((told["REMOTE_ADDR"], told["SERVER_PORT"]), ("", "81"))
        sock.sendall(request(ONE, "/told"))
        told = json.loads(reader.response().body)
        self.assertEqual((told["REMOTE_ADDR"], told["SERVER_PORT"]), (ONE, "80"))


class Moves(shared.Shared):
    options = (*APP, "--affinity-scope", "request", "--display-tracebacks")
    workers = 4

    def test_pipelined_requests_reach_their_own_workers(self) -> None:
        table = Settings(workers=4).policy().table
        clients = [f"10.1.{n}.{n * 7 % 256}" for n in range(200)]
        self.sock.sendall(
            b"".join(
                request(client, ["/", "/late?s=0.01", "/digest"][n % 3], "POST", b"x" * (n % 5))
                for n, client in enumerate(clients)
            )
        )
        for client in clients:
            slot = table.slot_of(client.encode())
            self.assertTrue(self.reader.response().body.startswith(b"From worker %d " % slot))

    def test_tracebacks_in_the_page_for_who_asks_for_it(self) -> None:
        response = self.ask(request(ONE, "/boom"))
        self.assertEqual(response.status, 500)
        self.assertIn(b"ValueError: an app's fault", response.body)
        self.expect_error("ValueError: an app's fault")


class Ends(unittest.TestCase):
    def test_a_worker_ends_whose_app_does_not_come_back(self) -> None:
        with Daemon(*APP, "--graceful-timeout", "0.5", workers=1) as daemon:
            with daemon.connect() as sock:
                sock.sendall(request(ONE, "/told"))
                told = json.loads(Reader(sock).response().body)
                self.assertIs(told["wsgi.multiprocess"], False)
                sock.sendall(request(ONE, "/late?s=3600"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 2)
                daemon.stop()

    def test_a_client_that_goes_while_it_waits_for_a_thread_costs_none(self) -> None:
        options = (*APP, "--threads", "1")
        with Daemon(*options, workers=1) as daemon, daemon.connect() as sock:
            sock.sendall(request(ONE, "/late?s=1"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 1)
            with daemon.connect() as other:
                other.sendall(request(ONE, "/digest", "POST", b"never read"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 2)
                other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            reader = Reader(sock)
            self.assertEqual(reader.response().status, 200)
            # In the same thread, so behind the other; which would leave a traceback in the log.
            sock.sendall(request(ONE))
            self.assertEqual(reader.response().body, b"From worker 1 for 10.10.10.10 ")
