"""``insert(NAME)``: the daemon's own cookie, with apps that know nothing of it."""

import os
import re
import signal
import unittest
from collections import Counter
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from stickyd.routing.signed_keys import make, secret_of, slot_in
from tests.support.browsers import Answer, Browser, Connection
from tests.support.daemon import Daemon, wait_for

KINDS = {
    "web": ("--class", "stickyd_ids_app:root"),
    "wsgi": ("--wsgi", "stickyd_ids_app:wsgi"),
    "asgi": ("--asgi", "stickyd_ids_app:asgi"),
}
SCOPES = ("connection", "request")
BROWSER = ("--affinity", "browser")
SEED = ("--seed", "77")
CLIENTS = 24
LINE = re.compile(r"STICKYD=([\w-]{28}); Path=/; HttpOnly; SameSite=Lax")


def key_of(slot: int, seed: int = 77) -> str:
    return make(slot, os.urandom(12), secret_of(seed))


class WithDaemon(unittest.TestCase):
    def daemon(self, kind: str, scope: str, *options: str, workers: int = 4) -> Daemon:
        chosen = ("--affinity-scope", scope, *KINDS[kind], *SEED)
        return self.enterContext(Daemon(*chosen, *options, workers=workers))

    def connection(self, daemon: Daemon) -> Connection:
        return self.enterContext(Connection(daemon.port))

    def inserted(self, answer: Answer) -> str:
        """The id of the cookie that an answer sets, which names the slot that served."""
        (match,) = filter(None, map(LINE.fullmatch, answer.cookies))
        if answer.told:
            self.assertEqual(slot_in(match[1], secret_of(77)), answer.slot)
        return match[1]

    def assert_nothing_inserted(self, answer: Answer) -> None:
        self.assertEqual([line for line in answer.cookies if "STICKYD" in line], [])


