"""HTTP as a client of the daemon sees it: framing, persistence, bodies, apps of every temper."""

import contextlib
import hashlib
import random
import socket
import time

from tests.support import shared
from tests.support.daemon import Daemon, Reader, read_all, request, splits, wait_for
from tests.support.extent import slow

APP = ("--class", "stickyd_test_apps:Page")
SCOPES = ("connection", "request")


class Persistence(shared.Shared):
    options = APP

    def test_http_1_1_stays_open(self) -> None:
        for _ in range(3):
            self.assertEqual(self.ask(request("10.0.0.1", "/hello")).status, 200)

    def test_connection_close_anywhere_in_the_list(self) -> None:
        self.sock.sendall(
            b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: foo\r\nConnection: bar , Close\r\n\r\n"
        )
        self.assertEqual(self.reader.response().headers["connection"], "close")
        self.assertTrue(self.reader.at_end())

    def test_the_app_may_close(self) -> None:
        response = self.ask(request("10.0.0.1", "/close"))
        self.assertEqual(response.headers["connection"], "close")
        self.assertTrue(self.reader.at_end())

    def test_http_1_0_closes(self) -> None:
        response = self.ask(b"GET /hello HTTP/1.0\r\n\r\n")
        self.assertEqual(response.headers["connection"], "close")
        self.assertTrue(self.reader.at_end())

    def test_http_1_0_keep_alive_when_asked_for(self) -> None:
        for _ in range(2):
            response = self.ask(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertEqual(response.headers["connection"], "keep-alive")

    def test_http_1_0_answer_without_length_ends_with_the_connection(self) -> None:
        response = self.ask(b"GET /late HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        self.assertEqual(response.headers["connection"], "close")
        self.assertNotIn("transfer-encoding", response.headers)
        self.assertTrue(response.body.endswith(b"late "))

    def test_an_answer_shorter_than_promised_ends_the_connection(self) -> None:
        self.sock.sendall(request("10.0.0.1", "/short") + request("10.0.0.1", "/hello"))
        with self.assertRaises(EOFError):
            self.reader.response()

    def test_bytes_behind_the_last_request_are_not_served(self) -> None:
        close = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        self.sock.sendall(close + request("10.0.0.1", "/hello"))
        self.reader.response()
        self.assertTrue(self.reader.at_end())


class Answers(shared.Shared):
    options = APP

    def test_head_has_no_body(self) -> None:
        for _ in range(2):
            self.sock.sendall(request("10.0.0.1", "/hello", "HEAD"))
            self.assertEqual(self.reader.response("HEAD").status, 200)
        self.assertEqual(self.ask(request("10.0.0.1", "/hello")).status, 200)

    def test_204_has_no_body(self) -> None:
        self.assertEqual(self.ask(request("10.0.0.1", "/nothing")).status, 204)
        self.assertEqual(self.ask(request("10.0.0.1", "/hello")).status, 200)

    def test_late_and_streamed_answers(self) -> None:
        self.assertTrue(self.ask(request("10.0.0.1", "/late?s=0.1")).body.endswith(b"late "))
        body = self.ask(request("10.0.0.1", "/stream?n=32")).body
        self.assertEqual(body, b"".join(bytes([n % 251]) * 65536 for n in range(32, 0, -1)))
        self.assertEqual(self.ask(request("10.0.0.1", "/drip?n=5")).body.count(b"line\n"), 5)

    def test_an_app_that_raises(self) -> None:
        sock = Daemon(*APP)
        with sock as daemon, daemon.connect() as client:
            client.sendall(request("10.0.0.1", "/boom") + request("10.0.0.1", "/hello"))
            reader = Reader(client)
            self.assertEqual(reader.response().status, 500)
            self.assertEqual(reader.response().status, 200)
            wait_for(lambda: any("an app's fault" in line for line in daemon.log))
            # The app's traceback belongs in the log; nothing else may be there.
            daemon.log[:] = [line for line in daemon.log if "Traceback" not in line]

    def test_sessions(self) -> None:
        first = self.ask(request("10.0.0.1", "/session"))
        cookie = first.headers["set-cookie"].partition(";")[0]
        again = b"GET /session HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\nCookie: "
        self.assertTrue(self.ask(again + cookie.encode() + b"\r\n\r\n").body.endswith(b"visit 2"))

    def test_absolute_form_is_served_like_origin_form(self) -> None:
        response = self.ask(b"GET http://other/hello?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(response.status, 200)

    def test_options_star(self) -> None:
        self.assertEqual(self.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)

    def test_large_answer_to_a_client_that_reads_late(self) -> None:
        self.sock.sendall(request("10.0.0.1", "/stream?n=160") + request("10.0.0.1", "/hello"))
        # What a late reader is; the answer is larger than every buffer on the way.
        time.sleep(0.3)
        self.assertEqual(len(self.reader.response().body), 160 * 65536)
        self.assertEqual(self.reader.response().status, 200)


class Bodies(shared.Shared):
    options = APP

    body = bytes(range(256)) * 300
    digest = hashlib.sha256(body).hexdigest().encode()

    def check(self, response) -> None:
        self.assertEqual(response.status, 200)
        self.assertEqual(response.body.split()[-1], self.digest)

    def test_by_length(self) -> None:
        self.check(self.ask(request("10.0.0.1", "/digest", "POST", self.body)))

    def test_chunked(self) -> None:
        parts = [self.body[:1], self.body[1:70000], self.body[70000:]]
        chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(part), part) for part in parts)
        head = b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.check(self.ask(head + chunks + b"0\r\nTrailer: x\r\n\r\n"))
        self.assertEqual(self.ask(request("10.0.0.1", "/hello")).status, 200)

    def test_split_at_random(self) -> None:
        chance = random.Random(5)
        small = self.body[:500]
        digest = hashlib.sha256(small).hexdigest().encode()
        chunked = b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked += b"1f4\r\n" + small + b"\r\n0\r\n\r\n"
        message = request("10.0.0.1", "/digest", "POST", small) + chunked
        for pieces in splits(message, 50, chance):
            for piece in pieces:
                self.sock.sendall(piece)
            for _ in range(2):
                self.assertEqual(self.reader.response().body.split()[-1], digest)

    def test_expect_continue(self) -> None:
        head = request("10.0.0.1", "/digest", "POST", self.body)[: -len(self.body)]
        self.sock.sendall(head[:-2] + b"Expect: 100-continue\r\n\r\n")
        self.assertEqual(self.reader.response().status, 100)
        self.sock.sendall(self.body)
        self.check(self.reader.response())

    def test_expect_continue_when_the_body_is_there_already(self) -> None:
        message = request("10.0.0.1", "/digest", "POST", self.body)
        head, body = message[: -len(self.body)], self.body
        self.sock.sendall(head[:-2] + b"Expect: 100-continue\r\n\r\n" + body)
        response = self.reader.response()
        if response.status == 100:
            response = self.reader.response()
        self.check(response)

    def test_body_that_is_cut_off(self) -> None:
        message = request("10.0.0.1", "/digest", "POST", self.body)
        self.sock.sendall(message[:-1])
        self.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(self.sock), b"")

    def test_broken_chunk_is_400(self) -> None:
        head = b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        response = self.ask(head + b"0x5\r\nhello\r\n0\r\n\r\n")
        self.assertEqual(response.status, 400)
        self.assertTrue(self.reader.at_end())


