"""``stickyd verify`` over TLS."""

import socket
import ssl
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fake_servers import FEW, FakeServer, ran, sticky


class Authority:
    """A private CA, and certificates from it."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed("stickyd test CA", self._key, None)
        self.cafile = str(self._directory / "ca.pem")
        Path(self.cafile).write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        own = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), False)
        )
        if issuer:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
            builder = builder.add_extension(alternative, False)
        else:
            others = "content_commitment data_encipherment key_agreement key_encipherment"
            others += " digital_signature encipher_only decipher_only"
            usage = dict.fromkeys(others.split(), False)
            signing = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage)
            builder = builder.add_extension(signing, True)
        return builder.sign(self._key, hashes.SHA256())

    def context(self, name: str) -> ssl.SSLContext:
        """What a server called ``name`` needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key, self.certificate)
        path = self._directory / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


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
