"""Which certificate a client gets, and which clients get none."""

import tempfile
import unittest
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from stickyd.tls.certificates import Bundle, CertificateError, Pair, read_pair
from stickyd.tls.contexts import Contexts
from tests.support.authority import Authority, key_pem
from tests.support.tls import client_context


def made(pairs: list[Pair]) -> Contexts:
    return Contexts(Bundle(pairs))


def shake(client: SSL.Connection, server: SSL.Connection) -> None:
    """The whole handshake, in memory."""
    open_ends = [client, server]
    for _ in range(10):
        for end, other in ((client, server), (server, client)):
            try:
                end.do_handshake()
                open_ends = [each for each in open_ends if each is not end]
            except SSL.WantReadError:
                pass
            finally:
                while True:
                    try:
                        other.bio_write(end.bio_read(65536))
                    except SSL.WantReadError:
                        break
        if not open_ends:
            return
    raise AssertionError("no end of the handshake")


class Chosen(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.authority = Authority(directory.name)

    def pair(self, *names: str, kind: str = "ec") -> Pair:
        return read_pair(*self.authority.files(f"{names[0]}-{kind}", *names, kind=kind))

    def got(self, contexts: Contexts, name: str = "", ciphers: bytes = b"") -> tuple[str, ...]:
        """The names of the certificate that a client gets."""
        context = client_context(self.authority.cafile, SSL.TLS1_2_VERSION if ciphers else 0)
        if ciphers:
            context.set_cipher_list(ciphers)
        client = SSL.Connection(context, None)
        client.set_connect_state()
        if name:
            client.set_tlsext_host_name(name.encode())
        server = SSL.Connection(contexts.default, None)
        server.set_accept_state()
        shake(client, server)
        self.kind = client.get_cipher_name()
        certificate = client.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return (certificate.subject.rfc4514_string(),)

    def test_by_name(self) -> None:
        contexts = made(
            [
                self.pair("first.example"),
                self.pair("*.b.example", "c.example"),
                self.pair("x.b.example"),
            ]
        )
        for name, expected in (
            ("first.example", "first.example"),
            ("y.b.example", "*.b.example"),
            ("Y.B.Example", "*.b.example"),
            ("c.example", "*.b.example"),
            ("b.example", "first.example"),
            ("z.y.b.example", "first.example"),
            ("other", "first.example"),
            ("", "first.example"),
        ):
            with self.subTest(name=name):
                self.assertEqual(self.got(contexts, name), (f"CN={expected}",))
        # Two have the name: the first of a kind.
        self.assertEqual(self.got(contexts, "x.b.example"), ("CN=*.b.example",))

    def test_ecdsa_and_rsa(self) -> None:
        contexts = made([self.pair("a", kind="rsa"), self.pair("a"), self.pair("b")])
        for ciphers in (b"ECDHE-RSA-AES128-GCM-SHA256", b"ECDHE-ECDSA-AES128-GCM-SHA256"):
            self.got(contexts, "a", ciphers)
            self.assertEqual(self.kind, ciphers.decode())
            self.got(contexts, "", ciphers)
            self.assertEqual(self.kind, ciphers.decode())
        with self.assertRaises(SSL.Error):
            self.got(contexts, "b", b"ECDHE-RSA-AES128-GCM-SHA256")

    def test_what_openssl_refuses(self) -> None:
        chain, key = self.authority.certify("a", key=ec.generate_private_key(ec.SECP192R1()))
        weak = Pair("a.pem", chain, key_pem(key), ("a",), datetime.now(UTC))
        with self.assertRaisesRegex(CertificateError, r"\Aa\.pem: OpenSSL refuses it: .*small"):
            made([self.pair("b"), weak])

    def test_weak_clients_get_nothing(self) -> None:
        contexts = made([self.pair("a", kind="rsa")])
        for ciphers in (b"AES128-SHA", b"ECDHE-RSA-AES128-SHA", b"DHE-RSA-AES128-GCM-SHA256"):
            with self.assertRaises(SSL.Error):
                self.got(contexts, "a", ciphers)
