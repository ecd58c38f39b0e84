"""The affinity chain: where keys come from, keys that carry their slot, and an app that uses them.

The pure part is tables of named examples; characters stand for bytes.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import unittest
from collections.abc import Callable
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd import keys
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.net.address import canonical
from stickyd.routing.affinity import AffinityError, Asked, Key, find_key, parse_chain
from stickyd.routing.extractors import cookie, header, sockjs_session, url_param
from stickyd.routing.forwarded_header import client_of_forwarded
from stickyd.routing.policy import Policy
from stickyd.routing.rendezvous import SlotTable
from stickyd.routing.signed_keys import LENGTH, make, secret_of, slot_in
from stickyd.routing.trusted_peers import Missing, TrustedPeers, walk
from tests.support.daemon import Daemon, Reader, Response, wait_for

OFTEN = settings(max_examples=80, deadline=None, derandomize=True)
PROXIES = TrustedPeers.parse("10.0.0.0/8, fd00::/8")
PROXY = "10.0.0.9"
CLIENT = "203.0.113.7"
CLIENT6 = "2001:db8::7"
NONE = None
SECRET = secret_of(7)
SLOTS = st.integers(1, 0xFFFF)
RANDOM = st.binary(min_size=12, max_size=12)
# Slot 3, the random bytes 0 to 11, seed 1.
GOLDEN = "AAMAAQIDBAUGBwgJCgs64NZFN4jy"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def head_of(*lines: str, target: str = "/") -> Head:
    """A head with these header lines, as it comes from the wire."""
    text = "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *lines, "", ""])
    head = read_head(text.encode("latin-1"), Limits())
    assert isinstance(head, Head), head
    return head


def found(value: str | Missing) -> str | None:
    return None if isinstance(value, Missing) else value


FORWARDED: dict[str, tuple[str | None, list[str]]] = {
    "token": (CLIENT, ["for=203.0.113.7"]),
    "quoted": (CLIENT, ['for="203.0.113.7"']),
    "quoted_port": (CLIENT, ['for="203.0.113.7:4711"']),
    "hidden_port": (CLIENT, ['for="203.0.113.7:_port"']),
    "v6": (CLIENT6, ['for="[2001:db8::7]"']),
    "v6_port": (CLIENT6, ['for="[2001:DB8:0::7]:4711"']),
    "mapped": (CLIENT, ['for="[::ffff:203.0.113.7]"']),
    "name_in_capitals": (CLIENT, ["FOR=203.0.113.7"]),
    "parameters": (CLIENT, ["by=_a;for=203.0.113.7;proto=https;host=example.org"]),
    "unknown_parameter": (CLIENT, ["for=203.0.113.7;x=y"]),
    "empty_pairs": (CLIENT, [";for=203.0.113.7;;by=_a;"]),
    "quoted_host": (CLIENT, ['for=203.0.113.7;host="example.org:80"']),
    "comma_in_quotes": (CLIENT, ['for=203.0.113.7;x="a, for=192.0.2.66"']),
    "semicolon_in_quotes": (CLIENT, ['for=203.0.113.7;x=";for=192.0.2.66;y="']),
    "escaped_quote": (CLIENT, ['for=203.0.113.7;x="a\\", for=192.0.2.66"']),
    "escaped_backslash": (CLIENT, ['for=203.0.113.7;x="a\\\\"']),
    "escaped_address": (CLIENT, ['for="203.0.113\\.7"']),
    "two_elements": (CLIENT, ["for=203.0.113.7, for=10.0.0.1"]),
    "no_blank": (CLIENT, ["for=203.0.113.7,for=10.0.0.1"]),
    "tabs": (CLIENT, ["for=203.0.113.7\t ,\t for=10.0.0.1"]),
    "forged": (CLIENT, ["for=192.0.2.66, for=203.0.113.7, for=10.0.0.1"]),
    "forged_proxy": (CLIENT, ["for=10.0.0.66, for=203.0.113.7"]),
    "all_trusted": ("10.0.0.2", ['for=10.0.0.2, for="[fd00::1]:443"']),
    "two_lines": (CLIENT, ["for=203.0.113.7", "for=10.0.0.1"]),
    "forged_line": (CLIENT, ["for=192.0.2.66", "for=203.0.113.7"]),
    "empty_members": (CLIENT, [", for=203.0.113.7, ,for=10.0.0.1,"]),
    "empty_line": (CLIENT, ["for=203.0.113.7", ""]),
    "junk_beyond_the_client": (CLIENT, ["junk, for=203.0.113.7"]),
    "open_quote_beyond_the_client": (CLIENT, ['for="x, for=203.0.113.7']),
    "quote_that_would_hide_the_client": (
        CLIENT,
        ['for=192.0.2.66;x=", for=203.0.113.7;host=";for=192.0.2.66;x="'],
    ),
    "quote_over_two_lines": (CLIENT, ['for=192.0.2.66;x="', 'for=203.0.113.7;host="a"']),
    "unknown": (NONE, ["for=unknown"]),
    "unknown_in_capitals": (NONE, ["for=UNKNOWN"]),
    "unknown_behind_the_proxy": (NONE, ["for=203.0.113.7, for=unknown, for=10.0.0.1"]),
    "hidden": (NONE, ["for=_hidden"]),
    "hidden_quoted_with_port": (NONE, ['for="_hidden:4711"']),
    "hidden_between": (NONE, ["for=203.0.113.7, for=_gazonk"]),
    "hidden_beyond_the_client": (CLIENT, ["for=_gazonk, for=203.0.113.7"]),
    "no_for": (NONE, ["for=203.0.113.7, proto=https"]),
    "only_semicolons": (NONE, ["for=203.0.113.7, ;;"]),
    "empty": (NONE, [""]),
    "commas": (NONE, [", ,"]),
    "no_line": (NONE, []),
    "bare_address": (NONE, ["203.0.113.7"]),
    "v4_port_without_quotes": (NONE, ["for=203.0.113.7:4711"]),
    "v6_without_quotes": (NONE, ["for=[2001:db8::7]"]),
    "v6_without_brackets": (NONE, ['for="2001:db8::7"']),
    "v4_in_brackets": (NONE, ['for="[203.0.113.7]"']),
    "no_value": (NONE, ["for="]),
    "empty_quotes": (NONE, ['for=""']),
    "blank_at_the_equals_sign": (NONE, ["for =203.0.113.7"]),
    "blank_behind_the_equals_sign": (NONE, ["for= 203.0.113.7"]),
    "blank_at_the_semicolon": (NONE, ["for=203.0.113.7; by=_a"]),
    "for_twice": (NONE, ["for=203.0.113.7;for=192.0.2.66"]),
    "by_twice": (NONE, ["for=203.0.113.7;by=_a;BY=_b"]),
    "quote_not_closed": (NONE, ['for="203.0.113.7']),
    "quote_not_opened": (NONE, ['for=203.0.113.7"']),
    "quote_in_a_quote": (NONE, ['for="203.0.113.7";x="a"b"']),
    "escaped_closing_quote": (NONE, ['for="203.0.113.7\\"']),
    "name": (NONE, ["for=client.example"]),
    "number_too_large": (NONE, ["for=203.0.113.256"]),
    "port_of_six_digits": (NONE, ['for="203.0.113.7:123456"']),
    "control": (NONE, ['for="203.0.113.7\\\xff"']),
}

HEADERS: dict[str, tuple[str | None, list[str]]] = {
    "one": ("alice", ["X-User: alice"]),
    "any_case": ("alice", ["x-uSER:   alice  "]),
    "blanks_within": ("a b, c", ["X-User: a b, c"]),
    "utf_8": ("gr\u00fc\u00dfe", ["X-User: " + "gr\u00fc\u00dfe".encode().decode("latin-1")]),
    "no_utf_8": ("\udcff", ["X-User: \xff"]),
    "none": (NONE, ["X-Users: alice"]),
    "empty": (NONE, ["X-User: "]),
    "two": (NONE, ["X-User: alice", "X-User: bob"]),
    "two_equal": (NONE, ["X-User: alice", "X-User: alice"]),
    "one_and_an_empty_one": (NONE, ["X-User: alice", "X-User:"]),
    "underscore": (NONE, ["X_User: alice"]),
}

COOKIES: dict[str, tuple[str | None, list[str]]] = {
    "one": ("1", ["Cookie: sid=1"]),
    "among_others": ("1", ["Cookie: a=b; sid=1; c=d"]),
    "no_blank": ("1", ["Cookie: a=b;sid=1;c=d"]),
    "first_of_two": ("1", ["Cookie: sid=1; sid=2"]),
    "two_lines": ("1", ["Cookie: a=b", "Cookie: sid=1"]),
    "first_of_two_lines": ("1", ["Cookie: sid=1", "Cookie: sid=2"]),
    "quotes_stay": ('"1"', ['Cookie: sid="1"']),
    "equals_sign_in_the_value": ("a=b==", ["Cookie: sid=a=b=="]),
    "percent_stays": ("%41+", ["Cookie: sid=%41+"]),
    "not_the_end_of_a_name": ("1", ["Cookie: xsid=2; sid=1"]),
    "not_the_beginning_of_a_name": ("1", ["Cookie: sidx=2; sid=1"]),
    "not_a_value": ("1", ["Cookie: a=sid=2; sid=1"]),
    "capitals_are_another": (NONE, ["Cookie: SID=1"]),
    "empty": (NONE, ["Cookie: sid="]),
    "first_is_empty": (NONE, ["Cookie: sid=; sid=1"]),
    "without_equals_sign": (NONE, ["Cookie: sid"]),
    "none": (NONE, []),
    "empty_line": (NONE, ["Cookie: ;;; "]),
}

PARAMS: dict[str, tuple[str | None, str]] = {
    "one": ("1", "/?sid=1"),
    "among_others": ("1", "/a/b?EIO=4&transport=polling&sid=1&t=x"),
    "first_of_two": ("1", "/?sid=1&sid=2"),
    "absolute": ("1", "http://example.org/a?sid=1"),
    "absolute_without_path": ("1", "http://example.org?sid=1"),
    "percent": ("a b", "/?sid=a%20b"),
    "plus": ("a b", "/?sid=a+b"),
    "percent_once": ("%41", "/?sid=%2541"),
    "plus_encoded": ("a+b", "/?sid=a%2Bb"),
    "ampersand_encoded": ("a&sid=2", "/?sid=a%26sid=2"),
    "name_encoded": ("1", "/?s%69d=1"),
    "malformed_percent_stays": ("%4x%", "/?sid=%4x%"),
    "utf_8": ("\u00fc", "/?sid=%C3%BC"),
    "no_utf_8": ("\udcff", "/?sid=%FF"),
    "equals_sign_in_the_value": ("a=b", "/?sid=a=b"),
    "question_mark_in_the_value": ("a?b", "/?sid=a?b"),
    "semicolon_divides_nothing": ("1;x=2", "/?sid=1;x=2"),
    "empty": (NONE, "/?sid="),
    "without_equals_sign": (NONE, "/?sid"),
    "first_is_empty": (NONE, "/?sid=&sid=1"),
    "none": (NONE, "/?xsid=1&sidx=2"),
    "no_query": (NONE, "/sid=1"),
    "path_only": (NONE, "/"),
    "in_a_value_only": (NONE, "/?a=?sid=1"),
}

SOCKJS: dict[str, tuple[str | None, str]] = {
    "xhr": ("s3ss10n", "/echo/000/s3ss10n/xhr"),
    "xhr_streaming": ("s3ss10n", "/echo/999/s3ss10n/xhr_streaming"),
    "xhr_send": ("s3ss10n", "/echo/123/s3ss10n/xhr_send"),
    "eventsource": ("s3ss10n", "/echo/123/s3ss10n/eventsource"),
    "htmlfile": ("s3ss10n", "/echo/123/s3ss10n/htmlfile?c=callback"),
    "jsonp": ("s3ss10n", "/echo/123/s3ss10n/jsonp?c=callback"),
    "jsonp_send": ("s3ss10n", "/echo/123/s3ss10n/jsonp_send"),
    "websocket": ("s3ss10n", "/echo/123/s3ss10n/websocket"),
    "long_prefix": ("s3ss10n", "/a/b/c/123/s3ss10n/xhr"),
    "no_prefix": ("s3ss10n", "/123/s3ss10n/xhr"),
    "absolute": ("s3ss10n", "http://example.org/echo/123/s3ss10n/xhr?t=1"),
    "info": (NONE, "/echo/info"),
    "raw_websocket": (NONE, "/echo/websocket"),
    "iframe": (NONE, "/echo/iframe-1.html"),
    "two_digits": (NONE, "/echo/12/s3ss10n/xhr"),
    "four_digits": (NONE, "/echo/1234/s3ss10n/xhr"),
    "no_digits": (NONE, "/echo/abc/s3ss10n/xhr"),
    "dot": (NONE, "/echo/123/s.3/xhr"),
    "no_session": (NONE, "/echo/123//xhr"),
    "another_transport": (NONE, "/echo/123/s3ss10n/xhr_poll"),
    "more_behind": (NONE, "/echo/123/s3ss10n/xhr/x"),
    "in_the_query": (NONE, "/?/echo/123/s3ss10n/xhr"),
    "root": (NONE, "/"),
}

ERRORS: dict[str, tuple[str, str]] = {
    "unknown": ("xff,moon", "unknown source 'moon'"),
    "unknown_with_name": ("moon(a)", "unknown source 'moon(a)'"),
    "capitals": ("XFF", "unknown source 'XFF'"),
    "empty": ("", "empty source"),
    "stray_comma": ("xff,", "empty source"),
    "no_name": ("cookie", "cookie needs a name: cookie(NAME)"),
    "empty_name": ("cookie()", "empty name in 'cookie()'"),
    "blank_name": ("hdr( )", "empty name in 'hdr( )'"),
    "not_closed": ("cookie(sid", "parenthesis in 'cookie(sid'"),
    "not_opened": ("cookie sid)", "parenthesis in 'cookie sid)'"),
    "closed_twice": ("cookie(sid))", "parenthesis in 'cookie(sid))'"),
    "text_behind": ("cookie(sid)x", "parenthesis in 'cookie(sid)x'"),
    "name_where_none_is": ("xff(a)", "xff takes no name"),
    "no_header_name": ("hdr(a b)", "is no name of a header or cookie"),
    "no_cookie_name": ("cookie(a;b)", "is no name of a header or cookie"),
    "cookie_name_not_ascii": ("cookie(\u00fc)", "is no name of a header or cookie"),
    "control_in_a_parameter": ("url_param(a\nb)", "is no name of a URL parameter"),
    "header_with_underscore": ("hdr(X_User)", "underscore"),
}


class Sources(unittest.TestCase):
    """Each source by a table of examples; what yields nothing says why in one line."""

    def check(self, read: Callable[[], str | Missing], expected: str | None, about: object) -> None:
        value = read()
        self.assertEqual(found(value), expected, about)
        if isinstance(value, Missing):
            self.assertRegex(value.why, r"\A[^\n]+\Z")

    def test_forwarded(self) -> None:
        for name, (expected, lines) in FORWARDED.items():
            with self.subTest(name):
                values = [line.encode("latin-1") for line in lines]
                self.check(lambda v=values: client_of_forwarded(v, PROXIES), expected, lines)
                head = head_of(*(f"Forwarded: {line}" for line in lines))
                for _ in range(2):  # The second time from memory.
                    key = find_key(parse_chain("forwarded"), Asked(head, PROXY, PROXIES))
                    self.assertEqual(key, Key("forwarded", expected) if expected else None)
                key = find_key(parse_chain("forwarded,src"), Asked(head, "192.0.2.1", PROXIES))
                self.assertEqual(key, Key("src", "192.0.2.1"))

    def test_hdr(self) -> None:
        for name, (expected, lines) in HEADERS.items():
            with self.subTest(name):
                self.check(lambda at=lines: header(head_of(*at), "X-User"), expected, lines)

    def test_cookie(self) -> None:
        for name, (expected, lines) in COOKIES.items():
            with self.subTest(name):
                self.check(lambda at=lines: cookie(head_of(*at), "sid"), expected, lines)

    def test_url_param(self) -> None:
        for name, (expected, target) in PARAMS.items():
            with self.subTest(name):
                self.check(lambda t=target: url_param(head_of(target=t), "sid"), expected, target)

    def test_sockjs(self) -> None:
        for name, (expected, target) in SOCKJS.items():
            with self.subTest(name):
                self.check(lambda t=target: sockjs_session(head_of(target=t)), expected, target)

    @OFTEN
    @given(st.lists(st.binary(max_size=60), max_size=4))
    def test_any_bytes_in_forwarded(self, lines: list[bytes]) -> None:
        client = found(client_of_forwarded(lines, PROXIES))
        if client is not None:
            self.assertEqual(canonical(client), client)

    @OFTEN
    @given(
        st.text('for=";,\\ by_[]:.1', max_size=60).map(str.encode)
        | st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")),
        st.sampled_from(
            [
                (CLIENT, b"for=203.0.113.7"),
                (CLIENT, b'for=203.0.113.7;host="a:80"'),
                (CLIENT, b'by=_a;for="203.0.113.7:80";proto=https'),
                (CLIENT6, b'for="[2001:db8::7]:80"'),
                (CLIENT, b'for=203.0.113.7;host=";for=192.0.2.66;x="'),
            ]
        ),
        st.booleans(),
    )
    def test_nothing_a_client_sends_hides_what_its_proxy_adds(
        self, sent: bytes, added: tuple[str, bytes], same_line: bool
    ) -> None:
        client, element = added
        lines = [sent + b", " + element] if same_line else [sent, element]
        self.assertEqual(client_of_forwarded(lines, PROXIES), client)

    @OFTEN
    @given(st.data())
    def test_forwarded_walks_as_xff_does(self, draw: st.DataObject) -> None:
        some = st.sampled_from(["10.0.0.1", "fd00::1", CLIENT, CLIENT6, "unknown", "_hidden"])
        hops = draw.draw(st.lists(some, min_size=1, max_size=6))
        elements = []
        for hop in hops:
            node = f'"[{hop}]:80"' if ":" in hop else draw.draw(st.sampled_from([hop, f'"{hop}"']))
            pairs = draw.draw(st.permutations([f"for={node}", 'x="a,\\";b"', "proto=http"]))
            elements.append(";".join(pairs))
        cut = draw.draw(st.integers(0, len(hops)))
        lines = [", ".join(part).encode() for part in (elements[:cut], elements[cut:])]
        expected = found(walk(reversed(hops), PROXIES))
        self.assertEqual(found(client_of_forwarded(lines, PROXIES)), expected)

    @OFTEN
    @given(st.binary(max_size=80), st.binary(max_size=80))
    def test_any_bytes_in_a_request(self, target: bytes, value: bytes) -> None:
        fields = [(name, value) for name in (b"x-user", b"cookie", b"forwarded")]
        head = Head(b"GET", b"/" + target, 1, fields, 0, 9, True, frozenset(), False)
        table = SlotTable(7, range(1, 5))
        chain = parse_chain("hdr(X-User),cookie(a),url_param(\u00fc),forwarded,socketio,sockjs")
        for source in chain:
            key = source.look(Asked(head, PROXY, PROXIES, table))
            if isinstance(key, Key):
                key.text.encode("utf-8", "surrogateescape")


class Chain(unittest.TestCase):
    """The first source that yields a key wins."""

    def test_errors_are_one_clear_line(self) -> None:
        for name, (spec, said) in ERRORS.items():
            with self.subTest(name), self.assertRaises(AffinityError) as caught:
                parse_chain(spec)
            self.assertIn(said, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))

    @OFTEN
    @given(st.text("xffsrc()hdcookie,_ \n\xfc\u2028", max_size=30))
    def test_any_spec_is_a_chain_or_an_affinity_error(self, spec: str) -> None:
        try:
            self.assertTrue(parse_chain(spec))
        except AffinityError as error:
            self.assertNotIn("\n", str(error))

    def test_presets(self) -> None:
        for spec, expected in (
            ("socketio", "socketio xff src"),
            ("sockjs", "sockjs xff src"),
            ("socketio,sockjs", "socketio sockjs xff src"),
            ("socketio,cookie(sid),src", "socketio cookie(sid) src"),
            ("xff,socketio", "xff socketio src"),
            ("hdr(X-User), sockjs ", "hdr(X-User) sockjs xff src"),
            ("forwarded,src", "forwarded src"),
        ):
            self.assertEqual(" ".join(s.text for s in parse_chain(spec)), expected)

    def test_fallback(self) -> None:
        chain = parse_chain("url_param(sid),cookie(sid),hdr(X-User),xff,src")
        lines = ["X-Forwarded-For: 203.0.113.7", "X-User: alice", "Cookie: sid=c"]
        for more, expected in (
            (lines, Key("cookie(sid)", "c")),
            (lines[:2], Key("hdr(X-User)", "alice")),
            (lines[:1], Key("xff", CLIENT)),
            ([], Key("src", PROXY)),
        ):
            asked = Asked(head_of(*more), PROXY, PROXIES)
            self.assertEqual(find_key(chain, asked), expected)
        asked = Asked(head_of(*lines, target="/?sid=u"), PROXY, PROXIES)
        self.assertEqual(find_key(chain, asked), Key("url_param(sid)", "u"))
        self.assertIsNone(find_key(chain, Asked(head_of(), None, PROXIES)))


class Declared(unittest.TestCase):
    """Keys that carry their slot."""

    def test_pinned(self) -> None:
        """Numbers that hold on every machine, written down for other programs."""
        self.assertEqual(make(3, bytes(range(12)), secret_of(1)), GOLDEN)

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, 2**128 - 1))
    def test_round_trip(self, slot: int, chance: bytes, seed: int) -> None:
        text = make(slot, chance, secret_of(seed))
        self.assertRegex(text, r"\A[A-Za-z0-9_-]{28}\Z")
        self.assertEqual(slot_in(text, secret_of(seed)), slot)
        self.assertIsNone(slot_in(text, secret_of(seed ^ 1)))

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
    def test_another_character(self, slot: int, chance: bytes, at: int, other: str) -> None:
        text = make(slot, chance, SECRET)
        changed = text[:at] + other + text[at + 1 :]
        self.assertEqual(slot_in(changed, SECRET), slot if changed == text else None)

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, 167))
    def test_another_bit(self, slot: int, chance: bytes, bit: int) -> None:
        text = make(slot, chance, SECRET)
        changed = _flip(text, bit)
        self.assertNotEqual(changed, text)
        self.assertIsNone(slot_in(changed, SECRET))

    @OFTEN
    @given(SLOTS, RANDOM, st.integers(0, LENGTH), st.text(min_size=1, max_size=3))
    def test_more_or_less(self, slot: int, chance: bytes, at: int, more: str) -> None:
        text = make(slot, chance, SECRET)
        self.assertIsNone(slot_in(text[:at] + more + text[at:], SECRET))
        if at < LENGTH:
            self.assertIsNone(slot_in(text[:at], SECRET))
            self.assertIsNone(slot_in(text[:at] + more[0] + text[at + 1 :] + "=", SECRET))

    @OFTEN
    @given(st.text(max_size=40) | st.text(ALPHABET, min_size=28, max_size=28))
    def test_any_text_is_none(self, text: str) -> None:
        self.assertIsNone(slot_in(text, SECRET))

    def test_what_cannot_be_made(self) -> None:
        for slot, chance in ((0, bytes(12)), (65536, bytes(12)), (-1, bytes(12)), (1, bytes(11))):
            with self.assertRaises(ValueError):
                make(slot, chance, SECRET)

    def test_in_every_source_of_values(self) -> None:
        sid = make(3, bytes(12), SECRET)
        for spec, head in (
            ("url_param(sid)", head_of(target=f"/?sid={sid}")),
            ("cookie(sid)", head_of(f"Cookie: sid={sid}")),
            ("hdr(X-Sid)", head_of(f"X-Sid: {sid}")),
            ("socketio", head_of(target=f"/socket.io/?EIO=4&sid={sid}")),
            ("sockjs", head_of(target=f"/echo/123/{sid}/xhr")),
        ):
            for hashed in ("rendezvous", "sticky-session"):
                policy = Policy.build(spec, "", hashed, 7, range(1, 5))
                placement = policy.place(head, PROXY)
                self.assertEqual(placement.slot, 3, spec)
                self.assertEqual(placement.key, Key(spec, sid, 3))
                self.assertEqual(placement.reason, spec)

    def test_where_the_slot_or_the_seed_is_another_the_text_is_hashed(self) -> None:
        head = head_of(target=f"/?sid={make(9, bytes(12), SECRET)}")
        for seed, slots in ((7, range(1, 5)), (8, range(1, 17))):
            policy = Policy.build("url_param(sid),src", "", "rendezvous", seed, slots)
            placement = policy.place(head, PROXY)
            assert placement.key is not None
            self.assertEqual(placement.key.source, "url_param(sid)")
            self.assertIsNone(placement.key.slot)
            self.assertEqual(placement.slot, policy.table.slot_of(placement.key.text.encode()))

    def test_socketio_goes_on_to_the_next_source_instead(self) -> None:
        for sid in ("", "abc", make(9, bytes(12), SECRET), make(1, bytes(12), secret_of(8))):
            policy = Policy.build("socketio", "", "rendezvous", 7, range(1, 5))
            placement = policy.place(head_of(target=f"/?sid={sid}"), PROXY)
            self.assertEqual(placement.key, Key("src", PROXY))

    def test_not_from_an_address(self) -> None:
        """A key in a source of addresses is no key."""
        sid = make(3, bytes(12), SECRET)
        policy = Policy.build("xff,forwarded,src", "*", "rendezvous", 7, range(1, 5))
        placement = policy.place(head_of(f"X-Forwarded-For: {sid}", f"Forwarded: for={sid}"), PROXY)
        self.assertEqual(placement.key, Key("src", PROXY))


def _flip(text: str, bit: int) -> str:
    at, within = divmod(bit, 6)
    return text[:at] + ALPHABET[ALPHABET.index(text[at]) ^ (1 << within)] + text[at + 1 :]


class ForApps(unittest.TestCase):
    """`stickyd.keys`."""

    def test_outside_a_worker(self) -> None:
        with mock.patch.object(keys, "_bound", None):
            self.assertEqual(keys.slot(), 0)
            made = {keys.new_key() for _ in range(1000)}
        self.assertEqual(len(made), 1000)
        for text in made:
            self.assertRegex(text, r"\A[A-Za-z0-9_-]{28}\Z")
            self.assertIsNone(slot_in(text, secret_of(1)))

    def test_in_a_worker_from_many_threads(self) -> None:
        made: list[str] = []
        with mock.patch.object(keys, "_bound", None):
            keys.bind(5, 7)
            self.assertEqual(keys.slot(), 5)

            def make_some() -> None:
                made.extend(keys.new_key() for _ in range(200))

            threads = [threading.Thread(target=make_some) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(len(set(made)), 1600)
        self.assertEqual({slot_in(text, SECRET) for text in made}, {5})

    def test_nothing_of_it_imports_a_reactor(self) -> None:
        code = (
            "import sys, stickyd.keys, stickyd.routing.policy, stickyd.routing.client_address\n"
            "sys.exit('twisted.internet.reactor' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


CLIENTS = 200
APP = ("--class", "stickyd_keys_app:Sessions", "--affinity-scope", "request")


class Sessions(unittest.TestCase):
    """An app with sessions in memory, its clients behind one kept-alive connection."""

    def ask(self, connection: "Behind", path: str, *lines: str) -> tuple[Response, dict]:
        response = connection.ask(path, *lines)
        return response, json.loads(response.body)

    def test_url_param(self) -> None:
        chance = random.Random(5)
        with Daemon(*APP, "--affinity", "url_param(sid),xff,src", workers=4) as daemon:
            with Behind(daemon) as proxy:
                sids = []
                for _ in range(CLIENTS):
                    told = self.ask(proxy, "/url", _address(chance))[1]
                    self.assertEqual(slot_in(told["sid"], secret_of(1)), told["slot"])
                    sids.append((told["sid"], told["slot"]))
                self.assertEqual({slot for _, slot in sids}, {1, 2, 3, 4})
                for visit in (2, 3):
                    chance.shuffle(sids)
                    for sid, slot in sids:
                        # From another address each time: the id decides.
                        response, told = self.ask(proxy, f"/url?sid={sid}", _address(chance))
                        self.assertEqual(response.status, 200, told)
                        self.assertEqual((told["slot"], told["visits"]), (slot, visit))
            wait_for(lambda: _moves(daemon) > CLIENTS, what="many moves counted")
            old = daemon.pids()
            os.kill(old[2], signal.SIGKILL)
            wait_for(lambda: daemon.pids().get(2, old[2]) != old[2], what="a replacement")
            with Behind(daemon) as proxy:
                for sid, slot in sids:
                    response, told = self.ask(proxy, f"/url?sid={sid}", _address(chance))
                    # Memory is gone with its worker, the way to the slot is not.
                    self.assertEqual(told["slot"], slot)
                    self.assertEqual(response.status, 404 if slot == 2 else 200)

    def test_cookie_and_socketio(self) -> None:
        chance = random.Random(6)
        affinity = ("--affinity", "socketio,cookie(sid),xff,src", "--seed", "77")
        with Daemon(*APP, *affinity, workers=4) as daemon, Behind(daemon) as proxy:
            known = []
            for _ in range(40):
                response, told = self.ask(proxy, "/cookie", _address(chance))
                match = re.match(r"sid=([\w-]{28});", response.headers["set-cookie"])
                assert match, response.headers
                self.assertEqual(slot_in(match[1], secret_of(77)), told["slot"])
                known.append((match[1], told["slot"]))
            chance.shuffle(known)
            for sid, slot in known:
                told = self.ask(proxy, "/cookie", _address(chance), f"Cookie: a=b; sid={sid}")[1]
                self.assertEqual((told.get("visits"), told["slot"]), (2, slot))
                other = self.ask(proxy, f"/url?sid={sid}", _address(chance))[1]
                self.assertEqual((other.get("visits"), other["slot"]), (3, slot))
                # An unknown id falls through to the cookie.
                other = self.ask(proxy, "/url?sid=x", _address(chance), f"Cookie: sid={sid}")[1]
                self.assertEqual(other, {"slot": slot, "error": "unknown session"})


class Behind:
    """A proxy's kept-alive connection."""

    def __init__(self, daemon: Daemon) -> None:
        self._sock = daemon.connect()
        self._reader = Reader(self._sock)

    def __enter__(self) -> "Behind":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def ask(self, path: str, *lines: str) -> Response:
        text = "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *lines, "", ""])
        self._sock.sendall(text.encode())
        return self._reader.response()


def _moves(daemon: Daemon) -> int:
    return sum(daemon.report()["workers"]["moved"].values())


def _address(chance: random.Random) -> str:
    return f"X-Forwarded-For: 198.18.{chance.randrange(256)}.{chance.randrange(256)}"
