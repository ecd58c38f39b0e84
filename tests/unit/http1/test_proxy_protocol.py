"""PROXY headers: the parser, by example and at any split, and the options."""

import contextlib
import io
import socket
import struct
import unittest
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.cli.options import Options
from stickyd.http1.proxy_protocol import (
    HEADER_MOST,
    V1_MOST,
    V2_REST_MOST,
    VERSIONS,
    ProxyHeader,
    ProxyRefused,
    read_proxy,
)
from stickyd.net.address import canonical
from stickyd.settings import Settings
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)
BOTH = VERSIONS["auto"]
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")

Verdict = ProxyHeader | ProxyRefused | None
End = tuple[str, int]


def v1(peer: End, local: End) -> bytes:
    """A line of version 1."""
    family = "TCP6" if ":" in peer[0] else "TCP4"
    return f"PROXY {family} {peer[0]} {local[0]} {peer[1]} {local[1]}\r\n".encode()


def binary(command: int, family: int, rest: bytes = b"", length: int | None = None) -> bytes:
    """A header of version 2 from its parts."""
    length = len(rest) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, length) + rest


def ends(peer: End, local: End) -> bytes:
    """The addresses of version 2."""
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    hosts = (socket.inet_pton(family, host) for host in (peer[0], local[0]))
    return b"".join(hosts) + struct.pack("!HH", peer[1], local[1])


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def v2(peer: End, local: End, tlvs: bytes = b"") -> bytes:
    """A header of version 2, command PROXY."""
    return binary(0x21, 0x21 if ":" in peer[0] else 0x11, ends(peer, local) + tlvs)


def arriving(data: bytes, at: Iterable[int], versions: frozenset[int] = BOTH) -> Verdict:
    """The first verdict while ``data`` arrives in pieces that end at ``at``."""
    for end in [*at, len(data)]:
        verdict = read_proxy(data[:end], versions)
        if verdict is not None:
            return verdict
    return None


# ---- each rule by example

A4: End = ("192.0.2.7", 56324)
B4: End = ("198.51.100.1", 443)
A6: End = ("2001:db8::7", 4711)
B6: End = ("2001:db8::1", 443)
IN4 = ends(A4, B4)
IN6 = ends(A6, B6)
UNIX = b"/run/peer".ljust(108, b"\0") + b"/run/local".ljust(108, b"\0")
BAD = "refused"
REAL = None, None
"""In the table: accepted, and the real ends of the connection hold."""

