"""Standard output of a process that a `LogWriter` writes to as well, without blocking.

What is printed blocks until it is written, and could come amid a line that the writer has written
in part. So code that prints does it within `alone`, which finishes the writer's line first.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from stickyd.logs.writer import LogWriter


class _Sharing:
    """One a process; not that of a process which it forks."""

    writer: LogWriter | None = None
    pid = 0


def share(writer: LogWriter) -> None:
    """The writer writes to standard output from now on."""
    _Sharing.writer = writer
    _Sharing.pid = os.getpid()


@contextmanager
def alone() -> Iterator[None]:
    """No line of the writer is half written meanwhile."""
    writer = _Sharing.writer
    if writer is None or os.getpid() != _Sharing.pid:
        yield
        return
    with writer.between_lines():
        yield
