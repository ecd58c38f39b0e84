"""Telling the operator that connections carry requests of several clients."""

from twisted.logger import Logger

_log = Logger("stickyd")


class MisrouteWarning:
    """Speaks up at the first request that a worker answers though another slot is named.

    :ivar told: that has happened; the counters tell of the others.
    """

    def __init__(self) -> None:
        self.told = False

    def note(self, slot: int, named: int, source: str) -> None:
        """A worker saw one: it serves ``slot``, and ``source`` of the key names ``named``."""
        if self.told:
            return
        self.told = True
        _log.warn(
            "a request on a kept-alive connection reached worker {slot}, but its {source} names"
            " worker {named}: something in front of stickyd shares connections between clients."
            " --affinity-scope request routes every request (said once; the counter is"
            " 'misrouted')",
            slot=slot,
            named=named,
            source=source,
        )
