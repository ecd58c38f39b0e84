"""What every exchange says of the ids of its request and its answer."""

from collections.abc import Sequence

from stickyd.http1.head_parser import Head
from stickyd.worker.answer_ids import RequestIds


class WithIds:
    """An exchange: the head of its request, and the ids; None if the chain has none."""

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
