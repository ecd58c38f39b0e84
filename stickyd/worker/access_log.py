"""The access log of a worker: one line a request, appended to a file that all workers share."""

import os
import time
from typing import Any

from twisted.logger import Logger

from stickyd.control import CannotLoad
from stickyd.routing.client import true_client
from stickyd.routing.policy import Placement
from stickyd.wire.head import Head
from stickyd.worker.access_format import Record, compiled

_log = Logger("stickyd")


class LoggedRequest:
    """A request that is being served."""

    __slots__ = ("_began", "_channel", "_head", "_log", "_placement", "_sent", "_since")

    def __init__(self, log: "AccessLog", channel: Any, head: Head, placement: Placement) -> None:
        self._log = log
        self._channel = channel
        self._head = head
        self._placement = placement
        self._began = time.time()
        self._since = time.monotonic()
        self._sent = channel.transport.written()

    def answered(self, status: int, sent: int) -> None:
        """Write its line.

        :param status: of the answer, 0 if there was none.
        :param sent: what `written` of the connection's transport says by now.
        """
        channel = self._channel
        peer = channel.frame.peer[0] if channel.frame.peer else None
        policy = channel.worker.policy
        client = true_client(self._head, peer, policy.trusted, policy.forwarded_first)
        key = self._placement.key
        self._log.write(
            Record(
                client[0] if client is not None else peer or "",
                self._head,
                status,
                sent - self._sent,
                self._began,
                time.monotonic() - self._since,
                channel.worker.slot,
                self._placement.reason,
                key.text if key is not None else "",
                channel.frame.connection,
            )
        )


class AccessLog:
    """Appends lines to a file; to the daemon's own log if its name is ``-``.

    A line is one write(2) to a file opened with O_APPEND, so that the lines of
    several workers do not mix (write(2)).

    :raise CannotLoad: if the file cannot be opened; one line says why.
    """

    def __init__(self, path: str, form: str) -> None:
        self._path = path
        self._line = compiled(form)
        self._descriptor = self._open()
        self._failed = False

    def _open(self) -> int:
        if self._path == "-":
            return os.dup(1)
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            return os.open(self._path, flags, 0o640)
        except OSError as error:
            why = error.strerror
            raise CannotLoad(f"cannot open --access-logfile {self._path}: {why}") from error

    def reopen(self) -> None:
        """Go on in a new file of the same name, the old one has been moved away."""
        try:
            new = self._open()
        except CannotLoad as error:
            _log.error("{why}; the old file goes on", why=error)
            return
        self.close()
        self._descriptor = new
        self._failed = False

    def close(self) -> None:
        """Nothing more comes."""
        os.close(self._descriptor)

    def write(self, record: Record) -> None:
        """Append the line of a request; a full disk costs lines, and no request."""
        try:
            os.write(self._descriptor, self._line(record))
        except OSError as error:
            if not self._failed:
                self._failed = True
                _log.error("the access log cannot be written (said once): {why}", why=error)
