"""Who the app takes for its client, and whether that client came over TLS."""

import json
import socket
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.routing.client_address import forwarded_proto, true_client
from stickyd.routing.trusted_peers import TrustedPeers
from tests.support.daemon import Daemon, Reader
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(100), deadline=None, derandomize=True)
TRUSTED = "127.0.0.1"
STRANGER = "127.0.0.2"
PROXIES = TrustedPeers.parse(f"{TRUSTED}, 10.0.0.0/8")
PEER = None
"""The app sees the peer itself, with its port."""

XFF = "X-Forwarded-For: 203.0.113.7"
XFF6 = "X-Forwarded-For: [2001:DB8::7]:4711"
FWD = "Forwarded: for=198.51.100.1"

APP = ("--class", "stickyd_keys_app:Sessions")
OPTIONS = (*APP, "--affinity-scope", "request", "--forwarded-allow-ips", f"{TRUSTED},10.0.0.0/8")

CLIENTS: dict[str, tuple[str | None, str, list[str]]] = {
    "no_header": (PEER, TRUSTED, []),
    "xff": ("203.0.113.7", TRUSTED, [XFF]),
    "xff_v6_with_port": ("2001:db8::7", TRUSTED, [XFF6]),
    "xff_forged": ("203.0.113.7", TRUSTED, ["X-Forwarded-For: 192.0.2.66, 203.0.113.7, 10.0.0.1"]),
    "xff_all_trusted": ("10.0.0.2", TRUSTED, ["X-Forwarded-For: 10.0.0.2, 10.0.0.1"]),
    "xff_junk": (PEER, TRUSTED, ["X-Forwarded-For: junk"]),
    "xff_mapped": ("203.0.113.7", TRUSTED, ["X-Forwarded-For: ::ffff:203.0.113.7"]),
    "xff_of_a_stranger": (PEER, STRANGER, [XFF]),
    "forwarded": ("198.51.100.1", TRUSTED, [FWD]),
    "forwarded_v6": ("2001:db8::7", TRUSTED, ['Forwarded: for="[2001:db8::7]:80";proto=https']),
    "forwarded_hidden": (PEER, TRUSTED, ["Forwarded: for=_hidden"]),
    "forwarded_of_a_stranger": (PEER, STRANGER, [FWD]),
    "both": ("203.0.113.7", TRUSTED, [FWD, XFF]),
    "both_but_xff_is_junk": (PEER, TRUSTED, [FWD, "X-Forwarded-For: unknown"]),
}

SCHEMES: dict[str, tuple[bool, str, list[str]]] = {
    "no_header": (False, TRUSTED, []),
    "https": (True, TRUSTED, ["https"]),
    "capitals": (True, TRUSTED, ["HTTPS"]),
    "http": (False, TRUSTED, ["http"]),
    "last_line": (True, TRUSTED, ["http", "https"]),
    "last_line_is_http": (False, TRUSTED, ["https", "http"]),
    "last_line_is_empty": (False, TRUSTED, ["https", ""]),
    "two_values": (False, TRUSTED, ["https, https"]),
    "two_values_in_the_last_line": (False, TRUSTED, ["https", "https,http"]),
    "quoted": (False, TRUSTED, ['"https"']),
    "wss": (True, TRUSTED, ["wss"]),
    "ws": (False, TRUSTED, ["ws"]),
    "wss_then_ws": (False, TRUSTED, ["wss", "ws"]),
    "another": (False, TRUSTED, ["ftps"]),
    "not_ascii": (False, TRUSTED, ["http\u017f"]),
    "of_a_stranger": (False, STRANGER, ["https"]),
    "wss_of_a_stranger": (False, STRANGER, ["wss"]),
}


