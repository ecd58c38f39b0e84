"""Memory and CPU time of the daemon's processes (proc_pid_stat(5))."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")


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
            used = _used(pid)
            if used is not None:
                memory[slot] = memory.get(slot, 0) + used[0]
                found[pid] = slot, used[1]
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


def _used(pid: int) -> tuple[int, float] | None:
    """Resident bytes and CPU seconds of a process; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[21]) * _PAGE, (int(fields[11]) + int(fields[12])) / _TICK
