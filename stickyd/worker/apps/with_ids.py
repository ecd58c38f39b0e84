"""What every exchange says of the ids of its request and its answer."""

from collections.abc import Sequence

from stickyd.http1.head_parser import Head
from stickyd.http1.response import Fields
from stickyd.worker.answer_ids import RequestIds
from stickyd.worker.interfaces import ClientChannel


class WithIds:
    """An exchange: the head of its request, and the ids; None if the chain has none."""

    _channel: ClientChannel
    _head: Head
    _ids: RequestIds | None

    @property
    def asked(self) -> Head:
        """The head of the request as it came."""
        return self._head if self._ids is None else self._ids.asked

    @property
    def issued(self) -> Sequence[str]:
        """The ids that the answer has handed out so far."""
        return () if self._ids is None else self._ids.issued

    def _added(self, code: bytes, fields: Fields) -> bytes:
        """The lines that are added to the head of an answer of this status and these fields."""
        line = self._channel.context.config.header_line
        return line if self._ids is None else line + self._ids.lines(code, fields)
