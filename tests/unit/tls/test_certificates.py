"""Certificates and keys: what is accepted, and one line for what is not."""

import tempfile
import unittest
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.settings import TlsSettings
from stickyd.tls.certificates import (
    SIZE_MOST,
    Bundle,
    CertificateError,
    Pair,
    read_pair,
    read_pairs,
    unpacked,
)
from tests.support.authority import Authority, key_pem, new_key


class Certificates(unittest.TestCase):
    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(made.cleanup)
        self.directory = Path(made.name)
        self.authority = Authority(made.name)

    def file(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        return str(path)

    def refused(self, certificate: str, key: str, password: bytes | None = None) -> str:
        with self.assertRaises(CertificateError) as raised:
            read_pair(certificate, key, password)
        return str(raised.exception).replace(f"{self.directory}/", "")

    def test_good(self) -> None:
        for kind in ("ec", "rsa"):
            paths = self.authority.files(kind, "A.example", "*.b.example", kind=kind)
            pair = read_pair(*paths)
            self.assertEqual(pair.names, ("a.example", "*.b.example"))
            self.assertEqual(pair.chain, Path(paths[0]).read_bytes())
            bundle = Bundle([pair], self.authority.pem, "optional")
            self.assertEqual(unpacked(bundle.packed()), bundle)
            self.assertNotIn("PRIVATE", repr(pair))

    def test_one_file_for_both(self) -> None:
        certificate, key = self.authority.certify("a")
        path = self.file("both", key_pem(key) + certificate)
        (pair,) = read_pairs(TlsSettings(certfiles=(path,)))
        self.assertEqual(pair.names, ("a",))

    def test_chain(self) -> None:
        middle = Authority(str(self.directory), self.authority)
        leaf, key = middle.certify("a")
        key_file = self.file("key", key_pem(key))
        good = self.file("good", leaf + middle.pem + self.authority.pem)
        self.assertEqual(read_pair(good, key_file).chain.count(b"BEGIN"), 3)
        swapped = self.file("swapped", leaf + self.authority.pem + middle.pem)
        self.assertEqual(
            self.refused(swapped, key_file),
            "swapped: certificate 2 has not issued certificate 1; the order is: the server's own,"
            " its issuer's, that one's issuer's",
        )
        late = self.file("late", middle.pem + leaf)
        self.assertIn("certificate 2 has not issued certificate 1", self.refused(late, key_file))

    def test_passwords(self) -> None:
        certificate, key = self.authority.certify("a")
        chain = self.file("chain", certificate)
        secret = self.file("secret", key_pem(key, b"sesame"))
        plain = self.file("plain", key_pem(key))
        for where, password in ((secret, b"sesame"), (plain, b"sesame"), (plain, None)):
            self.assertEqual(read_pair(chain, where, password).key, key_pem(key))
        given = self.file("password", b"sesame\nnot this\n")
        asked = TlsSettings(certfiles=(chain,), keyfiles=(secret,), password_file=given)
        self.assertEqual(read_pairs(asked)[0].key, key_pem(key))
        self.assertEqual(
            self.refused(chain, secret),
            "secret: the key is encrypted; give --ssl-keyfile-password @FILE",
        )
        self.assertEqual(
            self.refused(chain, secret, b"x"), "secret: wrong password, or a malformed key"
        )

    def test_refused(self) -> None:
        certificate, key = self.authority.certify("a")
        chain, key_file = self.file("chain", certificate), self.file("key", key_pem(key))
        small = rsa.generate_private_key(65537, 1024)
        other = ed25519.Ed25519PrivateKey.generate()
        form = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        for paths, expected in (
            ((chain, "/none"), "/none: No such file or directory"),
            ((str(self.directory), key_file), f"{self.directory}: Is a directory"),
            ((key_file, key_file), "key: no certificate in PEM"),
            ((chain, chain), "chain: no private key in PEM"),
            ((self.file("x", certificate[:200]), key_file), "x: malformed certificate"),
            ((chain, self.file("y", key_pem(key)[:99])), "y: malformed key"),
            ((self.file("z", b"z" * (SIZE_MOST + 1)), key_file), "z: larger than 1048576 bytes"),
            (
                (chain, self.file("o", key_pem(new_key()))),
                "o: the key is not that of the certificate in chain",
            ),
            (
                (chain, self.file("s", small.private_bytes(*form))),
                "s: an RSA key of 1024 bits; 2048 are the least",
            ),
            (
                (chain, self.file("e", other.private_bytes(*form))),
                "e: neither an RSA nor an ECDSA key",
            ),
        ):
            with self.subTest(expected=expected):
                said = self.refused(*paths)
                self.assertEqual(said, expected.replace(f"{self.directory}/", ""))

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.integers(0, 3))
    def test_any_bytes(self, noise: bytes, where: int) -> None:
        """Whatever a file has: a pair, or one line."""
        certificate, key = self.authority.certify("a")
        texts = [certificate, key_pem(key)]
        at = where * 97
        texts[where % 2] = texts[where % 2][:at] + noise + texts[where % 2][at:]
        try:
            pair = read_pair(self.file("c", texts[0]), self.file("k", texts[1]))
        except CertificateError as error:
            self.assertNotIn("\n", str(error))
        else:
            self.assertIsInstance(pair, Pair)