class Ends(shared.Shared):
    options = APP

    def test_half_closed_client_gets_every_answer(self) -> None:
        self.sock.sendall(request("10.0.0.1", "/late?s=0.2") + request("10.0.0.1", "/hello") * 3)
        self.sock.shutdown(socket.SHUT_WR)
        for _ in range(4):
            self.assertEqual(self.reader.response().status, 200)
        self.assertTrue(self.reader.at_end())

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        paths = ["/late?s=0.1", "/hello", "/drip?n=2", "/hello", "/stream?n=3", "/hello"]
        self.sock.sendall(b"".join(request("10.0.0.1", path) for path in paths))
        bodies = [self.reader.response().body for _ in paths]
        self.assertTrue(bodies[0].endswith(b"late "))
        self.assertEqual([len(b) for b in bodies[4:5]], [3 * 65536])
        self.assertIn(b"for 10.0.0.1", bodies[5])

    def test_more_pipelined_than_is_read_ahead(self) -> None:
        many = 3000
        self.sock.sendall(request("10.0.0.1", "/late?s=0.2"))
        sender = request("10.0.0.1", "/hello") * many
        self.sock.setblocking(False)
        sent = self.sock.send(sender)
        self.sock.setblocking(True)
        self.sock.settimeout(10)
        self.assertTrue(self.reader.response().body.endswith(b"late "))
        whole, rest = divmod(sent, len(request("10.0.0.1", "/hello")))
        if rest:
            self.sock.sendall(sender[sent : sent + len(request("10.0.0.1", "/hello")) - rest])
            whole += 1
        for _ in range(whole):
            self.assertEqual(self.reader.response().status, 200)

    def test_a_body_of_which_more_is_read_ahead_than_is_kept(self) -> None:
        body = b"b" * 100_000
        self.sock.sendall(request("10.0.0.1", "/late?s=0.2"))
        self.sock.sendall(request("10.0.0.1", "/digest", "POST", body))
        self.assertTrue(self.reader.response().body.endswith(b"late "))
        self.assertIn(hashlib.sha256(body).hexdigest().encode(), self.reader.response().body)

    def test_a_big_last_answer_ends_with_the_connection(self) -> None:
        head = request("10.0.0.1", "/big?n=200000")
        self.sock.sendall(head[:-2] + b"Connection: close\r\n\r\n")
        self.assertEqual(len(self.reader.response().body), 200_000)
        self.assertTrue(self.reader.at_end())

    def test_refusal_after_pipelined_requests(self) -> None:
        self.sock.sendall(request("10.0.0.1", "/hello") + b"BAD\r\n\r\n" + request("1.1.1.1"))
        self.assertEqual(self.reader.response().status, 200)
        self.assertEqual(self.reader.response().status, 400)
        self.assertTrue(self.reader.at_end())

    def test_a_vanished_client_costs_nothing(self) -> None:
        many = 20

        def counted(name: str) -> int:
            return int(self.daemon.report()["workers"][name])

        asked, lost = counted("requests"), counted("lost")
        with contextlib.ExitStack() as crowd:
            for _ in range(many):
                sock = crowd.enter_context(self.daemon.connect())
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                sock.sendall(request("10.0.0.1", "/late?s=60"))
            wait_for(lambda: counted("requests") == asked + many, what="all with the app")
            self.assertGreaterEqual(counted("open"), many)
        self.sock.close()
        wait_for(lambda: counted("open") == 0, what="no open connection")
        self.assertEqual(counted("lost"), lost + many)

    def test_head_of_the_next_request_has_its_deadline_too(self) -> None:
        with Daemon("--head-timeout", "1") as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            sock.sendall(request("10.0.0.1") + b"GET / HT")
            self.assertEqual(reader.response().status, 200)
            self.assertEqual(reader.response().status, 408)
            self.assertTrue(reader.at_end())

    def test_a_body_that_stops_is_408(self) -> None:
        with Daemon("--body-timeout", "1") as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            sock.sendall(request("10.0.0.1", "/", "POST", b"body")[:-1])
            self.assertEqual(reader.response().status, 408)
            self.assertTrue(reader.at_end())

    def test_an_answer_that_is_not_taken_ends_with_a_reset(self) -> None:
        with Daemon(*APP, "--send-timeout", "1") as daemon, daemon.connect() as sock:
            sock.sendall(request("10.0.0.1", "/stream?n=400"))
            wait_for(lambda: daemon.report()["workers"]["open"] == 1)
            wait_for(lambda: daemon.report()["workers"]["lost"] == 1, what="the end")
            with self.assertRaises(ConnectionResetError):
                read_all(sock)

    def test_a_body_over_the_limit_is_413_and_the_answer_can_be_read(self) -> None:
        with Daemon("--limit-request-body", "100000") as daemon:
            for head, body in (
                (b"Content-Length: 8000000\r\n\r\n", bytes(8_000_000)),
                (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + bytes(65536) + b"\r\n"),
            ):
                with daemon.connect() as sock:
                    sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)
                    sock.sendall(body)
                    if b"chunked" in head:
                        sock.sendall(body)
                    reader = Reader(sock)
                    self.assertEqual(reader.response().status, 413)
                    self.assertTrue(reader.at_end())

    def test_idle_connections_end(self) -> None:
        with Daemon("--keep-alive", "1") as daemon, daemon.connect() as sock:
            reader = Reader(sock)
            sock.sendall(request("10.0.0.1"))
            reader.response()
            started = time.monotonic()
            self.assertTrue(reader.at_end())
            self.assertGreater(time.monotonic() - started, 0.5)


class InRequestScope(Persistence):
    options = (*APP, "--affinity-scope", "request")


class AnswersInRequestScope(Answers):
    options = (*APP, "--affinity-scope", "request")


class BodiesInRequestScope(Bodies):
    options = (*APP, "--affinity-scope", "request")


class EndsInRequestScope(Ends):
    options = (*APP, "--affinity-scope", "request")

    # They wait until time is up, which is up to one and the same clock.
    test_an_answer_that_is_not_taken_ends_with_a_reset = slow(
        Ends.test_an_answer_that_is_not_taken_ends_with_a_reset
    )
    test_head_of_the_next_request_has_its_deadline_too = slow(
        Ends.test_head_of_the_next_request_has_its_deadline_too
    )
    test_idle_connections_end = slow(Ends.test_idle_connections_end)
