"""The affinity chain: the first source that has a key gives it."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.routing.affinity import find_key, parse_chain
from stickyd.routing.source import AffinityError, Asked, Key
from tests.support.affinity import CLIENT, OFTEN, PROXIES, PROXY, head_of

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
    "insert_without_a_name": ("insert", "insert needs a name: insert(NAME)"),
    "insert_of_no_cookie": ("insert(a;b)", "is no name of a header or cookie"),
    "insert_twice": ("insert(a),insert(b)", "insert is there twice"),
    "insert_beside_the_preset": ("insert(a),browser", "insert is there twice"),
    "learn_without_a_source": ("learn", "learn needs a source"),
    "learn_of_a_name": ("learn(sid)", "write learn(hdr(NAME)) or learn(cookie(NAME))"),
    "learn_of_a_parameter": ("learn(url_param(a))", "only hdr(NAME) and cookie(NAME)"),
    "learn_without_a_name": ("learn(hdr())", "empty name in 'learn(hdr())'"),
    "learn_with_underscore": ("learn(hdr(a_b))", "underscore"),
    "learn_not_closed": ("learn(hdr(a)", "parenthesis in 'learn(hdr(a)'"),
    "least_first": ("least,src", "put it last"),
    "least_before_a_preset": ("least,browser", "put it last"),
    "least_with_a_name": ("least(a)", "least takes no name"),
    "preset_with_a_name": ("mcp(a)", "mcp takes no name"),
    "header_with_underscore": ("hdr(X_User)", "underscore"),
}


class Chain(unittest.TestCase):
    """The first source that yields a key wins."""

    def test_errors_are_one_clear_line(self) -> None:
        for name, (spec, said) in ERRORS.items():
            with self.subTest(name), self.assertRaises(AffinityError) as caught:
                parse_chain(spec)
            self.assertIn(said, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))

    @OFTEN
    @given(st.text("xffsrc()hdcookie,_leastinmp \n\xfc\u2028", max_size=30))
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
            ("mcp", "learn(hdr(mcp-session-id)) xff src"),
            ("django", "learn(cookie(sessionid)) xff src"),
            ("browser", "insert(STICKYD) least"),
            ("mcp,browser", "learn(hdr(mcp-session-id)) insert(STICKYD) least"),
            ("browser,django", "insert(STICKYD) learn(cookie(sessionid)) xff src"),
            ("src,mcp", "src learn(hdr(mcp-session-id)) xff"),
            ("browser,src", "insert(STICKYD) src"),
            ("socketio,least", "socketio least"),
            ("learn( hdr( X-Id ) ),least", "learn( hdr( X-Id ) ) least"),
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
            self.assertEqual(find_key(chain, asked).key, expected)
        asked = Asked(head_of(*lines, target="/?sid=u"), PROXY, PROXIES)
        self.assertEqual(find_key(chain, asked).key, Key("url_param(sid)", "u"))
        self.assertIsNone(find_key(chain, Asked(head_of(), None, PROXIES)).key)
