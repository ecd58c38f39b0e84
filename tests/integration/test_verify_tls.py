"""``stickyd verify`` over TLS."""

import socket
import ssl
import tempfile
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.support.authority import Authority
from tests.support.fake_servers import FEW, FakeServer, ran, sticky


def _found_here(resolve: Callable[..., object]) -> Callable[..., object]:
    """``getaddrinfo`` that knows ``localhost`` without asking."""
    return lambda host, *rest, **how: resolve(
        "127.0.0.1" if host == "localhost" else host, *rest, **how
    )


class TlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.authority = Authority(directory.name)
        # A machine may have no name for itself (a chroot: no /etc/hosts).
        self.patch(socket, "getaddrinfo", _found_here(socket.getaddrinfo))

    def verify(self, name: str, *options: str, host: str = "localhost") -> tuple[int, str, str]:
        with FakeServer(sticky, self.authority.context(name)) as server:
            return ran(f"https://{host}:{server.port}/", *options)

    def test_good_name(self) -> None:
        status, out, err = self.verify("localhost", "--cafile", self.authority.cafile, *FEW)
        self.assertEqual((status, err), (0, ""), out)
        self.assertIn("S4 CRLF  1 0       1 0   right", out)

    def test_a_client_certificate(self) -> None:
        context = self.authority.context("localhost")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority.cafile)
        trust = ("--cafile", self.authority.cafile, *FEW)
        certificate, key = self.authority.files("client", "client")
        with FakeServer(sticky, context) as server:
            url = f"https://localhost:{server.port}/"
            own = ("--ssl-certfile", certificate, "--ssl-keyfile", key)
            status, out, err = ran(url, *trust, *own)
            self.assertEqual((status, err), (0, ""), out)
            # With TLS 1.3 the server tells after the client's handshake.
            status, out, err = ran(url, *trust)
            self.assertEqual((status, out), (3, ""))
            self.assertRegex(err, r"\Astickyd verify: https:[^\n]*\n\Z")

    def test_a_client_certificate_that_cannot_be_used(self) -> None:
        certificate, key = self.authority.files("client", "client")
        _, other = self.authority.files("other", "other")
        for options, why in (
            (("--ssl-certfile", certificate), "no certificate and key that can be used"),
            (("--ssl-certfile", certificate, "--ssl-keyfile", other), "KEY_VALUES_MISMATCH"),
            (("--ssl-certfile", "missing.pem"), "No such file"),
            (("--ssl-keyfile", key), "--ssl-keyfile is for --ssl-certfile"),
        ):
            status, out, err = ran("https://localhost:1/", *options)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(why, err)
            self.assertEqual(err.count("\n"), 1)
        status, _, err = ran("http://localhost:1/", "--ssl-certfile", certificate)
        self.assertEqual((status, "https:// URLs" in err), (2, True), err)

    def test_wrong_name(self) -> None:
        for name, host in (("other.example", "localhost"), ("localhost", "127.0.0.1")):
            status, out, err = self.verify(name, "--cafile", self.authority.cafile, host=host)
            self.assertEqual((status, out), (3, ""))
            self.assertRegex(
                err,
                rf"\Astickyd verify: https://{host}:\d+/: TLS: "
                rf"the server's certificate does not name {host}\n\Z",
            )

    def test_unknown_authority(self) -> None:
        status, out, err = self.verify("localhost")
        self.assertEqual((status, out), (3, ""))
        self.assertRegex(err, r"\A[^\n]*TLS: certificate refused: unable to get [^\n]*\n\Z")

    def test_no_tls_there(self) -> None:
        with FakeServer(sticky) as server:
            status, out, err = ran(f"https://localhost:{server.port}/", "--timeout", "0.5")
        self.assertEqual((status, out), (3, ""))
        self.assertRegex(err, r"\A[^\n]*: TLS: [^\n]*\n\Z")

    def test_plain_http_to_a_tls_port(self) -> None:
        with FakeServer(sticky, self.authority.context("localhost")) as server:
            status, out, err = ran(f"http://localhost:{server.port}/", "--timeout", "0.5")
        self.assertEqual((status, out), (3, ""))
        self.assertRegex(err, r"\Astickyd verify: http://localhost:\d+/: [^\n]*answer[^\n]*\n\Z")
