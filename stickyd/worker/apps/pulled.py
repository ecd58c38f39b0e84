"""Pull producers whose output may not be sent."""

from typing import Any, Protocol

from twisted.internet.interfaces import IPullProducer
from zope.interface import implementer


class PullingExchange(Protocol):
    """The exchange that a producer writes to."""

    def pulled(self) -> None:
        """The producer has been asked for more."""


@implementer(IPullProducer)
class Pulled:
    """A pull producer that finishes though what it writes is not sent (an answer to HEAD)."""

    def __init__(self, exchange: PullingExchange, producer: Any) -> None:
        self._exchange = exchange
        self._producer = producer

    def resumeProducing(self) -> None:
        """For the transport."""
        self._producer.resumeProducing()
        self._exchange.pulled()

    def stopProducing(self) -> None:
        """For the transport: the connection is lost."""
        self._producer.stopProducing()
