"""The master's end of a worker's control channel."""

import json
from collections.abc import Callable
from typing import Any

from stickyd.ipc import control_channel as control


class MasterControlLink(control.ControlLink):
    """Hears what one worker tells unasked.

    :param on_progress: told its counters.
    :param on_misrouted: told slot, named slot and source of the key.
    :param on_worn: told why it asks to be replaced.
    """

    def __init__(
        self,
        on_progress: Callable[[dict[str, Any]], None],
        on_misrouted: Callable[[int, int, str], None],
        on_worn: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._on_progress = on_progress
        self._on_misrouted = on_misrouted
        self._on_worn = on_worn

    @control.Progress.responder
    def progress(self, counters: bytes) -> dict[str, Any]:
        """A worker tells how far it is."""
        self._on_progress(json.loads(counters))
        return {}

    @control.Misrouted.responder
    def misrouted(self, slot: int, named: int, source: str) -> dict[str, Any]:
        """A worker saw its first misrouted request."""
        self._on_misrouted(slot, named, source)
        return {}

    @control.Recycle.responder
    def worn(self, reason: str) -> dict[str, Any]:
        """A worker asks to be replaced."""
        self._on_worn(reason)
        return {}
