"""The terminal of ``top``: keys, and what wakes the program."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType

_READ = 1024
_KEYS = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"k": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"j": "down",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"q": "quit",
    b"Q": "quit",
    # Of a terminal in raw mode; otherwise it sends SIGINT.
    b"\x03": "quit",
}


def keys_in(data: bytes) -> Iterator[str]:
    """The keys that have a meaning. Pure."""
    while data:
        found = next((key for key in _KEYS if data.startswith(key)), b"")
        if found:
            yield _KEYS[found]
        data = data[len(found) or 1 :]


class Wakeup:
    """A pipe: a byte in it ends a wait in `Keys.wait`. Signal handlers and threads write it."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        """End the wait; a full pipe has a byte already."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._writer, b".")

    def take(self) -> None:
        """Forget the bytes."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, _READ)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.reader)
        os.close(self._writer)


class Keys:
    """Reads keys one by one, without echo; a context in which the terminal is so.

    :ivar over: a signal asked to end.
    :ivar suspended: a signal asked to stop (Ctrl-Z).
    """

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._input)
        self.over = self.suspended = False

    def __enter__(self) -> "Keys":
        self._handlers = {
            number: signal.signal(number, self._signalled)
            for number in (
                *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
                *(signal.SIGTSTP, signal.SIGWINCH),
            )
        }
        self.take()
        return self

    def __exit__(self, *error: object) -> None:
        self.give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def take(self) -> None:
        """Read single keys from now on."""
        tty.setcbreak(self._input)

    def give_back(self) -> None:
        """The terminal as it was."""
        # EIO: it has gone.
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTSTP:
            self.suspended = True
        elif number != signal.SIGWINCH:
            self.over = True
        self._wakeup.wake()

    def wait(self, seconds: float) -> list[str]:
        """The keys pressed within ``seconds``; earlier if there are some, or something wakes."""
        ready, _, _ = select.select([self._input, self._wakeup.reader], [], [], max(seconds, 0.0))
        self._wakeup.take()
        if self._input not in ready:
            return []
        try:
            data = os.read(self._input, _READ)
        except OSError:
            data = b""
        if not data:
            # The terminal has gone.
            self.over = True
        return list(keys_in(data))