class EveryKind(WithDaemon):
    def test_answers(self) -> None:
        for kind, scope in product(KINDS, SCOPES):
            with self.subTest(kind=kind, scope=scope):
                daemon = self.daemon(kind, scope, *BROWSER, workers=2)
                self.check_answers(self.connection(daemon))
                self.check_removal(daemon, self.connection(daemon))
                report = daemon.report()["workers"]
                self.assertEqual(report["inserted"], 12)
                self.assertEqual(report["lost"], 0)
                daemon.stop()

    def check_answers(self, connection: Connection) -> None:
        for path, status, caching in (
            ("/", 200, "private"),
            ("/refuse", 403, "private"),
            ("/stream", 200, "private"),
            ("/nothing", 204, "private"),
            ("/cached", 200, "max-age=60"),
            ("/expires", 200, None),
        ):
            answer = connection.ask(path)
            self.assertEqual(answer.status, status, path)
            self.assertEqual(answer.headers.get("cache-control"), caching, path)
            self.inserted(answer)
        answer = connection.ask("/own")
        # The app's own lines stay, and one of its own with this name, too.
        self.inserted(answer)
        own = [line for line in answer.cookies if not LINE.fullmatch(line)]
        self.assertEqual(own, ["own=1; Path=/", "STICKYD=x; Path=/y"])
        answer = connection.ask("/", method="HEAD")
        self.inserted(answer)

    def check_removal(self, daemon: Daemon, connection: Connection) -> None:
        answer = connection.ask()
        value = self.inserted(answer)
        self.assertIsNone(answer.told["cookie"])
        for sent, seen in (
            (f"STICKYD={value}", None),
            (f"a=1; STICKYD={value}; b=2", "a=1; b=2"),
            (f"STICKYD={value}; a=1", "a=1"),
            (f"a=1; STICKYD={value}; STICKYD={value}", "a=1"),
        ):
            answer = connection.ask("/cached", f"Cookie: {sent}")
            self.assertEqual(answer.told["cookie"], seen)
            self.assertEqual(answer.headers["cache-control"], "max-age=60")
            self.assert_nothing_inserted(answer)
        answer = connection.ask("/", f"Cookie: STICKYD={value}", "Cookie: a=1")
        self.assertEqual(answer.told["cookie"], "a=1")
        self.assertNotIn("cache-control", answer.headers)
        # What is not valid does not reach the app either, and is replaced.
        for bad in ("x", f"{key_of(1, seed=1)}", f"{key_of(9)}"):
            answer = connection.ask("/", f"Cookie: STICKYD={bad}; a=1")
            self.assertEqual(answer.told["cookie"], "a=1")
            self.inserted(answer)

    def test_websockets(self) -> None:
        for kind, scope in product(("web", "asgi"), SCOPES):
            with self.subTest(kind=kind, scope=scope):
                daemon = self.daemon(kind, scope, *BROWSER, workers=2)
                url = f"ws://127.0.0.1:{daemon.port}/ws"
                with connect(url, additional_headers={"Cookie": "a=1"}) as websocket:
                    told = websocket.recv()
                    self.assertIn('"cookie": "a=1"', told)
                    response = websocket.response
                    assert response is not None
                    lines = response.headers.get_all("Set-Cookie")
                    match = LINE.fullmatch(lines[0])
                    assert match, lines
                    slot = slot_in(match[1], secret_of(77))
                    self.assertIn(f'"slot": {slot}', told)
                    self.assertNotIn("Cache-Control", response.headers)
                    jar = {"Cookie": f"STICKYD={match[1]}"}
                    for _ in range(3):
                        with connect(url, additional_headers=jar) as again:
                            told = again.recv()
                            self.assertIn(f'"slot": {slot}', told)
                            self.assertIn('"cookie": null', told)
                            assert again.response is not None
                            self.assertNotIn("Set-Cookie", again.response.headers)
                daemon.stop()

    def test_a_refused_websocket(self) -> None:
        daemon = self.daemon("asgi", "connection", *BROWSER)
        with self.assertRaises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{daemon.port}/ws-refuse")
        self.assertEqual(refused.exception.response.status_code, 403)
        self.assertRegex(refused.exception.response.headers["Set-Cookie"], LINE)

    def test_attributes_and_tls(self) -> None:
        options = ("--affinity", "insert(__Secure-n),src")
        options += ("--cookie-attributes", "SameSite=None;secure;Max-Age=9; Domain=a.example")
        connection = self.connection(self.daemon("web", "connection", *options))
        attributes = "Path=/; HttpOnly; SameSite=None; Max-Age=9; Domain=a.example; Secure"
        line = connection.ask().cookies[0]
        self.assertRegex(line, rf"\A__Secure-n=[\w-]{{28}}; {attributes}\Z")
        connection = self.connection(self.daemon("asgi", "request", *BROWSER))
        for lines, secure in (
            (("X-Forwarded-Proto: https",), True),
            (("X-Forwarded-Proto: wss",), True),
            (("X-Forwarded-Proto: http",), False),
            (("X-Forwarded-Proto: https", "X-Forwarded-Proto: http"), False),
            ((), False),
        ):
            cookie = connection.ask("/", *lines).cookies[0]
            self.assertEqual(cookie.endswith("; Secure"), secure, lines)
        untrusted = ("--forwarded-allow-ips", "192.0.2.1")
        connection = self.connection(self.daemon("wsgi", "request", *BROWSER, *untrusted))
        cookie = connection.ask("/", "X-Forwarded-Proto: https").cookies[0]
        self.assertFalse(cookie.endswith("; Secure"))

    def test_errors_of_the_daemon_set_nothing(self) -> None:
        daemon = self.daemon("web", "request", *BROWSER, "--limit-request-body", "10")
        data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n"
        for answer in (daemon.exchange(data), daemon.exchange(b"GET / HTTP/9\r\n\r\n")):
            self.assertRegex(answer, rb"\AHTTP/1.1 (413|400)")
            self.assertNotIn(b"Set-Cookie", answer)

    def test_in_connection_scope_it_names_the_slot_that_served(self) -> None:
        daemon = self.daemon("web", "connection", "--affinity", "insert(STICKYD),xff")
        connection = self.connection(daemon)
        first = connection.ask("/", "X-Forwarded-For: 10.10.10.10")
        for address in range(8):
            # Placed with the connection, wherever its address would go.
            answer = connection.ask("/", f"X-Forwarded-For: 10.10.10.{address}")
            self.assertEqual(answer.slot, first.slot)
            self.inserted(answer)

    def test_beside_a_source_that_decides(self) -> None:
        log = Path(self.enterContext(TemporaryDirectory()), "access.log")
        options = ("--access-logfile", str(log), "--access-logformat", "routed")
        chain = ("--affinity", "hdr(x-user),insert(STICKYD),src")
        daemon = self.daemon("web", "request", *chain, *options)
        connection = self.connection(daemon)
        slots = set()
        for number in range(12):
            answer = connection.ask("/", f"X-User: {number}")
            value = self.inserted(answer)
            slots.add(answer.slot)
            # Without the header it stays there.
            again = connection.ask("/", f"Cookie: STICKYD={value}")
            self.assertEqual(again.slot, answer.slot)
        self.assertEqual(slots, {1, 2, 3, 4})
        slot = connection.ask().slot
        wait_for(lambda: len(log.read_text().splitlines()) == 25, what="a line for each request")
        first, second, *_, last = log.read_text().splitlines()
        self.assertRegex(first, r'" \d hdr\(x-user\) \S+ "-"$')
        self.assertRegex(second, r'" \d insert\(STICKYD\) \S+ "hdr\(x-user\): no header x-user"$')
        why = r"hdr\(x-user\): no header x-user; insert\(STICKYD\): no cookie STICKYD"
        self.assertRegex(last, rf'" {slot} src \S+ "{why}"$')
        report = daemon.report()
        self.assertEqual(report["master"]["handed_off"].popitem()[1], {"hdr(x-user)": 1})
        self.assertEqual(
            report["workers"]["placed"], {"hdr(x-user)": 11, "insert(STICKYD)": 12, "src": 1}
        )


