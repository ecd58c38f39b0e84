"""Certificates and keys: read from PEM files, checked, and packed for other processes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from stickyd.settings import TlsSettings

SIZE_MOST = 1024 * 1024
"""Bytes of a file that is read."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class CertificateError(Exception):
    """A certificate or key cannot be used; the text is one line."""


@attrs.frozen
class Pair:
    """A certificate with its key.

    :ivar source: the file of the certificate, for messages.
    :ivar chain: in PEM: the certificate, and those of its issuers.
    :ivar key: in PEM, not encrypted.
    :ivar names: that the certificate is for, in lower case: DNS names, with wildcards, and
        addresses.
    :ivar expires: UTC.
    """

    source: str
    chain: bytes
    key: bytes = attrs.field(repr=False)
    names: tuple[str, ...]
    expires: datetime


def read_pairs(settings: TlsSettings) -> list[Pair]:
    """Read and check all files.

    :raise CertificateError: for the first file that cannot be used.
    """
    password = None
    if settings.password_file:
        password = _read(settings.password_file).split(b"\n", 1)[0].rstrip(b"\r")
    keys = settings.keyfiles or settings.certfiles
    return [
        read_pair(certificate, key, password)
        for certificate, key in zip(settings.certfiles, keys, strict=True)
    ]


def read_pair(certificate: str, key: str, password: bytes | None = None) -> Pair:
    """Read and check one certificate and its key.

    :param certificate: path of a PEM file: the certificate, then each one's issuer.
    :param key: path of a PEM file.
    :raise CertificateError: if they cannot be used.
    """
    chain = _chain_in(certificate)
    private = _key_in(key, password)
    leaf = chain[0]
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise CertificateError(f"{key}: the key is not that of the certificate in {certificate}")
    return Pair(
        certificate,
        b"".join(each.public_bytes(Encoding.PEM) for each in chain),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        _names_of(leaf),
        leaf.not_valid_after_utc,
    )


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_MOST + 1)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from None
    if len(data) > SIZE_MOST:
        raise CertificateError(f"{path}: larger than {SIZE_MOST} bytes")
    return data


def _certificates_in(path: str) -> list[x509.Certificate]:
    data = _read(path)
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise CertificateError(f"{path}: no certificate in PEM")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise CertificateError(f"{path}: malformed certificate") from None


def _chain_in(path: str) -> list[x509.Certificate]:
    chain = _certificates_in(path)
    for number, (each, issuer) in enumerate(pairwise(chain), 1):
        try:
            each.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise CertificateError(
                f"{path}: certificate {number + 1} has not issued certificate {number}; the order"
                " is: the server's own, its issuer's, that one's issuer's"
            ) from None
    return chain


def _key_in(path: str, password: bytes | None) -> PrivateKey:
    data = _read(path)
    if b"PRIVATE KEY-----" not in data:
        raise CertificateError(f"{path}: no private key in PEM")
    if b"ENCRYPTED" not in data:
        # A password for a key that has none is an error to the library.
        password = None
    try:
        key = load_pem_private_key(data, password)
    except TypeError:
        raise CertificateError(
            f"{path}: the key is encrypted; give --ssl-keyfile-password @FILE"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        why = "wrong password, or a malformed key" if password is not None else "malformed key"
        raise CertificateError(f"{path}: {why}") from None
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"{path}: neither an RSA nor an ECDSA key")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2048:
        raise CertificateError(f"{path}: an RSA key of {key.key_size} bits; 2048 are the least")
    return key


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except ValueError:
        raise CertificateError("malformed subject alternative name") from None
    names = [name.lower() for name in found.get_values_for_type(x509.DNSName)]
    return (*names, *(str(each) for each in found.get_values_for_type(x509.IPAddress)))


@attrs.frozen
class Bundle:
    """All that a TLS process needs of files.

    :ivar authorities: certificates in PEM by which those of clients are verified, or b"".
    :ivar client_cert: ``off``, ``optional`` or ``required``.
    """

    pairs: Sequence[Pair]
    authorities: bytes = b""
    client_cert: str = "off"

    def packed(self) -> bytes:
        """As JSON, for `unpacked`."""
        pairs = [
            {
                "source": pair.source,
                "chain": pair.chain.decode("ascii"),
                "key": pair.key.decode("ascii"),
                "names": pair.names,
                "expires": pair.expires.timestamp(),
            }
            for pair in self.pairs
        ]
        authorities = self.authorities.decode("ascii")
        return json.dumps([pairs, authorities, self.client_cert]).encode("ascii")


def unpacked(data: bytes) -> Bundle:
    """What was packed."""
    pairs, authorities, client_cert = json.loads(data)
    made = [
        Pair(
            each["source"],
            each["chain"].encode("ascii"),
            each["key"].encode("ascii"),
            tuple(each["names"]),
            datetime.fromtimestamp(each["expires"], UTC),
        )
        for each in pairs
    ]
    return Bundle(made, authorities.encode("ascii"), client_cert)


def read_bundle(settings: TlsSettings) -> Bundle:
    """Read and check all files.

    :raise CertificateError: for the first file that cannot be used.
    """
    authorities = b""
    if settings.ca_certs:
        found = _certificates_in(settings.ca_certs)
        authorities = b"".join(each.public_bytes(Encoding.PEM) for each in found)
    return Bundle(read_pairs(settings), authorities, settings.client_cert)
