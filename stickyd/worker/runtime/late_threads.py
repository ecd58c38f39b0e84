"""Threads for which a process waits at its end.

Python ends when all threads have that are not daemonic, those of `concurrent.futures` included
(threading, "Thread objects"). One that waits for something that no longer comes keeps the process.
"""

import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

_STDLIB = sysconfig.get_path("stdlib")
_PACKAGES = sysconfig.get_path("purelib")


def late_threads() -> list[str]:
    """Names of the threads that keep this process, with the lines where they are.

    That is the innermost line outside the standard library, if there is one: the wait itself is
    mostly in `threading`.
    """
    frames = sys._current_frames()
    main = threading.main_thread()
    told = []
    for thread in threading.enumerate():
        if thread is not main and not thread.daemon and thread.ident in frames:
            frame = _innermost(frames[thread.ident])
            place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            told.append(f"{thread.name} ({place})")
    return sorted(told)


def _innermost(frame: FrameType) -> FrameType:
    """The first frame of the app or of its libraries; else the one given."""
    outer: FrameType | None = frame
    while outer is not None:
        name = outer.f_code.co_filename
        if not name.startswith(_STDLIB) or name.startswith(_PACKAGES):
            return outer
        outer = outer.f_back
    return frame


def tell_late_threads(after: float, tell: Callable[[str], None]) -> None:
    """Tell once, ``after`` seconds from now, for which threads the process still waits, if any.

    Call it when the process has nothing more to do.
    """

    def look() -> None:
        late = late_threads()
        if late:
            tell(", ".join(late))

    timer = threading.Timer(after, look)
    timer.name = "late threads"
    timer.daemon = True
    timer.start()
