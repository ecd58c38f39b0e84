"""The body of one request, while it is being received."""

from twisted.logger import Logger

from stickyd.http1.body_parser import BodyPart, ChunkedReader, LengthReader
from stickyd.http1.error_response import NOT_STORED, Refusal
from stickyd.worker.interfaces import Exchange

_log = Logger("stickyd")


class RequestBody:
    """Passes a request body to its exchange.

    :ivar received: bytes that have arrived, with their framing.
    :ivar held: the app takes no more for now.
    """

    __slots__ = ("_reader", "exchange", "held", "received")

    def __init__(self, exchange: Exchange, reader: LengthReader | ChunkedReader) -> None:
        self._reader = reader
        self.exchange = exchange
        self.received = 0
        self.held = False

    def receive(self, data: bytes) -> bytes | Refusal | None:
        """Take bytes of the client: those behind the end of the body, None before its end.

        A body that is malformed, too large or cannot be stored gives the error to answer with.
        """
        self.received += len(data)
        part = self._reader.read(data)
        if isinstance(part, Refusal):
            return part
        assert isinstance(part, BodyPart)
        if part.data:
            try:
                self.exchange.bodyReceived(part.data)
            except OSError as error:
                _log.error("a request body cannot be stored: {why}", why=error)
                return NOT_STORED
        return part.rest
