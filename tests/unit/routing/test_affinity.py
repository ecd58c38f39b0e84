"""The affinity chain: the first source that has a key gives it."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.routing.affinity import AffinityError, Asked, Key, find_key, parse_chain
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
