"""What a client sends behind the head of a request: its body, at the pace of the app."""

from typing import Any

from twisted.logger import Logger

from stickyd.http1.body_parser import BodyPart, ChunkedReader, LengthReader
from stickyd.http1.error_response import NOT_STORED, Refusal
from stickyd.ipc.frame import Frame
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.timeouts import Timed
from stickyd.worker.interfaces import Exchange

_log = Logger("stickyd")

READ_AHEAD = 32768
"""Bytes read behind the request that is being answered before reading stops."""


class Receiving(Timed):
    """A connection that may be in the middle of a body."""

    def __init__(self, worker: Any, frame: Frame, descriptor: int) -> None:
        super().__init__(worker, frame, descriptor)
        self._reader: LengthReader | ChunkedReader | None = None

    def _deliver(self, exchange: Exchange) -> None:
        """The request is whole."""
        raise NotImplementedError

    def _begin_body(self, reader: LengthReader | ChunkedReader) -> None:
        """Behind a head that announces a body: part of it may be here already."""
        self.state = State.BODY
        self._pace.stop()
        self._reader = reader
        held, self._buffer = self._buffer, b""
        self._body(held)
        if self.state is State.BODY:
            # So much may have been read ahead that reading had stopped.
            self._read_on()

    def _body(self, data: bytes) -> None:
        assert self._reader is not None
        assert self._exchange is not None
        self._received += len(data)
        part = self._reader.read(data)
        if isinstance(part, Refusal):
            self.refuse(part)
            return
        assert isinstance(part, BodyPart)
        if part.data:
            try:
                self._exchange.bodyReceived(part.data)
            except OSError as error:
                _log.error("a request body cannot be stored: {why}", why=error)
                self.refuse(NOT_STORED)
                return
        if part.rest is None:
            self._arm()
            return
        self._buffer = part.rest
        self._reader = None
        if self._held:
            self._held = False
            self._read_on()
        self._deliver(self._exchange)

    def _read_on(self) -> None:
        if (
            not self.client_done
            and not self._held
            and self.state not in (State.ROOM, State.OVER)
            and len(self._buffer) < READ_AHEAD
        ):
            self.transport.startReading()

    # ---- what the exchange says

    def hold(self, exchange: Exchange) -> None:
        """The app has enough of the request body for now: the client's silence is its doing."""
        if self.state is State.BODY and exchange is self._exchange:
            self._held = True
            self.transport.stopReading()
            self._arm()

    def go_on(self, exchange: Exchange) -> None:
        """The app takes more of the request body."""
        if self._held and exchange is self._exchange:
            self._held = False
            self._read_on()
            self._arm()
