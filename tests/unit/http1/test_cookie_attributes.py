"""The attributes of the cookie that the daemon sets."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.http1.cookie_attributes import AttributeFault, CookieAttributes

OFTEN = settings(max_examples=200, deadline=None, derandomize=True)

LINES: dict[str, str] = {
    "": "n=v; Path=/; HttpOnly; SameSite=Lax",
    " ; ": "n=v; Path=/; HttpOnly; SameSite=Lax",
    "samesite=strict": "n=v; Path=/; HttpOnly; SameSite=Strict",
    "SameSite=None; Secure": "n=v; Path=/; HttpOnly; SameSite=None; Secure",
    "Max-Age=86400": "n=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400",
    "PATH=/app;DOMAIN=a.example;": "n=v; Path=/app; HttpOnly; SameSite=Lax; Domain=a.example",
    "Secure; Partitioned": "n=v; Path=/; HttpOnly; SameSite=Lax; Partitioned; Secure",
}

FAULTS: dict[str, str] = {
    "SameSite=None": "SameSite=None needs Secure",
    "samesite=NONE; Path=/": "SameSite=None needs Secure",
    "Partitioned": "Partitioned needs Secure",
    "SameSite": "none of Strict, Lax, None",
    "SameSite=Lux": "none of Strict, Lax, None",
    "Path=": "does not begin with /",
    "Path=app": "does not begin with /",
    "Path=/a b": "has a blank",
    "Domain=": "no domain name",
    "Domain=com": "no domain name",
    "Domain=.a.example": "no domain name",
    "Domain=a..example": "no domain name",
    "Domain=-a.example": "no domain name",
    "Domain=a.example:80": "no domain name",
    "Domain=192.0.2.1": "no domain name",
    "Domain=a.example, b.example": "no domain name",
    "Domain=" + "a." * 127 + "example": "no domain name",
    "Max-Age=0": "no number of seconds above 0",
    "Max-Age=-1": "no number of seconds above 0",
    "Max-Age=1d": "no number of seconds above 0",
    "Secure=1": "Secure takes no value",
    "HttpOnly=": "HttpOnly takes no value",
    "Secure; secure": "secure is there twice",
    "Expires=Thu": "unknown attribute 'Expires'",
    "=x": "unknown attribute ''",
    "Path=/\r\nX: y": "control character",
    "Path=/\t": "control character",
    "Path=/\x7f": "control character",
    "Path=/\u00e9": "not ASCII",
}


class Attributes(unittest.TestCase):
    def test_lines(self) -> None:
        for spec, expected in LINES.items():
            with self.subTest(spec):
                line = CookieAttributes.parse(spec).line("n", "v", secure=False)
                self.assertEqual(line, f"Set-Cookie: {expected}\r\n".encode())

    def test_secure_over_tls(self) -> None:
        for spec in ("", "Secure"):
            line = CookieAttributes.parse(spec).line("n", "v", secure=True)
            self.assertEqual(line.count(b"; Secure"), 1)

    def test_faults_are_one_clear_line(self) -> None:
        for spec, said in FAULTS.items():
            with self.subTest(spec), self.assertRaises(AttributeFault) as caught:
                CookieAttributes.parse(spec)
            self.assertIn(said, str(caught.exception))
            self.assertTrue(str(caught.exception).isprintable())

    def test_prefixes_of_names(self) -> None:
        for name, spec, said in (
            ("__Secure-a", "", "needs Secure"),
            ("__Host-a", "", "needs Secure"),
            ("__host-a", "Secure; Path=/a", "Path=/ and no Domain"),
            ("__Host-a", "Secure; Domain=a.example", "Path=/ and no Domain"),
        ):
            with self.subTest(name), self.assertRaisesRegex(AttributeFault, said):
                CookieAttributes.parse(spec).check_name(name)
        CookieAttributes.parse("Secure").check_name("__Host-a")
        CookieAttributes.parse("Secure; Domain=a.example").check_name("__Secure-a")
        CookieAttributes.parse("").check_name("STICKYD")

    @OFTEN
    @given(st.text("SecurePathDomin=;/.a-1 \r\n\x00\xe9", max_size=40))
    def test_a_line_is_one_line(self, spec: str) -> None:
        try:
            line = CookieAttributes.parse(spec).line("n", "v", secure=True)
        except AttributeFault as fault:
            self.assertNotIn("\n", str(fault))
        else:
            self.assertRegex(line, rb"\ASet-Cookie: n=v(; [\x21-\x3a\x3c-\x7e]+)+\r\n\Z")