class Lives(WithDaemon):
    """24 clients of one address on 4 workers: where they go, and that they stay."""

    def check(self, kind: str, scope: str) -> None:
        daemon = self.daemon(kind, scope, *BROWSER)
        browsers = [Browser(daemon) for _ in range(CLIENTS)]
        homes = [browser.ask("/header").slot for browser in browsers]
        # As even as loads were: a worker may count an answer as over after the client has it.
        self.assertEqual(set(homes), {1, 2, 3, 4}, homes)
        self.assertGreaterEqual(min(Counter(homes).values()), 2, homes)
        moving = homes.count(4)

        def stay(requests: int) -> None:
            for browser, home in zip(browsers, homes, strict=True):
                with Connection(daemon.port) as kept:
                    for number in range(requests):
                        answer = browser.ask("/", over=kept if number % 2 else None)
                        self.assertEqual((answer.slot, answer.cookies), (home, []))

        stay(12)
        before = daemon.pids()
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not before.items() & daemon.pids().items(), what="a reload")
        stay(12)
        before = daemon.pids()
        os.kill(before[2], signal.SIGKILL)
        stay(6)
        wait_for(lambda: daemon.pids().get(2, before[2]) != before[2], what="a replacement")
        stay(6)
        daemon.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: daemon.report()["master"]["upgrades"] == 1, what="the upgrade")
        stay(12)
        self.assertEqual(daemon.report()["workers"]["inserted"], CLIENTS)
        daemon.process.send_signal(signal.SIGTTOU)
        wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3], what="a slot less")
        for at, browser in enumerate(browsers):
            answer = browser.ask()
            if homes[at] == 4:
                self.inserted(answer)
                homes[at] = answer.slot
            self.assertEqual(answer.slot, homes[at])
        self.assertLess(max(homes), 4)
        stay(2)
        inserted = daemon.report()["workers"]["inserted"]
        self.assertEqual(inserted, CLIENTS + moving)

    def test_twisted_web_in_connection_scope(self) -> None:
        self.check("web", "connection")

    def test_asgi_in_request_scope(self) -> None:
        self.check("asgi", "request")

    def test_wsgi_in_request_scope(self) -> None:
        self.check("wsgi", "request")

    def test_while_an_old_worker_drains(self) -> None:
        """Those whom the old worker has given a cookie stay with it."""
        daemon = self.daemon("web", "request", *BROWSER, "--session-drain", "60", workers=2)
        browsers = [Browser(daemon) for _ in range(8)]
        first = [browser.ask().told for browser in browsers]
        before = daemon.pids()
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not before.items() & daemon.pids().items(), what="a reload")
        for browser, told in zip(browsers, first, strict=True):
            again = browser.ask().told
            self.assertEqual((again["slot"], again["pid"]), (told["slot"], told["pid"]))
        new = Browser(daemon)
        told = new.ask().told
        self.assertNotIn(told["pid"], before.values())
        self.assertEqual(new.ask().told["pid"], told["pid"])
