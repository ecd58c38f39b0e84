"""The access log of a worker: one line a request, appended to a file that all workers share."""

import time
from functools import partial
from typing import Any

from twisted.logger import Logger

from stickyd.errors import CannotLoad
from stickyd.http1.access_log_format import JSON, compiled
from stickyd.http1.access_log_json import fitted_line
from stickyd.http1.access_log_record import Line, Record
from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame, Kind
from stickyd.logs import record as log_record
from stickyd.logs.levels import INFO, prefix
from stickyd.logs.record import LINE_MOST, RECORD_MOST, mark_of
from stickyd.logs.shared_output import share
from stickyd.logs.target import Target, inherited, opened
from stickyd.logs.writer import LogWriter
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.routing.client_address import true_client
from stickyd.routing.policy import Placement, Policy
from stickyd.settings import LogSettings

_log = Logger("stickyd")


class LoggedRequest:
    """A request that will be logged when it is answered.

    :param head: as the app gets it, with the id of the request.
    :param policy: tells the client from the proxies.
    :param sent: bytes written to the connection so far.
    :param came_with: the connection has come with it.
    """

    __slots__ = (
        "_began",
        "_client",
        "_connection",
        "_head",
        "_log",
        "_moved",
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
        came_with: bool,
    ) -> None:
        self._log = log
        self._head = head
        self._placement = placement
        self._slot = slot
        self._sent = sent
        self._moved = came_with and frame.kind is Kind.MOVED
        self._connection = frame.connection
        peer = frame.peer_host
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
                self._moved,
                self._log.id_name,
            )
        )


class AccessLog:
    """Appends lines to a file, a FIFO or a device; to the daemon's own log if its name is ``-``.

    Lines of several workers do not mix: a line is one write(2) to a file opened with
    O_APPEND, or of at most PIPE_BUF bytes to a pipe (pipe(7)). Writing never blocks: lines that
    find no room are dropped and counted (`stickyd.logs.writer`).

    :param own: checks the log's descriptor.
    :param tag: of the records of this process; "" if the daemon's log is text.
    :ivar id_name: of the header with the id of a request, in lower case; b"" for none.
    :raise CannotLoad: if it cannot be opened; one line says why.
    """

    def __init__(
        self, reactor: Any, settings: LogSettings, own: OwnDescriptors, tag: str = ""
    ) -> None:
        self._reactor = reactor
        self._own = own
        self._path = settings.access_file
        self._form = settings.access_format
        self._mark = mark_of(tag)
        self.id_name = settings.id_name
        self._writer = self._to(self._open())
        if self._path == "-":
            share(self._writer)
        self._dropped = 0

    def _open(self) -> Target:
        try:
            return inherited(1) if self._path == "-" else opened(self._path)
        except OSError as error:
            why = error.strerror
            raise CannotLoad(f"cannot open --access-logfile {self._path}: {why}") from error

    def _to(self, target: Target) -> LogWriter:
        self._own.keep("the access log", target.descriptor)
        self._line = self._liner(target)
        return LogWriter(self._reactor, target, _say_dropped, _say_failed)

    def _liner(self, target: Target) -> Line:
        """What makes lines for a target; a JSON object that is cut in two would be none."""
        line = compiled(self._form)
        json = self._form == JSON
        if self._path != "-":
            return partial(fitted_line, most=target.most) if json and target.pipe else line
        if self._mark:
            return partial(_as_record, self._mark, line, json)
        if json:
            line = partial(fitted_line, most=LINE_MOST - len(_PREFIX))
        return lambda record: _PREFIX + line(record)

    def reopen(self) -> None:
        """Continue in a new file of the same name, since the old one has been renamed."""
        if self._path == "-":
            return
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
        self._writer.write(self._line(record))

    def take_dropped(self) -> int:
        """The number of lines dropped since the last call."""
        dropped, self._dropped = self._dropped + self._writer.take_dropped(), 0
        return dropped


# Lines of the daemon's log begin with their level, which a client must not choose.
_PREFIX = prefix(INFO).encode()
_MESSAGE = compiled("%(m)s %(U)s %(s)s")


def _as_record(mark: bytes, line: Line, json: bool, record: Record) -> bytes:
    """A line of the access log as a record of the daemon's."""
    fields = ""
    if json:
        fields = fitted_line(record, RECORD_MOST // 2).decode("ascii").rstrip("\n")
        line = _MESSAGE
    text = line(record).decode("utf-8").rstrip("\n")
    said = log_record.Record(time.time(), INFO, "access", text)
    return mark + log_record.packed(said, fields).encode("ascii") + b"\n"


def _say_dropped(lines: int) -> None:
    _log.warn("{n} lines of the access log were dropped (log_dropped)", n=lines)


def _say_failed(error: OSError) -> None:
    _log.error("the access log cannot be written (said once): {why}", why=error)
