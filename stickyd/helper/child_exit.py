"""Calls an app's callable for each ended worker: ``python -m stickyd.helper.child_exit``.

A helper process of the master, which itself never imports an app. Its arguments are a descriptor,
the name of the callable, and ``--app-dir`` or "". The descriptor is a socket: the helper writes an
empty line, or one that says why the callable cannot be loaded, and reads a line of JSON for each
worker: pid, slot, status. It ends at the end of the socket.
"""

import socket
import sys
from collections.abc import Callable
from json import loads

from stickyd.errors import CannotLoad
from stickyd.logs.record import tag_among
from stickyd.process import (
    drop_saved_ids,
    ignore_signals,
    import_from_directory,
    import_from_working_directory,
    unblock_signals,
)
from stickyd.worker.importer import load_named
from stickyd.worker.runtime.output import tell_exception, tell_levels


def load(name: str) -> Callable[[int, int, int], object]:
    """The callable of ``--child-exit``.

    :raise CannotLoad: with one line that says why.
    """
    found = load_named("child-exit", name)
    if not callable(found):
        raise CannotLoad(f"--child-exit {name} is not callable")
    call: Callable[[int, int, int], object] = found
    return call


def main() -> None:
    """Run until the master closes the socket."""
    tell_levels(tag_among(sys.argv))
    drop_saved_ids()
    ignore_signals()
    unblock_signals()
    import_from_working_directory()
    if sys.argv[3]:
        import_from_directory(sys.argv[3])
    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)
    with end, end.makefile("rwb", buffering=0) as stream:
        try:
            call = load(sys.argv[2])
        except CannotLoad as error:
            stream.write(f"{error}\n".encode("utf-8", "backslashreplace"))
            return
        stream.write(b"\n")
        for line in stream:
            try:
                call(*loads(line))
            except Exception:
                tell_exception("--child-exit failed")


if __name__ == "__main__":
    main()
