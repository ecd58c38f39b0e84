"""What the service manager is told: sd_notify(3), sd_watchdog_enabled(3).

Datagrams of ``NAME=value`` lines to the Unix socket that ``$NOTIFY_SOCKET``
names; without it nothing is said. Telling never costs the daemon anything: it
does not block, and a socket that nobody reads is no error of ours.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

MASTERS_ALONE = frozenset(
    {
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
    }
)
"""Variables by which a service manager speaks to the master, not to its children."""

STATUS_EVERY = 1.0
"""Seconds between two looks whether the status line has changed."""

UNSENT_MOST = 16
AGAIN_AFTER = 0.1

_log = Logger("stickyd")


class Notifier:
    """Tells the service manager how the daemon is.

    :param environment: with ``NOTIFY_SOCKET``: a path, or ``@name`` in the
        abstract namespace (unix(7)); ``WATCHDOG_USEC``, microseconds;
        ``WATCHDOG_PID``. Usually `os.environ`.
    """

    def __init__(self, reactor: Any, environment: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._interval = watchdog_interval(environment, os.getpid())
        self._socket: socket.socket | None = None
        self._unsent: deque[bytes] = deque(maxlen=UNSENT_MOST)
        self._again: Any = None
        self._looks: LoopingCall | None = None
        self._feeds: LoopingCall | None = None
        self._told_status = ""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    # ---- what can be told

    def ready(self, status: str) -> None:
        """Started, or done with reloading."""
        self._told_status = status
        self._tell("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Reload has begun; `ready` ends it. With the time, as ``Type=notify-reload`` asks."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self, seconds: float) -> None:
        """The end has begun, and may take so long. The status stays as it is."""
        _end(self._looks)
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; said only if it is another than before."""
        if text != self._told_status:
            self._told_status = text
            self._tell(f"STATUS={_line(text)}")

    # ---- what is told by itself

    def start(self, describe: Callable[[], str]) -> None:
        """Say ``describe()`` whenever it has changed, and feed the watchdog.

        Both from the reactor, so a master that hangs falls silent.
        """
        if self._socket is None:
            return
        self._looks = self._every(STATUS_EVERY, lambda: self.status(describe()))
        if self._interval is not None:
            self._feeds = self._every(self._interval, self._feed)

    def _every(self, seconds: float, call: Callable[[], None]) -> LoopingCall:
        loop = LoopingCall(call)
        loop.clock = self._reactor
        running = loop.start(seconds)
        running.addErrback(lambda failure: _log.failure("no more notifications", failure))
        return loop

    def stop(self) -> None:
        """Say nothing any more."""
        _end(self._looks)
        _end(self._feeds)
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # ---- telling

    def _feed(self) -> None:
        # The next ping is as good as one that waits.
        if not self._unsent:
            self._send(b"WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._socket is not None:
            if self._unsent and self._unsent[-1].startswith(b"STATUS="):
                # Nobody needs to hear of a status that is over.
                self._unsent.pop()
            self._unsent.append("\n".join(lines).encode("utf-8", "replace"))
            if self._again is None:
                self._flush()

    def _flush(self) -> None:
        """Send in order. A manager that is slow to read is told later."""
        self._again = None
        while self._unsent:
            if not self._send(self._unsent[0]):
                self._again = self._reactor.callLater(AGAIN_AFTER, self._flush)
                return
            self._unsent.popleft()

    def _send(self, message: bytes) -> bool:
        """Whether it is sent, or never will be."""
        assert self._socket is not None
        try:
            self._socket.sendto(message, self._address)
        except BlockingIOError:
            return False
        except OSError as error:
            _log.debug("nobody reads $NOTIFY_SOCKET: {error}", error=error)
        return True


def watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life, half of what is allowed; None if none are asked for.

    :param pid: ours; ``WATCHDOG_PID`` may ask another process.
    """
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 2e6 if microseconds > 0 else None


def _end(loop: LoopingCall | None) -> None:
    if loop is not None and loop.running:
        loop.stop()


def _address(text: str) -> str:
    """As `socket` wants it, or nothing: other families, such as ``vsock:``, are not for us."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _line(text: str) -> str:
    return " ".join(text.split())
