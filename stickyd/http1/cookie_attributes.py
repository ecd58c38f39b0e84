"""The Set-Cookie line of a cookie that the daemon sets itself (RFC 6265, 4.1). Pure."""

import re

import attrs

_FLAGS = {"secure": "Secure", "httponly": "HttpOnly", "partitioned": "Partitioned"}
_VALUES = {"path": "Path", "domain": "Domain", "max-age": "Max-Age", "samesite": "SameSite"}
_KNOWN = ", ".join((*_FLAGS.values(), *_VALUES.values()))
_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}

_PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]*")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# With a dot, since browsers take no single label, and no address, which has no subdomains.
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?=[^.]*[A-Za-z]){_LABEL}")
_SECONDS = re.compile(r"[1-9][0-9]{0,9}")


class AttributeFault(ValueError):
    """Attributes that cannot be sent; one line of ASCII says what to change."""


@attrs.frozen
class CookieAttributes:
    """The attributes of a cookie.

    :ivar text: those that do not depend on the request, each behind a semicolon and a space.
    :ivar secure: Secure is sent over plain HTTP, too.
    :ivar names: of those that were given, in lower case.
    """

    text: str
    secure: bool
    names: frozenset[str]

    @classmethod
    def parse(cls, spec: str) -> "CookieAttributes":
        """Read ``SameSite=None; Secure``; HttpOnly, SameSite=Lax and Path=/ unless said.

        :raise AttributeFault: for what no browser would take, or would take for something else.
        """
        if not (spec.isascii() and spec.isprintable()):
            raise AttributeFault("control character, or one that is not ASCII")
        given = _read(spec)
        if given.get("samesite") == "None" and "secure" not in given:
            raise AttributeFault("SameSite=None needs Secure: browsers drop it otherwise")
        if "partitioned" in given and "secure" not in given:
            raise AttributeFault("Partitioned needs Secure: browsers drop it otherwise")
        merged: dict[str, str | None] = {"path": "/", "httponly": None, "samesite": "Lax", **given}
        # Its place is the request's to say.
        merged.pop("secure", None)
        text = "".join(
            f"; {_FLAGS[name]}" if value is None else f"; {_VALUES[name]}={value}"
            for name, value in merged.items()
        )
        return cls(text, "secure" in given, frozenset(given))

    def check_name(self, name: str) -> None:
        """See that the attributes suit the prefix of a name (RFC 6265bis, 4.1.3).

        :raise AttributeFault: if browsers drop a cookie of that name.
        """
        prefix = name[: name.find("-", 2) + 1].lower()
        if prefix in ("__secure-", "__host-") and not self.secure:
            raise AttributeFault(f"a cookie called {name} needs Secure")
        if prefix == "__host-" and ("domain" in self.names or "; Path=/;" not in f"{self.text};"):
            raise AttributeFault(f"a cookie called {name} has Path=/ and no Domain")

    def line(self, name: str, value: str, *, secure: bool) -> bytes:
        """The Set-Cookie line of a cookie.

        :param secure: the client uses TLS.
        """
        mark = "; Secure" if secure or self.secure else ""
        return f"Set-Cookie: {name}={value}{self.text}{mark}\r\n".encode("ascii")


def _read(spec: str) -> dict[str, str | None]:
    given: dict[str, str | None] = {}
    for part in spec.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        key = name.lower()
        if not name and not equals:
            # Nothing between two semicolons, or behind the last one.
            continue
        if key in given:
            raise AttributeFault(f"{name} is there twice")
        if key in _FLAGS:
            if equals:
                raise AttributeFault(f"{name} takes no value")
            given[key] = None
        elif key in _VALUES:
            given[key] = _value(key, value)
        else:
            raise AttributeFault(f"unknown attribute {name!r} (known: {_KNOWN})")
    return given


def _value(key: str, value: str) -> str:
    if key == "samesite":
        if value.lower() not in _SAME_SITE:
            raise AttributeFault(f"SameSite={value!r} is none of Strict, Lax, None")
        return _SAME_SITE[value.lower()]
    if key == "path" and not _PATH.fullmatch(value):
        raise AttributeFault(f"Path={value!r} does not begin with /, or has a blank")
    if key == "domain" and (len(value) > 253 or not _DOMAIN.fullmatch(value)):
        raise AttributeFault(f"Domain={value!r} is no domain name of two labels or more")
    if key == "max-age" and not _SECONDS.fullmatch(value):
        raise AttributeFault(f"Max-Age={value!r} is no number of seconds above 0")
    return value
