"""Addresses: canonical text, and ports taken off."""

import ipaddress
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.net.address import canonical, without_port
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)


class Canonical(unittest.TestCase):
    """One text for each address."""

    @OFTEN
    @given(st.ip_addresses(v=4))
    def test_v4(self, address: ipaddress.IPv4Address) -> None:
        text = str(address)
        self.assertEqual(canonical(text), text)
        mapped = ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
        for spelling in (mapped.exploded, mapped.compressed, f"::ffff:{text}", f"::FFFF:{text}"):
            self.assertEqual(canonical(spelling), text, spelling)

    @OFTEN
    @given(st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None))
    def test_v6(self, address: ipaddress.IPv6Address) -> None:
        text = canonical(address.exploded)
        assert text is not None, address
        self.assertEqual(ipaddress.ip_address(text), address)
        self.assertEqual(text, text.lower())
        for spelling in (address.compressed, address.exploded.upper(), text):
            self.assertEqual(canonical(spelling), text, spelling)

    def test_no_address(self) -> None:
        for text in (
            *("", " ", ".", ":", "1", "1.2.3", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", "1.2.3.4\0"),
            *("1.2.3.4:80", "[::1]", "::1%lo", "::1 ", "::1\0", "g::", "\u0661.2.3.4", "::\u0661"),
            *("\udc80", "\udc80::", "01.2.3.4", "1.2.3.4/8", "::/0", "1" * 100000),
        ):
            self.assertIsNone(canonical(text), text[:50])

    @OFTEN
    @given(st.text("0123456789abcdefABCDEFg:.%[]/ \0\n\xb2\u0661\udc80", max_size=30))
    def test_any_text_has_a_canonical_one_or_none(self, text: str) -> None:
        once = canonical(text)
        if once is not None:
            self.assertEqual(canonical(once), once)


class WithoutPort(unittest.TestCase):
    """Ports go, other text stays."""

    def test_forms(self) -> None:
        for text, host in (
            ("192.0.2.1:80", "192.0.2.1"),
            ("192.0.2.1:0", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::1:80", "2001:db8::1:80"),
            ("[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1"),
            ("", ""),
            ("unknown", "unknown"),
            ("_hidden", "_hidden"),
            ("[2001:db8::1", "[2001:db8::1"),
            ("192.0.2.1:", "192.0.2.1:"),
            ("192.0.2.1:80 ", "192.0.2.1:80 "),
            ("192.0.2.1:80\n", "192.0.2.1:80\n"),
        ):
            self.assertEqual(without_port(text), host)

    @OFTEN
    @given(st.ip_addresses(), st.integers(0, 65535))
    def test_any_address(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
    ) -> None:
        text = str(address)
        joined = f"[{text}]:{port}" if address.version == 6 else f"{text}:{port}"
        self.assertEqual(without_port(joined), text)
        self.assertEqual(without_port(text), text)
