"""The options of TLS: which listeners speak it, and one line for what cannot be."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

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

        self.ssl = (
            "--listen",
            f"ssl:1:interface=127.0.0.1:privateKey={self.key}:certKey={self.certificate}",
        )
        self.tcp = "tcp:1:interface=127.0.0.1"

    def test_pairs_of_descriptions(self) -> None:
        """They come behind those of options, each once."""
        both = Path(self.key).with_name("both.pem")
        both.write_bytes(Path(self.certificate).read_bytes() + Path(self.key).read_bytes())
        for options, certificates, keys in (
            (self.ssl, [self.certificate], [self.key]),
            ((*self.pair, *self.ssl), [self.certificate], [self.key]),
            (
                ("--ssl-certfile", str(both), *self.ssl, *self.ssl),
                [str(both), self.certificate],
                [str(both), self.key],
            ),
            (("--listen", f"ssl:1:{both}"), [str(both)], [str(both)]),
        ):
            with self.subTest(options=options):
                tls = parsed(*options).settings.tls
                self.assertEqual(list(tls.certfiles), certificates)
                self.assertEqual(list(tls.keyfiles), keys)

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
            # Twisted's; a listener beside it needs to say that it speaks TLS.
            ((*self.ssl, "--bind", ":2", "--bind", "tls::3"), [self.tcp, "tcp:2", "tcp:3"], (0, 2)),
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
                "--ssl-certfile: no --bind speaks TLS; --listen does only with ssl:",
            ),
            (
                (*self.pair, "--bind", "plain::0"),
                "--ssl-certfile: no --bind speaks TLS; --listen does only with ssl:",
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
                ("--listen", "ssl:443:sslmethod=TLSv1_METHOD"),
                "--listen: 'ssl:443:sslmethod=TLSv1_METHOD': sslmethod is not supported",
            ),
            (
                ("--listen", "ssl:443:extraCertChain=x"),
                "--listen: 'ssl:443:extraCertChain=x': extraCertChain is not supported: append"
                " its certificates to those of certKey",
            ),
            (
                ("--listen", "ssl:443:privateKey=/none"),
                "TLS: /none: No such file or directory",
            ),
            (
                ("--admin", "tcp:1", "--listen", "tls:443"),
                "--listen: tls: is not supported; use --bind with --ssl-certfile",
            ),
        ):
            with self.subTest(options=options):
                errors = io.StringIO()
                with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as ended:
                    parsed(*options)
                self.assertEqual(ended.exception.code, 2)
                self.assertEqual(errors.getvalue(), f"stickyd: {expected}\n")