# Headers, and the ends they tell or that they are refused. Each is also given all its prefixes.
EXAMPLES: dict[str, tuple[bytes, tuple[End | None, End | None] | str]] = {
    "v1_tcp4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", (A4, B4)),
    "v1_tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", (A6, B6)),
    "v1_tcp4_longest": (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        (("255.255.255.255", 65535), ("255.255.255.255", 65535)),
    ),
    "v1_tcp6_longest": (
        b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n",
        (("ffff:" * 7 + "ffff", 65535), ("ffff:" * 7 + "ffff", 65535)),
    ),
    "v1_tcp6_is_made_canonical": (
        b"PROXY TCP6 2001:0DB8:0:0:0:0:0:0007 2001:DB8::1 4711 443\r\n",
        (A6, B6),
    ),
    "v1_mapped": (
        b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c633:6401 56324 443\r\n",
        (A4, B4),
    ),
    "v1_port_0": (b"PROXY TCP4 192.0.2.7 198.51.100.1 0 443\r\n", (("192.0.2.7", 0), B4)),
    "v1_unknown": (b"PROXY UNKNOWN\r\n", REAL),
    "v1_unknown_with_rest": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", REAL),
    "v1_unknown_with_junk": (b"PROXY UNKNOWN \xff\x00 TCP4\r\n", REAL),
    "v1_unknown_longest": (b"PROXY UNKNOWN " + b"\xff" * 91 + b"\r\n", REAL),
    "v1_unknown_too_long": (b"PROXY UNKNOWN " + b"\xff" * 92 + b"\r\n", BAD),
    "v1_unknown_and_more": (b"PROXY UNKNOWNX\r\n", BAD),
    "v1_unknown_bare_cr": (b"PROXY UNKNOWN a\rb\r\n", BAD),
    "v1_unknown_bare_lf": (b"PROXY UNKNOWN a\nb\r\n", BAD),
    "v1_no_end": (b"PROXY TCP4 " + b"1" * 100, BAD),
    "v1_bare_lf": (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n", BAD),
    "v1_bare_lf_first": (b"PROXY \n", BAD),
    "v1_two_cr": (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\r\n", BAD),
    "v1_lower_case": (b"proxy TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", BAD),
    "v1_lower_case_family": (b"PROXY tcp4 192.0.2.7 198.51.100.1 56324 443\r\n", BAD),
    "v1_two_spaces": (b"PROXY  TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", BAD),
    "v1_two_spaces_later": (b"PROXY TCP4 192.0.2.7  198.51.100.1 56324 443\r\n", BAD),
    "v1_tab": (b"PROXY TCP4\t192.0.2.7 198.51.100.1 56324 443\r\n", BAD),
    "v1_trailing_space": (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n", BAD),
    "v1_no_ports": (b"PROXY TCP4 192.0.2.7 198.51.100.1\r\n", BAD),
    "v1_one_port": (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n", BAD),
    "v1_nothing": (b"PROXY \r\n", BAD),
    "v1_udp": (b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 443\r\n", BAD),
    "v1_port_leading_zero": (b"PROXY TCP4 192.0.2.7 198.51.100.1 056324 443\r\n", BAD),
    "v1_port_00": (b"PROXY TCP4 192.0.2.7 198.51.100.1 00 443\r\n", BAD),
    "v1_port_too_large": (b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", BAD),
    "v1_local_port_too_large": (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n", BAD),
    "v1_port_signed": (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n", BAD),
    "v1_port_hex": (b"PROXY TCP4 192.0.2.7 198.51.100.1 0x1 443\r\n", BAD),
    "v1_v6_as_tcp4": (b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n", BAD),
    "v1_v4_as_tcp6": (b"PROXY TCP6 192.0.2.7 198.51.100.1 56324 443\r\n", BAD),
    "v1_families_mixed": (b"PROXY TCP4 192.0.2.7 2001:db8::1 56324 443\r\n", BAD),
    "v1_address_leading_zero": (b"PROXY TCP4 192.0.02.7 198.51.100.1 56324 443\r\n", BAD),
    "v1_address_short": (b"PROXY TCP4 192.0.2 198.51.100.1 56324 443\r\n", BAD),
    "v1_address_too_large": (b"PROXY TCP4 192.0.2.256 198.51.100.1 56324 443\r\n", BAD),
    "v1_address_with_zone": (b"PROXY TCP6 fe80::1%lo 2001:db8::1 4711 443\r\n", BAD),
    "v1_address_two_gaps": (b"PROXY TCP6 2001::db8::7 2001:db8::1 4711 443\r\n", BAD),
    "v1_address_name": (b"PROXY TCP4 localhost 198.51.100.1 56324 443\r\n", BAD),
    "v1_address_nul": (b"PROXY TCP4 192.0.2.7\0 198.51.100.1 56324 443\r\n", BAD),
    "v2_tcp4": (binary(0x21, 0x11, IN4), (A4, B4)),
    "v2_tcp6": (binary(0x21, 0x21, IN6), (A6, B6)),
    "v2_mapped": (
        binary(0x21, 0x21, ends(("::ffff:192.0.2.7", 56324), ("::ffff:198.51.100.1", 443))),
        (A4, B4),
    ),
    "v2_unix": (binary(0x21, 0x31, UNIX), REAL),
    "v2_unspec": (binary(0x21, 0x00), REAL),
    "v2_unspec_with_rest": (binary(0x21, 0x00, b"whatever"), REAL),
    "v2_unspec_family": (binary(0x21, 0x01, IN4), REAL),
    "v2_unspec_protocol": (binary(0x21, 0x10, IN4), REAL),
    "v2_local": (binary(0x20, 0x00), REAL),
    "v2_local_with_addresses": (binary(0x20, 0x11, IN4), REAL),
    "v2_local_with_rest": (binary(0x20, 0x00, b"\x04\xff"), REAL),
    "v2_local_ignores_the_family": (binary(0x20, 0xFF, b"abc"), REAL),
    "v2_local_too_long": (binary(0x20, 0x00, length=V2_REST_MOST + 1), BAD),
    "v2_tlvs": (
        binary(0x21, 0x11, IN4 + tlv(1, b"h2") + tlv(2, b"a.example") + tlv(4, b"")),
        (A4, B4),
    ),
    "v2_checksum_is_not_verified": (binary(0x21, 0x11, IN4 + tlv(3, b"\1\2\3\4")), (A4, B4)),
    "v2_unix_with_tlv": (binary(0x21, 0x31, UNIX + tlv(4, b"abc")), REAL),
    "v2_longest": (binary(0x21, 0x11, IN4 + tlv(4, bytes(V2_REST_MOST - 15))), (A4, B4)),
    "v2_too_long": (binary(0x21, 0x11, IN4 + tlv(4, bytes(V2_REST_MOST - 14))), BAD),
    "v2_far_too_long": (binary(0x21, 0x11, IN4, length=0xFFFF), BAD),
    "v2_tlv_beyond_header": (binary(0x21, 0x11, IN4 + b"\x04\x00\x02\x00"), BAD),
    "v2_tlv_cut": (binary(0x21, 0x11, IN4 + b"\x04\x00"), BAD),
    "v2_no_addresses": (binary(0x21, 0x11), BAD),
    "v2_tcp4_short": (binary(0x21, 0x11, IN4[:-1]), BAD),
    "v2_tcp6_short": (binary(0x21, 0x21, IN4), BAD),
    "v2_unix_short": (binary(0x21, 0x31, UNIX[:-1]), BAD),
    "v2_udp4": (binary(0x21, 0x12, IN4), BAD),
    "v2_udp6": (binary(0x21, 0x22, IN6), BAD),
    "v2_unix_datagram": (binary(0x21, 0x32, UNIX), BAD),
    "v2_unspec_datagram": (binary(0x21, 0x02), BAD),
    "v2_unknown_family": (binary(0x21, 0x41, IN4), BAD),
    "v2_unknown_protocol": (binary(0x21, 0x13, IN4), BAD),
    "v2_unknown_command": (binary(0x22, 0x11, IN4), BAD),
    "v2_version_1": (binary(0x11, 0x11, IN4), BAD),
    "v2_version_3": (binary(0x31, 0x11, IN4), BAD),
    "v2_signature_wrong": (b"\r\n\r\n\0\r\nQUIT\r" + binary(0x21, 0x11, IN4)[12:], BAD),
    "empty_lines": (b"\r\n\r\nGET / HTTP/1.1\r\n", BAD),
    "request": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    "request_that_begins_alike": (b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    "method_proxy": (b"PROXY / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    "http2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
    "tls": (bytes.fromhex("16030100c8010000c40303"), BAD),
    "nul": (b"\0", BAD),
}


class Examples(unittest.TestCase):
    def test_each(self) -> None:
        for name, (data, expected) in EXAMPLES.items():
            with self.subTest(name):
                verdict = read_proxy(data, BOTH)
                if expected == BAD:
                    self.assertIsInstance(verdict, ProxyRefused)
                else:
                    peer, local = expected
                    self.assertEqual(verdict, ProxyHeader(len(data), peer, local))  # type: ignore[arg-type]
                self.assertEqual(arriving(data, range(len(data))), verdict, "byte by byte")
                self.assertEqual(read_proxy(data + b"GET / HTTP/1.1\r\n", BOTH), verdict)
                self.assertLessEqual(len(data) if expected != BAD else 0, HEADER_MOST)

    def test_every_prefix_of_a_header_asks_for_more(self) -> None:
        for name, (data, expected) in EXAMPLES.items():
            for end in range(len(data) if expected != BAD else 0):
                self.assertIsNone(read_proxy(data[:end], BOTH), (name, end))

    def test_a_version_that_is_not_accepted(self) -> None:
        for data, accepted in ((v1(A4, B4), "v1"), (v2(A4, B4), "v2")):
            other = {"v1": "v2", "v2": "v1"}[accepted]
            self.assertIsInstance(read_proxy(data, VERSIONS[accepted]), ProxyHeader)
            self.assertIsInstance(read_proxy(data, VERSIONS[other]), ProxyRefused)
            self.assertIsInstance(read_proxy(data[:1], VERSIONS[other]), ProxyRefused)

    def test_refused_as_soon_as_it_is_certain(self) -> None:
        for data in (b"G", b"PU", b"PROXY\r", b"\r\n\r\nG", binary(0x22, 0)[:13], b"PROXY \n"):
            self.assertIsInstance(read_proxy(data, BOTH), ProxyRefused, data)
        self.assertIsNone(read_proxy(b"PROXY TCP4".ljust(V1_MOST - 1), BOTH))
        self.assertIsInstance(read_proxy(b"PROXY TCP4".ljust(V1_MOST), BOTH), ProxyRefused)
        self.assertIsInstance(read_proxy(binary(0x21, 0x11, length=11), BOTH), ProxyRefused)


# ---- and in general

V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str)
PORT = st.integers(0, 65535)
PAIRS = st.one_of(st.tuples(st.tuples(host, PORT), st.tuples(host, PORT)) for host in (V4, V6))
TLVS = st.lists(st.builds(tlv, st.integers(0, 255), st.binary(max_size=40)), max_size=4).map(
    b"".join
)
HEADERS = st.one_of(
    st.builds(lambda pair: v1(*pair), PAIRS),
    st.builds(lambda pair, tlvs: v2(*pair, tlvs), PAIRS, TLVS),
    st.builds(binary, st.integers(0x1F, 0x23), st.integers(0, 0x42), st.binary(max_size=300)),
    st.sampled_from([data for data, _ in EXAMPLES.values()]),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A header with a few bytes replaced, added or taken out, and something behind it."""
    data = bytearray(draw(HEADERS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data) + draw(st.binary(max_size=8))


class InGeneral(unittest.TestCase):
    @OFTEN
    @given(PAIRS, TLVS, st.binary(max_size=20))
    def test_what_is_encoded_is_read(self, pair: tuple[End, End], tlvs: bytes, rest: bytes) -> None:
        for data in (v1(*pair), v2(*pair, tlvs)):
            told = [(canonical(host), port) for host, port in pair]
            self.assertEqual(read_proxy(data + rest, BOTH), ProxyHeader(len(data), *told))

    @OFTEN
    @given(st.one_of(st.binary(), damaged()), st.sampled_from(sorted(VERSIONS)))
    def test_arbitrary_bytes_have_a_verdict(self, data: bytes, accepted: str) -> None:
        verdict = read_proxy(data, VERSIONS[accepted])
        self.assertIsInstance(verdict, ProxyHeader | ProxyRefused | None)
        if isinstance(verdict, ProxyHeader):
            self.assertLessEqual(verdict.size, len(data))
            self.assertEqual(verdict.peer is None, verdict.local is None)

    @OFTEN
    @given(st.one_of(st.binary(), damaged()), st.data())
    def test_no_split_matters(self, data: bytes, draw: st.DataObject) -> None:
        cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
        whole = read_proxy(data, BOTH)
        self.assertEqual(arriving(data, cuts), whole)
        self.assertEqual(arriving(data, range(len(data))), whole)


class CommandLine(unittest.TestCase):
    def settings(self, *arguments: str) -> Settings:
        options = Options()
        options.parseOptions(list(arguments))
        return options.settings

    def test_defaults(self) -> None:
        self.assertEqual(self.settings().routing.proxy.protocol, "off")
        self.assertEqual(self.settings().routing.trusted, "127.0.0.1,::1,unix")
        self.assertEqual(self.settings().routing.proxy.allow_from, "127.0.0.1,::1,unix")
        trusted = self.settings("--proxy-protocol", "v1", "--forwarded-allow-ips", "10.0.0.0/8")
        self.assertEqual(trusted.routing.proxy.allow_from, "10.0.0.0/8")
        own = self.settings("--proxy-protocol", "auto", "--proxy-allow-from", "192.0.2.1,::1")
        self.assertEqual(
            (own.routing.proxy.protocol, own.routing.proxy.allow_from), ("auto", "192.0.2.1,::1")
        )
        self.assertEqual(Settings.from_json(own.to_json()), own)

    def test_wrong(self) -> None:
        for arguments in (["--proxy-protocol", "v3"], ["--proxy-allow-from", "proxy.example"]):
            said = io.StringIO()
            with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(said):
                self.settings(*arguments)
            self.assertEqual(ended.exception.code, 2)
            self.assertIn(arguments[0], said.getvalue())
