"""A command whose output nobody reads any more: it ends as if SIGPIPE had ended it, and quietly."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable

STATUS = 128 + signal.SIGPIPE
"""The exit status: what a shell makes of a program that SIGPIPE has ended."""


def status_of(command: Callable[[], int]) -> int:
    """Run a command; its exit status.

    Python ignores SIGPIPE, which sockets need, and writes what it has buffered at its exit.
    """
    try:
        try:
            return command()
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
    except BrokenPipeError:
        _silence()
        return int(STATUS)


def _silence() -> None:
    """Let what is still buffered go nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
