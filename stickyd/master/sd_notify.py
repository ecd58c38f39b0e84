"""Notifies the service manager: sd_notify(3), sd_watchdog_enabled(3).

Datagrams of ``NAME=value`` lines to the Unix socket that ``$NOTIFY_SOCKET`` names; without
it nothing is sent. Sending never blocks, and a socket without a reader is not an error.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

STATUS_EVERY = 1.0
"""Seconds between two checks whether the status line has changed."""

UNSENT_MOST = 16
AGAIN_AFTER = 0.1

_log = Logger("stickyd")


class Notifier:
    """Sends the state of the daemon to the service manager.

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
        self._status_loop: LoopingCall | None = None
        self._watchdog_loop: LoopingCall | None = None
        self._last_status = ""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    # ---- notifications

    def ready(self, status: str) -> None:
        """The start, or a reload, is complete."""
        self._last_status = status
        self._queue("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it. With the time, for ``Type=notify-reload``."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._queue("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self, seconds: float) -> None:
        """The stop has begun and may take ``seconds``. The status line stays."""
        _end(self._status_loop)
        self._queue("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; sent only if it has changed."""
        if text != self._last_status:
            self._last_status = text
            self._queue(f"STATUS={_line(text)}")

    # ---- periodic notifications

    def start(self, describe: Callable[[], str]) -> None:
        """Send ``describe()`` whenever it has changed, and the watchdog pings.

        Both from the reactor, so a master that hangs sends nothing.
        """
        if self._socket is None:
            return
        self._status_loop = self._every(STATUS_EVERY, lambda: self.status(describe()))
        if self._interval is not None:
            self._watchdog_loop = self._every(self._interval, self._ping)

    def _every(self, seconds: float, call: Callable[[], None]) -> LoopingCall:
        loop = LoopingCall(call)
        loop.clock = self._reactor
        running = loop.start(seconds)
        running.addErrback(lambda failure: _log.failure("no more notifications", failure))
        return loop

    def stop(self) -> None:
        """Stop sending, and close the socket."""
        _end(self._status_loop)
        _end(self._watchdog_loop)
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # ---- sending

    def _ping(self) -> None:
        # The next ping serves as well as one that waits.
        if not self._unsent:
            self._send(b"WATCHDOG=1")

    def _queue(self, *lines: str) -> None:
        if self._socket is not None:
            if self._unsent and self._unsent[-1].startswith(b"STATUS="):
                # A status that is no longer true need not be sent.
                self._unsent.pop()
            self._unsent.append("\n".join(lines).encode("utf-8", "replace"))
            if self._again is None:
                self._flush()

    def _flush(self) -> None:
        """Send in order; retry later if the manager is slow to read."""
        self._again = None
        while self._unsent:
            if not self._send(self._unsent[0]):
                self._again = self._reactor.callLater(AGAIN_AFTER, self._flush)
                return
            self._unsent.popleft()

    def _send(self, message: bytes) -> bool:
        """False to retry later; True if it is sent, or never can be."""
        assert self._socket is not None
        try:
            self._socket.sendto(message, self._address)
        except BlockingIOError:
            return False
        except OSError as error:
            _log.debug("nobody reads $NOTIFY_SOCKET: {error}", error=error)
        return True


def watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two watchdog pings, half of the allowed time; None without a watchdog.

    :param pid: of this process; ``WATCHDOG_PID`` may name another one.
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
    """The address for `socket`, or an empty text for other families, such as ``vsock:``."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _line(text: str) -> str:
    return " ".join(text.split())
