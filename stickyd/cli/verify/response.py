"""A whole HTTP response, and the name of the worker in it. Pure."""

import re

import attrs

_SHOWN = 40


@attrs.frozen
class Answer:
    """A whole response: ``head`` from status line to empty line, ``body`` without framing.

    ``closes`` tells that the connection carries no further request.
    """

    status: int
    head: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    closes: bool = False


@attrs.frozen
class WorkerName:
    """Where an answer names its worker: a response header, else the first group of a pattern.

    The pattern is searched in head and body together. Any text serves as a
    name (a number, a pid), as long as one worker always gives the same.
    """

    pattern: re.Pattern[bytes] = attrs.field(default=re.compile(rb"From worker (\S+)"))
    header: str = ""

    def find(self, answer: Answer) -> str | None:
        """The name, printable whatever the server sent; None if there is none."""
        found: bytes | None = None
        if self.header:
            wanted = self.header.lower().encode("ascii")
            values = [value for name, value in answer.headers if name.lower() == wanted]
            found = values[0].strip() if values else None
        elif match := self.pattern.search(answer.head + answer.body):
            found = match[1]
        if not found:
            return None
        # Escaped without loss: two names stay two, and none can steer a terminal.
        return found.decode("latin-1").encode("unicode_escape").decode("ascii")

    def __str__(self) -> str:
        if self.header:
            return f"header {self.header}"
        return f"pattern {self.pattern.pattern.decode('ascii', 'backslashreplace')}"


def shown(name: str) -> str:
    """A worker's name, cut to what a table can hold."""
    return name if len(name) <= _SHOWN else f"{name[: _SHOWN - 1]}~"
