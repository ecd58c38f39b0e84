"""Twisted's endpoint descriptions: the mode of a Unix socket's file, and ``ssl:``. Pure."""

import re
from collections.abc import Iterator

UNIX_MODE = "660"
"""Permissions of the file of ``unix:PATH``, in octal: connect(2) needs write permission
(unix(7)). Twisted's default is 666: every user of the machine."""

# The text between colons; a backslash escapes the next character.
_ARGUMENT = re.compile(r"((?:\\.|[^\\:])*)(?::|\Z)")
_NAME = re.compile(r"((?:\\.|[^\\=])*)=(.*)", re.DOTALL)
_MODE = re.compile(r"(?:0o?)?[0-7]{1,3}")


def with_mode(description: str) -> str:
    """The description; for a Unix socket without a mode, with the default mode.

    :raise ValueError: if the mode is invalid, with one line that says what to change.
    """
    kind, colon, rest = description.partition(":")
    if kind != "unix" or not colon:
        return description
    mode = _mode_in(rest)
    if mode is None:
        return f"{description}:mode={UNIX_MODE}"
    if not _MODE.fullmatch(mode):
        raise ValueError(f"mode {mode!a} is not an octal number such as {UNIX_MODE}")
    return description


def _mode_in(arguments: str) -> str | None:
    """The argument ``mode``: named, or the second positional one."""
    return dict(_arguments(arguments, ("address", "mode"))).get("mode")


def _arguments(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names and values, with escapes.

    :param names: of the positional ones, in order; others of these are left out.
    """
    left = iter(names)
    for argument in _ARGUMENT.findall(text)[:-1] if text else []:
        named = _NAME.fullmatch(argument)
        name = named[1] if named is not None else next(left, "")
        if name:
            yield name, named[2] if named is not None else argument


_OF_SSL = ("port", "privateKey", "certKey")
_OF_TCP = ("interface", "backlog")


def tls_in(description: str) -> tuple[str, str, str] | None:
    """``tcp:``, the certificate's file and the key's, of ``ssl:``; None for other descriptions.

    :raise ValueError: if TLS processes cannot do it, with one line that says why.
    """
    kind, _, rest = description.partition(":")
    if kind != "ssl":
        return None
    given = dict(_arguments(rest, _OF_SSL))
    for name in given:
        if name == "extraCertChain":
            raise ValueError(
                f"{name} is not supported: append its certificates to those of certKey"
            )
        if name not in (*_OF_SSL, *_OF_TCP):
            raise ValueError(f"{name} is not supported")
    plain = [f"{name}={given[name]}" for name in _OF_TCP if name in given]
    tcp = "tcp6" if ":" in given.get("interface", "") else "tcp"
    # Twisted's default.
    key = _plain(given.get("privateKey", "server.pem"))
    return ":".join([tcp, given.get("port", ""), *plain]), _plain(given.get("certKey", key)), key


def _plain(escaped: str) -> str:
    return re.sub(r"\\(.)", r"\1", escaped)
