"""The level of a printed line: ``<N>`` in front of it, as sd-daemon(3) says. Pure.

N is a priority of syslog(3). What has no such prefix is of level info.
"""

import re

CRITICAL, ERROR, WARNING, INFO, DEBUG = 2, 3, 4, 6, 7

_PREFIXED = re.compile(rb"<([0-7])>")
_NAMES = ("critical",) * 3 + ("error", "warn", "info", "info", "debug")
# The least levels of `logging`, and what they are to syslog.
_OF_LOGGING = ((50, CRITICAL), (40, ERROR), (30, WARNING), (20, INFO))


def name(priority: int) -> str:
    """The name of a level, as Twisted has it."""
    return _NAMES[priority] if 0 <= priority < len(_NAMES) else "info"


def split(line: bytes) -> tuple[int, bytes]:
    """The priority of a line, and the line without its prefix."""
    match = _PREFIXED.match(line)
    return (int(match[1]), line[3:]) if match else (INFO, line)


def prefix(priority: int) -> str:
    """What goes in front of a line."""
    return f"<{priority}>"


def prefixed(priority: int, text: str, *, within: bool = False) -> str:
    """``text`` with the prefix in front of each of its lines.

    :param within: it goes on with a line that has begun.
    """
    front = prefix(priority)
    lines = ("" if within else front) + text.replace("\n", "\n" + front)
    # Behind the last line end no line has begun.
    return lines.removesuffix(front) if text.endswith("\n") or not text else lines


def of_logging(level: int) -> int:
    """The priority of a level of Python's `logging`."""
    return next((priority for least, priority in _OF_LOGGING if level >= least), DEBUG)
