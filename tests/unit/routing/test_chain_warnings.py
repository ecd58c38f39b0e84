"""What `stickyd check` says of chains that cannot work."""

import contextlib
import io
import unittest

from stickyd.cli.main import main
from stickyd.routing.affinity import PRESETS, parse_chain
from stickyd.routing.chain_warnings import warnings
from stickyd.routing.trusted_peers import LOCAL_PEERS

CASES: dict[str, list[str]] = {
    "hdr(MCP-Session-Id),xff,src": ["use learn(hdr(MCP-Session-Id))"],
    "cookie(sessionid),xff,src": ["use learn(cookie(sessionid))"],
    "cookie(TWISTED_SECURE_SESSION),cookie(TWISTED_SESSION),xff,src": [],
    "hdr(x-user),src": [],
    "src,least": ["least is asked only on Unix sockets"],
    "xff,src,insert(a),least": ["insert(a),least is asked only on Unix sockets"],
    "least": ["least alone keeps no client"],
    "insert(a),learn(hdr(b)),src": ["learn(hdr(b)) is asked only of clients without"],
    "learn(hdr(b)),insert(a),src": [],
    "xff,src": [],
    "forwarded,src": [],
}


def said(spec: str, scope: str = "request", trusted: str = "*", proxies: bool = False) -> list[str]:
    return list(warnings(parse_chain(spec), scope, trusted, proxies))


class Warnings(unittest.TestCase):
    def test_by_example(self) -> None:
        for spec, expected in CASES.items():
            with self.subTest(spec):
                lines = said(spec)
                self.assertEqual(len(lines), len(expected), lines)
                for line, part in zip(lines, expected, strict=True):
                    self.assertIn(part, line)
                    self.assertNotIn("\n", line)

    def test_presets_are_right(self) -> None:
        for preset in PRESETS:
            self.assertEqual(said(preset), [])

    def test_connection_scope_behind_proxies(self) -> None:
        (line,) = said("xff,src", "connection", "10.0.0.0/8")
        self.assertIn("use --affinity-scope request", line)
        self.assertEqual(said("xff,src", "connection", LOCAL_PEERS), [])
        self.assertEqual(said("xff,src", "connection", "10.0.0.0/8", True), [])
        self.assertEqual(said("src", "connection", "10.0.0.0/8"), [])
        self.assertEqual(said("xff,src", "request", "10.0.0.0/8"), [])

    def test_check_says_them_and_is_content(self) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["check", "--affinity", "hdr(mcp-session-id),src"])
        self.assertEqual(status, 0)
        self.assertRegex(err.getvalue(), r"\Astickyd: warning: hdr\(mcp-session-id\) .*\n\Z")
        self.assertIn("the options are right", out.getvalue())

    def test_attributes_without_a_cookie(self) -> None:
        for arguments, part in (
            (("--cookie-attributes", "Secure"), "goes with insert(NAME)"),
            (("--affinity", "browser", "--cookie-attributes", "SameSite=None"), "needs Secure"),
            (("--affinity", "insert(__Host-a),src"), "needs Secure"),
            (("--affinity", "least,src"), "put it last"),
        ):
            err = io.StringIO()
            with contextlib.redirect_stderr(err), self.assertRaises(SystemExit) as ended:
                main(["check", *arguments])
            self.assertEqual(ended.exception.code, 2)
            self.assertIn(part, err.getvalue())
            self.assertEqual(err.getvalue().count("\n"), 1)
