"""A private certificate authority for tests."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PEM = serialization.Encoding.PEM


def new_key(kind: str = "ec") -> Key:
    """An ECDSA or RSA key."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


def key_pem(key: Key, password: bytes | None = None) -> bytes:
    """A key in PEM, encrypted if there is a password."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)


class Authority:
    """A private CA, and certificates from it.

    :param issuer: of its certificate; None if it is a root.
    """

    def __init__(self, directory: str, issuer: "Authority | None" = None) -> None:
        self._directory = Path(directory)
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = "stickyd test CA" if issuer is None else "stickyd test intermediate CA"
        self.certificate = _signed(name, self._key, issuer, self, ca=True)
        self.pem = self.certificate.public_bytes(PEM)
        self.cafile = str(self._directory / "ca.pem")
        if issuer is None:
            Path(self.cafile).write_bytes(self.pem)

    def certify(self, *names: str, key: Key | None = None, hours: float = 1.0) -> tuple[bytes, Key]:
        """A new certificate for these names in PEM, and its key.

        :param hours: until it expires.
        """
        key = key or new_key()
        certificate = _signed(names[0], key, self, self, names=names, hours=hours)
        return certificate.public_bytes(PEM), key

    def files(self, stem: str, *names: str, kind: str = "ec") -> tuple[str, str]:
        """Paths of a new certificate and of its key."""
        certificate, key = self.certify(*names, key=new_key(kind))
        paths = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
        paths[0].write_bytes(certificate)
        paths[1].write_bytes(key_pem(key))
        return str(paths[0]), str(paths[1])

    def context(self, name: str) -> ssl.SSLContext:
        """What a server called ``name`` needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(name, name))
        return context


def _signed(
    name: str,
    key: Key,
    issuer: Authority | None,
    authority: Authority,
    *,
    names: tuple[str, ...] = (),
    ca: bool = False,
    hours: float = 1.0,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    own = (issuer or authority)._key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=hours))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), False)
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternative, False)
    if ca:
        others = "content_commitment data_encipherment key_agreement key_encipherment"
        others += " digital_signature encipher_only decipher_only"
        usage = dict.fromkeys(others.split(), False)
        signing = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage)
        builder = builder.add_extension(signing, True)
    return builder.sign(own, hashes.SHA256())
