"""The access log of a worker: one line a request, appended to a file that all workers share."""

import time
from typing import Any

from twisted.logger import Logger

from stickyd.http1.access_log_format import Record, compiled
from stickyd.http1.head_parser import Head
from stickyd.ipc.control_channel import CannotLoad
from stickyd.logs.levels import INFO, prefix
from stickyd.logs.target import Target, inherited, opened
from stickyd.logs.writer import LogWriter
from stickyd.routing.client_address import true_client
from stickyd.routing.policy import Placement

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
    """Appends lines to a file, a FIFO or a device; to the daemon's own log if its name is ``-``.

    Lines of several workers do not mix: a line is one write(2) to a file opened with
    O_APPEND, or of at most PIPE_BUF bytes to a pipe (pipe(7)). Nothing waits for it to be
    written: what finds no room is dropped and counted (`stickyd.logs.writer`).

    :raise CannotLoad: if it cannot be opened; one line says why.
    """

    def __init__(self, reactor: Any, path: str, form: str) -> None:
        self._reactor = reactor
        self._path = path
        self._line = compiled(form)
        # Lines of the daemon's log begin with their level; what a client sends must not choose it.
        self._prefix = prefix(INFO).encode() if path == "-" else b""
        self._writer = self._to(self._open())
        self._dropped = 0

    def _open(self) -> Target:
        try:
            return inherited(1) if self._path == "-" else opened(self._path)
        except OSError as error:
            why = error.strerror
            raise CannotLoad(f"cannot open --access-logfile {self._path}: {why}") from error

    def _to(self, target: Target) -> LogWriter:
        return LogWriter(self._reactor, target, _say_dropped, _say_failed)

    def reopen(self) -> None:
        """Go on in a new file of the same name, the old one has been moved away."""
        try:
            new = self._open()
        except CannotLoad as error:
            _log.error("{why}; the old file goes on", why=error)
            return
        self.close()
        self._writer = self._to(new)

    def close(self) -> None:
        """Nothing more comes; what cannot be written at once is dropped."""
        self._writer.close()
        self._dropped += self._writer.take_dropped()

    def write(self, record: Record) -> None:
        """Append the line of a request; a full disk or a blocked pipe costs lines, no request."""
        self._writer.write(self._prefix + self._line(record))

    def take_dropped(self) -> int:
        """How many lines have been dropped since this was asked last."""
        dropped, self._dropped = self._dropped + self._writer.take_dropped(), 0
        return dropped


def _say_dropped(lines: int) -> None:
    _log.warn("{n} lines of the access log were dropped (log_dropped)", n=lines)


def _say_failed(error: OSError) -> None:
    _log.error("the access log cannot be written (said once): {why}", why=error)