class App(unittest.TestCase):
    """The real daemon: what twisted.web's `Request` says."""

    def test_client_and_scheme(self) -> None:
        with Daemon(*OPTIONS) as daemon:
            for name, (expected, source, lines) in CLIENTS.items():
                with self.subTest(name), daemon.connect(source) as sock:
                    local = ["IPv4Address", *sock.getsockname()]
                    told = ask(sock, lines)
                    kind = "IPv6Address" if expected and ":" in expected else "IPv4Address"
                    client = [kind, expected, 0] if expected else local
                    self.assertEqual(told["client"], client)
                    self.assertEqual(told["peer"], local)
                    xff = [line.partition(": ")[2] for line in lines if line.startswith("X-")]
                    self.assertEqual(told["xff"], xff[-1] if xff else None)
            for name, (secure, source, values) in SCHEMES.items():
                with self.subTest(name), daemon.connect(source) as sock:
                    told = ask(sock, [f"X-Forwarded-Proto: {value}" for value in values])
                    self.assertIs(told["secure"], secure)

    def test_each_request_of_a_connection_has_its_own_client(self) -> None:
        with Daemon(*OPTIONS) as daemon, daemon.connect() as sock:
            local = ["IPv4Address", *sock.getsockname()]
            for number in range(40):
                host = f"203.0.113.{number}"
                secure = bool(number % 2)
                lines = [f"X-Forwarded-For: {host}"]
                lines += ["X-Forwarded-Proto: https"] if secure else []
                told = ask(sock, lines)
                self.assertEqual(told["client"], ["IPv4Address", host, 0])
                self.assertEqual(told["secure"], secure)
                self.assertEqual(told["peer"], local)
                if not number % 10:
                    self.assertEqual(ask(sock, [])["client"], local)

    def test_forwarded_first_where_the_chain_names_it(self) -> None:
        with (
            Daemon(*APP, "--affinity", "forwarded,src", workers=1) as daemon,
            daemon.connect() as sock,
        ):
            for lines, host in (([XFF, FWD], "198.51.100.1"), ([XFF], "203.0.113.7")):
                self.assertEqual(ask(sock, lines)["client"][1], host)


def ask(sock: socket.socket, lines: list[str]) -> dict:
    text = "\r\n".join(["GET /client HTTP/1.1", "Host: a", *lines, "", ""])
    sock.sendall(text.encode())
    return json.loads(Reader(sock).response().body)


def head_of(lines: list[str]) -> Head:
    text = "\r\n".join(["GET / HTTP/1.1", "Host: a", *lines, "", ""])
    head = read_head(text.encode(), Limits())
    assert isinstance(head, Head), head
    return head


def bare_head(fields: list[tuple[bytes, bytes]]) -> Head:
    """A head that no wire need have brought."""
    return Head(b"GET", b"/", 1, fields, 0, 9, True, frozenset(), False)


class Pure(unittest.TestCase):
    """The same tables without a daemon."""

    def test_client(self) -> None:
        for name, (expected, source, lines) in CLIENTS.items():
            with self.subTest(name):
                client = true_client(head_of(lines), source, PROXIES)
                self.assertEqual(client, (expected, 0) if expected else None)

    def test_secure(self) -> None:
        for name, (expected, source, values) in SCHEMES.items():
            with self.subTest(name):
                head = head_of([f"X-Forwarded-Proto: {value}" for value in values])
                self.assertIs(forwarded_proto(head, source, PROXIES) == "https", expected)

    def test_the_schemes_of_websocket_are_those_of_http(self) -> None:
        for value, scheme in (("ws", "http"), ("WSS", "https"), ("wss,ws", None), ("ftp", None)):
            head = head_of([f"X-Forwarded-Proto: {value}"])
            self.assertEqual(forwarded_proto(head, TRUSTED, PROXIES), scheme)

    def test_forwarded_first(self) -> None:
        for lines, expected in (
            ([XFF, FWD], ("198.51.100.1", 0)),
            ([XFF], ("203.0.113.7", 0)),
            ([XFF, "Forwarded: for=unknown"], None),
            ([], None),
        ):
            self.assertEqual(true_client(head_of(lines), TRUSTED, PROXIES, True), expected)

    def test_more_lines_than_are_remembered(self) -> None:
        trusted = TrustedPeers.parse("*")
        for number in range(5000):
            host = f"203.0.{number >> 8}.{number & 255}"
            head = bare_head([(b"x-forwarded-for", host.encode())])
            for _ in range(2):
                self.assertEqual(true_client(head, TRUSTED, trusted), (host, 0))
        self.assertLessEqual(len(trusted.by_xff), 4096)

    @OFTEN
    @given(st.lists(st.binary(max_size=30), max_size=3), st.booleans())
    def test_any_bytes(self, values: list[bytes], first: bool) -> None:
        names = (b"x-forwarded-for", b"forwarded", b"x-forwarded-proto")
        fields = [(name, value) for name in names for value in values]
        head = bare_head(fields)
        client = true_client(head, TRUSTED, PROXIES, first)
        self.assertEqual(client, true_client(head, TRUSTED, PROXIES, first))
        self.assertIn(forwarded_proto(head, TRUSTED, PROXIES), (None, "http", "https"))
        self.assertIsNone(true_client(head, STRANGER, PROXIES, first))
        self.assertIsNone(forwarded_proto(head, STRANGER, PROXIES))
