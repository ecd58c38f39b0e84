"""The options of TLS: which listeners speak it, and one line for what cannot be."""

import contextlib
import io
import tempfile
import unittest

from stickyd.cli.options import Options
from tests.support.authority import Authority


def parsed(*options: str) -> Options:
    made = Options()
    made.parseOptions(["--workers", "2", "--max-connections", "50", *options])
    return made


class TlsOptions(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.certificate, self.key = Authority(directory.name).files("one", "localhost")
        self.pair = ("--ssl-certfile", self.certificate, "--ssl-keyfile", self.key)

    def test_which_listeners(self) -> None:
        for options, listen, over_tls in (
            ((), ["tcp:3000"], ()),
            (self.pair, ["tcp:3000"], (0,)),
            ((*self.pair, "--port", "1"), ["tcp:1"], (0,)),
            (
                (*self.pair, "--bind", ":1", "--bind", "plain::2", "--bind", "tls:unix:/x"),
                ["tcp:1", "tcp:2", "unix:/x"],
                (0, 2),
            ),
            ((*self.pair, "--bind", ":1", "--listen", "tcp:2"), ["tcp:2", "tcp:1"], (1,)),
            (("--bind", "plain::2"), ["tcp:2"], ()),
        ):
            with self.subTest(options=options):
                made = parsed(*options)
                self.assertEqual(made["listen"], listen)
                self.assertEqual(made.settings.tls.listeners, over_tls)
        made = parsed(*self.pair, "--redirect-http", ":80")
        self.assertEqual(
            (made["listen"], made.settings.tls.redirects), (["tcp:3000", "tcp:80"], (1,))
        )
        self.assertEqual(made.settings.tls.listeners, (0,))
        self.assertEqual(parsed(*self.pair).settings.tls.certfiles, (self.certificate,))

    def test_one_line(self) -> None:
        for options, expected in (
            (("--bind", "tls::0"), "--bind: tls: needs --ssl-certfile"),
            (("--ssl-keyfile", self.key), "--ssl-keyfile goes with --ssl-certfile only"),
            (
                ("--ssl-keyfile-password", "@p"),
                "--ssl-keyfile-password goes with --ssl-certfile only",
            ),
            (
                (*self.pair, "--ssl-client-cert", "required"),
                "--ssl-client-cert optional or required goes with --ssl-ca-certs, and this with it",
            ),
            (("--redirect-http", ":80"), "--redirect-http goes with --ssl-certfile only"),
            (("--ssl-ca-certs", self.key), "--ssl-ca-certs goes with --ssl-certfile only"),
            (
                (*self.pair, "--ssl-client-cert", "required", "--ssl-ca-certs", self.key),
                f"TLS: {self.key}: no certificate in PEM",
            ),
            (
                (*self.pair, "--listen", "tcp:0"),
                "--ssl-certfile: no --bind speaks TLS; --listen does not",
            ),
            (
                (*self.pair, "--bind", "plain::0"),
                "--ssl-certfile: no --bind speaks TLS; --listen does not",
            ),
            (
                (*self.pair, "--ssl-certfile", self.certificate),
                "--ssl-keyfile: 1 for 2 of --ssl-certfile",
            ),
            (
                (*self.pair, "--proxy-protocol", "v2"),
                "--proxy-protocol does not go with TLS",
            ),
            (
                (*self.pair, "--ssl-keyfile-password", "sesame"),
                "--ssl-keyfile-password: not @FILE; a password itself would be visible to every"
                " user",
            ),
            (
                ("--ssl-certfile", self.key),
                f"TLS: {self.key}: no certificate in PEM",
            ),
            (
                ("--ssl-certfile", "/none"),
                "TLS: /none: No such file or directory",
            ),
            (
                (*self.pair, "--ssl-keyfile-password", "@/none"),
                "TLS: /none: No such file or directory",
            ),
            (
                ("--listen", "ssl:443"),
                "--listen: ssl: is not supported; use --bind with --ssl-certfile",
            ),
        ):
            with self.subTest(options=options):
                errors = io.StringIO()
                with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as ended:
                    parsed(*options)
                self.assertEqual(ended.exception.code, 2)
                self.assertEqual(errors.getvalue(), f"stickyd: {expected}\n")
