"""Twisted's endpoint descriptions."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.net.listen_description import tls_in


class Ssl(unittest.TestCase):
    def test_by_example(self) -> None:
        for description, expected in (
            ("tcp:1", None),
            ("ssl:1", ("tcp:1", "server.pem", "server.pem")),
            ("ssl:1:a.pem", ("tcp:1", "a.pem", "a.pem")),
            ("ssl:1:a.key:b.pem", ("tcp:1", "b.pem", "a.key")),
            (
                r"ssl:certKey=b\:c:port=1:backlog=5:interface=\:\:1:privateKey=a\=\\",
                (r"tcp6:1:interface=\:\:1:backlog=5", "b:c", "a=\\"),
            ),
        ):
            self.assertEqual(tls_in(description), expected)

    def test_what_cannot_be(self) -> None:
        for name in ("sslmethod", "dhParameters", "extraCertChain", "other"):
            with self.assertRaisesRegex(ValueError, f"^{name} is not supported"):
                tls_in(f"ssl:1:{name}=x")

    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        try:
            found = tls_in(f"ssl:{text}")
        except ValueError:
            return
        assert found is not None
        self.assertTrue(found[0].startswith("tcp"))

    @given(st.text(min_size=1), st.text(min_size=1))
    def test_escaped_names_come_back(self, key: str, certificate: str) -> None:
        def escaped(text: str) -> str:
            return text.replace("\\", "\\\\").replace(":", r"\:").replace("=", r"\=")

        description = f"ssl:1:privateKey={escaped(key)}:certKey={escaped(certificate)}"
        self.assertEqual(tls_in(description), ("tcp:1", certificate, key))
