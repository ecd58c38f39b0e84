"""OpenSSL's settings for a listener, from certificates: Mozilla's "intermediate" configuration.

Source: https://wiki.mozilla.org/Security/Server_Side_TLS, version 5.7, without the DHE suites,
which need parameters of their own and serve no client that lacks ECDHE.
"""

import os
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from stickyd.tls.certificates import Bundle, CertificateError, Pair

CIPHERS_12 = b":".join(
    [
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-RSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-AES256-GCM-SHA384",
        b"ECDHE-RSA-AES256-GCM-SHA384",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-RSA-CHACHA20-POLY1305",
    ]
)
CIPHERS_13 = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

ALPN = b"http/1.1"

# Values of OpenSSL (ssl.h) that pyOpenSSL does not name. Idle connections keep no buffers; clients
# that prefer ChaCha20, as those without AES in hardware, get it.
_MODE_RELEASE_BUFFERS = 0x10
_OP_PRIORITIZE_CHACHA = 0x200000


class NoCommonProtocol(Exception):
    """A client offers protocols by ALPN, and HTTP/1.1 is not among them."""


class Contexts:
    """The contexts of all certificates; which one holds is chosen by the name a client asks for.

    Of several certificates for a name all are offered, of which OpenSSL takes the one that the
    client can verify: ECDSA and RSA side by side. Without a name, or with one of no certificate,
    the first certificate holds, and others for just the same names.

    :ivar default: for a new connection.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._pairs = pairs = bundle.pairs
        self._of: dict[str, list[int]] = {}
        for number, pair in enumerate(pairs):
            for name in pair.names:
                self._of.setdefault(name, []).append(number)
        alike = [n for n, pair in enumerate(pairs) if set(pair.names) == set(pairs[0].names)]
        self._made: dict[tuple[int, ...], SSL.Context] = {}
        self.default = self._context(tuple(alike))
        if len(alike) < len(pairs):
            self.default.set_tlsext_servername_callback(self._choose)
            # All of them now: what cannot be used is found before a client asks for it.
            for name in self._of:
                self.of(name)

    def of(self, name: str) -> SSL.Context:
        """The context for a name."""
        name = name.lower()
        wildcard = "*." + name.partition(".")[2]
        numbers = [*self._of.get(name, ()), *self._of.get(wildcard, ())]
        return self._context(tuple(sorted(set(numbers)))) if numbers else self.default

    def _context(self, numbers: tuple[int, ...]) -> SSL.Context:
        context = self._made.get(numbers)
        if context is None:
            pairs = [self._pairs[number] for number in numbers]
            context = self._made[numbers] = make_context(pairs)
            _verify_clients(context, self._bundle)
        return context

    def _choose(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        if name:
            context = self.of(name.decode("ascii", "replace"))
            if context is not self.default:
                connection.set_context(context)


def make_context(pairs: Sequence[Pair]) -> SSL.Context:
    """A server's context.

    :param pairs: of two with keys of one kind the first one is used.
    :raise CertificateError: if OpenSSL refuses one, as of a key that it holds too weak.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS_12)
    context.set_tls13_ciphersuites(CIPHERS_13)
    # A client that closes without close_notify has finished sending, as one that sends a FIN over
    # TCP: HTTP has the lengths by which a cut request is told from a whole one.
    context.set_options(
        SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_IGNORE_UNEXPECTED_EOF
    )
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | _OP_PRIORITIZE_CHACHA)
    context.set_mode(_MODE_RELEASE_BUFFERS)
    # Sessions are resumed by tickets.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"stickyd")
    context.set_alpn_select_callback(_select_protocol)
    for pair in reversed(pairs):
        try:
            _use(context, pair.chain, pair.key)
        except SSL.Error as error:
            why = reason_of(error)
            raise CertificateError(f"{pair.source}: OpenSSL refuses it: {why}") from None
    return context


def _verify_clients(context: SSL.Context, bundle: Bundle) -> None:
    if bundle.client_cert == "off":
        return
    store = context.get_cert_store()
    assert store is not None
    authorities = x509.load_pem_x509_certificates(bundle.authorities)
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    # By these names a client chooses its certificate.
    context.set_client_ca_list(
        [crypto.X509.from_cryptography(a).get_subject() for a in authorities]
    )
    required = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if bundle.client_cert == "required" else 0
    context.set_verify(SSL.VERIFY_PEER | required, _verified)


def _verified(_connection: object, _certificate: object, _error: int, _depth: int, ok: int) -> bool:
    """What OpenSSL has found."""
    return bool(ok)


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if ALPN in offered:
        return ALPN
    # An alert, as RFC 7301 (3.2) demands.
    raise NoCommonProtocol


def reason_of(error: SSL.Error) -> str:
    """The last of OpenSSL's reasons."""
    reports = error.args[0] if error.args else ()
    return str(reports[-1][-1]) if isinstance(reports, list) and reports else str(error)


def _use(context: SSL.Context, chain: bytes, key: bytes) -> None:
    # By a file only does each certificate get a chain of its own; this one is in memory.
    file = os.memfd_create("stickyd-chain", os.MFD_CLOEXEC)
    try:
        os.write(file, chain)
        context.use_certificate_chain_file(f"/proc/self/fd/{file}".encode("ascii"))
    finally:
        os.close(file)
    private = load_pem_private_key(key, None)
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    context.use_privatekey(private)
