"""A program on a terminal of the test's: what it shows, and the keys that it gets."""

import fcntl
import os
import re
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from typing import Any

from tests.support.daemon import ROOT, wait_for

_CONTROL = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\r")
_FRAME = b"\x1b[H"


class Terminal:
    """``stickyd`` with these arguments on a new terminal (pty(7)). Use as a context manager."""

    def __init__(
        self, *arguments: str, size: tuple[int, int] = (120, 40), environment: Any = None
    ) -> None:
        self._arguments = arguments
        self._environment = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            if name not in (environment or {}):
                self._environment.pop(name, None)
        self._master, self._slave = os.openpty()
        self.resize(size)
        self.before = termios.tcgetattr(self._slave)
        self._output = bytearray()

    def __enter__(self) -> "Terminal":
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "stickyd", *self._arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            # Keys such as Ctrl-C are for the foreground group of the controlling terminal.
            start_new_session=True,
            preexec_fn=_take_terminal,
            env=self._environment,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *error: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._close_slave()
        self._reader.join(10)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            self._output += data

    def resize(self, size: tuple[int, int]) -> None:
        """Columns and lines; the kernel sends SIGWINCH."""
        termios.tcsetwinsize(self._slave, (size[1], size[0]))

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def raw(self) -> bytes:
        """Everything that it has written."""
        return bytes(self._output)

    def lines(self) -> list[str]:
        """The last whole frame, or all lines if it has written none."""
        _, *frames = self.raw().split(_FRAME)
        # The last one may not be complete.
        shown = frames[-2] if len(frames) > 1 else self.raw()
        return [line.rstrip() for line in _CONTROL.sub(b"", shown).decode().split("\n")]

    def wait_for(self, condition: Callable[[list[str]], Any], what: str) -> list[str]:
        """The first frame for which it is true."""
        found: list[str] = []

        def shows() -> bool:
            found[:] = self.lines()
            return bool(condition(found))

        try:
            wait_for(shows, what=what)
        except AssertionError:
            raise AssertionError(f"{what}:\n" + "\n".join(found)) from None
        return found

    def wait_line(self, text: str) -> list[str]:
        """The first frame with a line that has this text."""
        return self.wait_for(lambda lines: any(text in line for line in lines), repr(text))

    def ended(self) -> int:
        """Wait for its end; the exit status."""
        status = self.process.wait(30)
        self._left = termios.tcgetattr(self._slave)
        self._close_slave()
        # With no process left at the other end, it reads to the end.
        self._reader.join(10)
        return status

    def after(self) -> list[Any]:
        """The attributes of the terminal now, or when the program ended."""
        return termios.tcgetattr(self._slave) if self._slave >= 0 else self._left

    def _close_slave(self) -> None:
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
