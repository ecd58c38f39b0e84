"""Memory and CPU time of the daemon's processes."""

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from stickyd.process import used_by


@attrs.frozen
class Usage:
    """Of the processes of one slot, or of the master (slot 0).

    :ivar memory: resident, in bytes.
    :ivar cpu: seconds, processes that have ended included.
    """

    slot: int
    memory: int
    cpu: float


class Processes:
    """Adds up what processes have used; the time of one that has ended is that last seen."""

    def __init__(self) -> None:
        self._ended: dict[int, float] = {}
        self._living: dict[int, tuple[int, float]] = {}

    def look(self, living: Iterable[tuple[int, int]]) -> Iterator[Usage]:
        """What the slots have used by now.

        :param living: slot and pid of each process.
        """
        found: dict[int, tuple[int, float]] = {}
        memory: dict[int, int] = {}
        for slot, pid in living:
            used = used_by(pid)
            if used is not None:
                memory[slot] = memory.get(slot, 0) + used.memory
                found[pid] = slot, used.cpu
        for pid, (slot, cpu) in self._living.items():
            if pid not in found:
                self._ended[slot] = self._ended.get(slot, 0.0) + cpu
        self._living = found
        total = dict(self._ended)
        for slot, cpu in found.values():
            total[slot] = total.get(slot, 0.0) + cpu
        for slot, cpu in sorted(total.items()):
            yield Usage(slot, memory.get(slot, 0), cpu)

    # ---- the master's program is replaced

    def pack(self) -> dict[str, Any]:
        """The times, JSON-ready."""
        return {
            "ended": [[slot, cpu] for slot, cpu in self._ended.items()],
            "living": [[pid, slot, cpu] for pid, (slot, cpu) in self._living.items()],
        }

    def resume(self, packed: dict[str, Any]) -> None:
        """Continue with what `pack` of the previous program returned."""
        self._ended = dict(packed["ended"])
        self._living = {pid: (slot, cpu) for pid, slot, cpu in packed["living"]}
