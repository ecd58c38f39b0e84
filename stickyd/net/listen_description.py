"""What stickyd adds to Twisted's endpoint descriptions: the mode of a Unix socket's file. Pure."""

import re

UNIX_MODE = "660"
"""Permissions of the file of ``unix:PATH``, in octal: to connect takes the right to write it
(unix(7)). Twisted's own default is 666: everybody on the machine."""

# What stands between colons; a backslash takes the next character's meaning away.
_ARGUMENT = re.compile(r"((?:\\.|[^\\:])*)(?::|\Z)")
_NAME = re.compile(r"((?:\\.|[^\\=])*)=(.*)", re.DOTALL)
_MODE = re.compile(r"(?:0o?)?[0-7]{1,3}")


def with_mode(description: str) -> str:
    """The description; if it is one of a Unix socket and gives no mode, with ours.

    :raise ValueError: if it gives one that is none, with one line that says what to change.
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
    """The argument ``mode``, which may be named, or the second one without a name."""
    positional: list[str] = []
    for argument in _ARGUMENT.findall(arguments)[:-1] if arguments else []:
        named = _NAME.fullmatch(argument)
        if named is None:
            positional.append(argument)
        elif named[1] == "mode":
            return named[2]
    return positional[1] if len(positional) > 1 else None
