"""The access log of a worker: one line a request, appended to a file that all workers share."""

import time
from typing import Any

from twisted.logger import Logger

from stickyd.errors import CannotLoad
from stickyd.http1.access_log_format import Record, compiled
from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame
from stickyd.logs.levels import INFO, prefix
from stickyd.logs.target import Target, inherited, opened
from stickyd.logs.writer import LogWriter
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.routing.client_address import true_client
from stickyd.routing.policy import Placement, Policy

_log = Logger("stickyd")


class LoggedRequest:
    """A request that will be logged when it is answered.

    :param policy: tells the client from the proxies.
    :param sent: bytes written to the connection so far.
    """

    __slots__ = (
        "_began",
        "_client",
        "_connection",
        "_head",
        "_log",
        "_placement",
        "_sent",
        "_since",
        "_slot",
    )

    def __init__(
        self,
        log: "AccessLog",
        frame: Frame,
        head: Head,
        policy: Policy,
        placement: Placement,
        slot: int,
        sent: int,
    ) -> None:
        self._log = log
        self._head = head
        self._placement = placement
        self._slot = slot
        self._sent = sent
        self._connection = frame.connection
        peer = frame.peer[0] if frame.peer else None
        client = true_client(head, peer, policy.trusted, policy.forwarded_first)
        self._client = client[0] if client is not None else peer or ""
        self._began = time.time()
        self._since = time.monotonic()

    def answered(self, status: int, sent: int) -> None:
        """Write the line.

        :param status: of the answer, 0 if there was none.
        :param sent: bytes written to the connection by now.
        """
        key = self._placement.key
        self._log.write(
            Record(
                self._client,
                self._head,
                status,
                sent - self._sent,
                self._began,
                time.monotonic() - self._since,
                self._slot,
                self._placement.reason,
                key.text if key is not None else "",
                self._connection,
                self._placement.why,
            )
        )


class AccessLog:
    """Appends lines to a file, a FIFO or a device; to the daemon's own log if its name is ``-``.

    Lines of several workers do not mix: a line is one write(2) to a file opened with
    O_APPEND, or of at most PIPE_BUF bytes to a pipe (pipe(7)). Writing never blocks: lines that
    find no room are dropped and counted (`stickyd.logs.writer`).

    :param form: a predefined format or one of our own (docs/access-log.md).
    :param own: checks the log's descriptor.
    :raise CannotLoad: if it cannot be opened; one line says why.
    """

    def __init__(self, reactor: Any, path: str, form: str, own: OwnDescriptors) -> None:
        self._reactor = reactor
        self._own = own
        self._path = path
        self._line = compiled(form)
        # Lines of the daemon's log begin with their level, which a client must not choose.
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
        self._own.keep("the access log", target.descriptor)
        return LogWriter(self._reactor, target, _say_dropped, _say_failed)

    def reopen(self) -> None:
        """Continue in a new file of the same name, since the old one has been renamed."""
        try:
            new = self._open()
        except CannotLoad as error:
            _log.error("{why}; the old file goes on", why=error)
            return
        old, self._writer = self._writer, self._to(new)
        # What cannot be written at once is dropped.
        old.close()
        self._dropped += old.take_dropped()

    def write(self, record: Record) -> None:
        """Append the line of a request; a full disk or a blocked pipe costs lines, no request."""
        self._writer.write(self._prefix + self._line(record))

    def take_dropped(self) -> int:
        """The number of lines dropped since the last call."""
        dropped, self._dropped = self._dropped + self._writer.take_dropped(), 0
        return dropped


def _say_dropped(lines: int) -> None:
    _log.warn("{n} lines of the access log were dropped (log_dropped)", n=lines)


def _say_failed(error: OSError) -> None:
    _log.error("the access log cannot be written (said once): {why}", why=error)
