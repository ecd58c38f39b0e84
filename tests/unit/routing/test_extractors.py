"""Where affinity keys come from: Forwarded, fields, cookies, parameters, SockJS paths."""

import unittest
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from stickyd.http1.head_parser import Head
from stickyd.net.address import canonical
from stickyd.routing.affinity import find_key, parse_chain
from stickyd.routing.extractors import cookie, header, sockjs_session, url_param
from stickyd.routing.forwarded_header import client_of_forwarded
from stickyd.routing.rendezvous import SlotTable
from stickyd.routing.source import Asked, Key
from stickyd.routing.trusted_peers import Missing, walk
from tests.integration.test_affinity_keys import CLIENT6
from tests.support.affinity import CLIENT, NONE, OFTEN, PROXIES, PROXY, found, head_of

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
                    key = find_key(parse_chain("forwarded"), Asked(head, PROXY, PROXIES)).key
                    self.assertEqual(key, Key("forwarded", expected) if expected else None)
                key = find_key(parse_chain("forwarded,src"), Asked(head, "192.0.2.1", PROXIES)).key
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
