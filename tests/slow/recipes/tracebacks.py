"""Tracebacks that the apps of workers have logged."""

import re
from collections.abc import Iterable

import attrs

BEGIN = "Traceback (most recent call last):"
LINE = re.compile(r"^(?:.*? )?\[(worker [^\]]*)\] ?(.*)$")
# What stands before the lines of an exception group.
MARGIN = re.compile(r"^(?: *[|+](?:-[-+ 0-9]*)?)+ ?")


@attrs.frozen
class Known:
    """An error that an app logs, and that is no fault of the daemon.

    :ivar pattern: found in its last line, or in the lines of its frames.
    :ivar reason: why it may be there.
    """

    pattern: str
    reason: str


@attrs.define
class Traceback:
    """One, as it was logged."""

    lines: list[str] = attrs.Factory(list)
    error: str = ""

    def is_known(self, known: Iterable[Known]) -> bool:
        """Whether one of them describes it."""
        text = "\n".join([*self.lines, self.error])
        return any(re.search(each.pattern, text, re.M) for each in known)


def split(log: Iterable[str]) -> tuple[list[str], list[str]]:
    """Lines of a log that are not of workers, and those that are."""
    lines = list(log)
    apps = [line for line in lines if LINE.match(line)]
    return [line for line in lines if not LINE.match(line)], apps


def tracebacks(log: Iterable[str]) -> list[Traceback]:
    """Those of all workers; the lines of several workers may be mixed.

    Each of a chain is one of its own. A traceback whose end is missing has no error.
    """
    found: list[Traceback] = []
    open_by_worker: dict[str, Traceback] = {}
    for line in log:
        match = LINE.match(line)
        if match is None:
            continue
        worker, said = match[1], MARGIN.sub("", match[2])
        current = open_by_worker.get(worker)
        if BEGIN in said:
            open_by_worker[worker] = Traceback()
            found.append(open_by_worker[worker])
        elif current is not None and (said.startswith(" ") or not said):
            current.lines.append(said)
        elif current is not None:
            current.error = said
            del open_by_worker[worker]
    return found
