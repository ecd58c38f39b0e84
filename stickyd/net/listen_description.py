"""The default mode of a Unix socket's file in Twisted's endpoint descriptions. Pure."""

import re

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
    positional: list[str] = []
    for argument in _ARGUMENT.findall(arguments)[:-1] if arguments else []:
        named = _NAME.fullmatch(argument)
        if named is None:
            positional.append(argument)
        elif named[1] == "mode":
            return named[2]
    return positional[1] if len(positional) > 1 else None
