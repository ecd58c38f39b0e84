"""Warns that connections carry requests of several clients."""

from twisted.logger import Logger

_log = Logger("stickyd")


class MisrouteWarning:
    """Logs the first request that a worker serves although its key names another slot.

    :ivar told: the warning was logged; the counter ``misrouted`` has the others.
    """

    def __init__(self) -> None:
        self.told = False

    def note(self, slot: int, named: int, source: str) -> None:
        """The worker of ``slot`` served a request whose key, from ``source``, names ``named``."""
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
