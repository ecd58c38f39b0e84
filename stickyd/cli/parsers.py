"""From the text of an option to its value.

A parser takes the text and returns the value. It raises ValueError with one line of ASCII
that says what is wrong; the caller adds the name of the option.
"""

import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path

import attrs

from stickyd.http1.access_log_format import compiled
from stickyd.http1.cookie_attributes import CookieAttributes
from stickyd.http1.token import is_token
from stickyd.net.bind_address import endpoint_of
from stickyd.routing.affinity import parse_chain
from stickyd.routing.trusted_peers import TrustedPeers

Value = str | int | float | bool
Parser = Callable[[str], Value]

_DAY = 86400
_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")


@attrs.frozen
class Whole:
    """A whole number within bounds; with ``or_zero`` 0 is valid, too."""

    least: int
    most: int = 2**31
    or_zero: bool = False

    def __call__(self, text: str) -> int:
        """Parse ``text``."""
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"{text!a} is not a whole number") from None
        if self.or_zero and number == 0:
            return 0
        if not self.least <= number <= self.most:
            neither = "neither 0 nor" if self.or_zero else "not"
            raise ValueError(f"{number} is {neither} within {self.least} to {self.most}")
        return number

    def __str__(self) -> str:
        return f"{'0, or ' if self.or_zero else ''}{self.least} to {self.most}"


@attrs.frozen
class Seconds:
    """A positive number of seconds; with ``or_zero`` 0 is valid, too."""

    most: int = _DAY
    or_zero: bool = False

    def __call__(self, text: str) -> float:
        """Parse ``text``."""
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{text!a} is not a number of seconds") from None
        if not (0 < number <= self.most or (self.or_zero and number == 0)):
            raise ValueError(f"{text!a} is not within 0 to {self.most}")
        return number

    def __str__(self) -> str:
        return f"{'0' if self.or_zero else 'more than 0'} to {self.most}"


@attrs.frozen
class OneOf:
    """One of several words."""

    words: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Parse ``text``."""
        if text not in self.words:
            raise ValueError(f"{text!a} is none of {', '.join(self.words)}")
        return text

    def __str__(self) -> str:
        return ", ".join(f"`{word}`" for word in self.words)


@attrs.frozen
class OnOff:
    """``on`` or ``off``; or ``true`` and ``false``, as other servers have it."""

    def __call__(self, text: str) -> bool:
        """Parse ``text``."""
        word = text.lower()
        return _ON_OFF({"true": "on", "false": "off"}.get(word, word)) == "on"

    def __str__(self) -> str:
        return str(_ON_OFF)


_ON_OFF = OneOf(("on", "off"))


def any_text(text: str) -> str:
    """Accept any text."""
    return text


def header_name(text: str) -> str:
    """The name of a header field (RFC 9110, 5.1)."""
    if not is_token(text):
        raise ValueError(f"{text!a} is not a header name")
    return text


def affinity(text: str) -> str:
    """A chain of key sources, unchanged."""
    parse_chain(text)
    return text


def cookie_attributes(text: str) -> str:
    """The attributes of a cookie, unchanged."""
    CookieAttributes.parse(text)
    return text


def peers(text: str) -> str:
    """A list of trusted peers, unchanged."""
    TrustedPeers.parse(text)
    return text


def admin_address(text: str) -> str:
    """The endpoint description of an address, on the loopback interface unless it names another."""
    return endpoint_of(text, loopback=True) if text else ""


_LOOP = OneOf(("auto", "asyncio", "uvloop"))


def event_loop(text: str) -> str:
    """The name of an event loop that is installed."""
    if _LOOP(text) == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise ValueError("uvloop is not installed: pip install 'stickyd[uvloop]'")
    return text


def bind_address(text: str) -> str:
    """The endpoint description of an address, without ``tls:`` or ``plain:`` in front of it."""
    return endpoint_of(bind_scheme(text)[1], loopback=False)


SCHEMES = ("tls:", "plain:")
"""What a ``--bind`` may have in front of its address."""


def bind_scheme(text: str) -> tuple[str, str]:
    """``tls``, ``plain`` or "", and the address of a ``--bind``."""
    for scheme in SCHEMES:
        if text.startswith(scheme):
            return scheme[:-1], text.removeprefix(scheme)
    return "", text


def file(path: str) -> str:
    """The absolute path of a file."""
    return os.path.abspath(path)


def password_file(text: str) -> str:
    """The absolute path of the file that ``@FILE`` names."""
    # The text may be a password: the message does not quote it.
    if not text.startswith("@") or len(text) < 2:
        raise ValueError("not @FILE; a password itself would be visible to every user")
    return os.path.abspath(text[1:])


def env_file(path: str) -> str:
    """The absolute path of a file whose lines are ``NAME=VALUE``."""
    # Here: without --env-file the package is not loaded.
    from dotenv.parser import parse_stream

    try:
        with open(path, encoding="utf-8") as file:
            wrong = next((each for each in parse_stream(file) if each.error), None)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read it: {error}") from None
    if wrong is not None:
        text = wrong.original.string
        line = wrong.original.line + len(text) - len(text.lstrip("\n"))
        raise ValueError(f"{path}: line {line} is not NAME=VALUE")
    return os.path.abspath(path)


def log_format(text: str) -> str:
    """An access log format, unchanged."""
    compiled(text)
    return text


def root_path(text: str) -> str:
    """The path under which an ASGI app is mounted, without a slash at its end; "" for none."""
    text = text.removesuffix("/")
    if text and not _ROOT_PATH.fullmatch(text):
        raise ValueError(f"{text!a} is not of the form /some/path")
    return text


def seed(text: str) -> int:
    """A seed of 128 bits: a whole number, or ``@FILE`` to read it from a file."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("ascii").strip()
        except (OSError, UnicodeError) as error:
            raise ValueError(f"cannot read the seed file: {error}") from None
    # The text may be secret: the message does not quote it.
    try:
        number = int(text)
    except ValueError:
        raise ValueError("the seed is not a whole number") from None
    if not 0 <= number < 2**128:
        raise ValueError("the seed is not within 0 to 2**128 - 1")
    return number


def log_file(path: str) -> str:
    """The absolute path of a file that can be created, ``-`` or ""."""
    if not path or path == "-":
        return path
    path = os.path.abspath(path)
    if not os.path.isdir(os.path.dirname(path)) or os.path.isdir(path):
        raise ValueError(f"cannot create a file at {path!a}")
    return path


def directory(path: str) -> str:
    """The absolute path of a directory: the daemon may change its working directory."""
    if not os.path.isdir(path):
        raise ValueError(f"{path!a} is not a directory")
    return os.path.abspath(path)
