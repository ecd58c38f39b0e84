"""Writes log lines to a target without blocking; when the buffer is full, drops and counts them."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.interfaces import IWriteDescriptor
from zope.interface import implementer

from stickyd.logs.buffer import LogBuffer
from stickyd.logs.target import Target, wait_for_room

MOST = 262144
"""Bytes of lines that wait for one target, beyond what the kernel holds of a pipe."""

TELL_EVERY = 1.0
"""Seconds at least between two notices that lines were dropped."""


@implementer(IWriteDescriptor)
class LogWriter:
    """A target, and the lines that wait for it.

    Lines may be written from any thread, from a signal's handler, and without a reactor that runs.

    :param target: owned from now on; or a function that returns it, called at the first line.
    :param on_dropped: called with the number of dropped lines once writing is possible again.
    :param on_failed: called once with an error other than a full buffer.
    :ivar used: whether anything has been written.
    """

    def __init__(
        self,
        reactor: Any,
        target: Target | Callable[[], Target],
        on_dropped: Callable[[int], None],
        on_failed: Callable[[OSError], None] = lambda error: None,
        most: int = MOST,
    ) -> None:
        self._reactor = reactor
        self._open = target if callable(target) else None
        self._target = None if callable(target) else target
        self._on_dropped = on_dropped
        self._on_failed = on_failed
        self._buffer = LogBuffer(most)
        # A signal's handler may log while its own thread is amid a line.
        self._lock = threading.RLock()
        self._sending = False
        self.used = False
        self._watched = False
        self._failed = False
        self._told = 0
        self._told_at = -TELL_EVERY
        self._counted = 0

    def write(self, text: bytes) -> None:
        """Queue whole lines: they are written now, later, or dropped."""
        with self._lock:
            if self._sending:
                self._buffer.add(text)
                return
            if self._buffer:
                self._send()
            blocked = bool(self._buffer)
            self._buffer.add(text)
            if not blocked:
                self._send()

    def take_dropped(self) -> int:
        """The number of lines dropped since the last call."""
        with self._lock:
            dropped, self._counted = self._buffer.dropped - self._counted, self._buffer.dropped
            return dropped

    def _send(self) -> None:
        failed: OSError | None = None
        self._sending = True
        try:
            if self._target is None:
                if self._open is None:
                    raise OSError(errno.EBADF, "closed")
                self._target = self._open()
            while front := self._buffer.front(self._target.most):
                self._buffer.taken(self._target.send(front))
                self.used = True
        except BlockingIOError:
            if not self._watched:
                self._watched = True
                self._reactor.callFromThread(self._watch)
            return
        except OSError as error:
            self._buffer.discard()
            failed = error
        finally:
            self._sending = False
        self._tell(failed)

    def _tell(self, failed: OSError | None) -> None:
        if failed is not None:
            if not self._failed:
                self._failed = True
                self._on_failed(failed)
            return
        self._failed = False
        now, dropped = time.monotonic(), self._buffer.dropped - self._told
        if dropped and now - self._told_at >= TELL_EVERY:
            self._told, self._told_at = self._buffer.dropped, now
            self._on_dropped(dropped)

    @contextmanager
    def between_lines(self) -> Iterator[None]:
        """Finish a line that is written in part, waiting for room; write none meanwhile."""
        with self._lock:
            while self._buffer.begun and self._target is not None and not self._sending:
                if wait_for_room(self._target.descriptor, 1.0):
                    self._send()
            yield

    def close(self, seconds: float = 0.0) -> None:
        """Write for at most ``seconds``, then close the target."""
        until = time.monotonic() + seconds
        with self._lock:
            while self._target is not None and self._buffer:
                self._send()
                left = until - time.monotonic()
                if self._buffer and not wait_for_room(self._target.descriptor, max(0.0, left)):
                    self._buffer.discard()
            self._unwatch()
            if self._target is not None:
                self._target.close()
                self._target = None

    # ---- for the reactor: the target has room

    def _watch(self) -> None:
        with self._lock:
            if self._buffer and self._target is not None:
                self._reactor.addWriter(self)
            else:
                self._watched = False

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._reactor.removeWriter(self)

    def fileno(self) -> int:
        """For the reactor."""
        return self._target.descriptor if self._target is not None else -1

    def doWrite(self) -> None:
        """For the reactor."""
        with self._lock:
            self._send()
            if not self._buffer:
                self._unwatch()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "log"

    def connectionLost(self, reason: object) -> None:
        """For the reactor, when it ends."""
        with self._lock:
            self._watched = False
