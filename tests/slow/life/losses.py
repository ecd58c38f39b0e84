"""What a killed worker had in its hands, from its own notes, and so what may be lost."""

import enum
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import attrs

from tests.slow.life.load import Loss

INSTANT, WITHOUT_PROCESSOR = 5_000_000, 100_000_000
"""Nanoseconds before a kill in which the client has read an answer whose sender may not have gone
on since: the answer is in the kernel, and the note that the connection idles is the next step. A
worker that did not sleep may have lost its processor in between, to the client that it woke up."""


class Fate(enum.Enum):
    """What a lost connection was doing."""

    IDLE = "idle in a killed worker"
    JUST_ANSWERED = "answered whole at the instant of the kill, no request in flight"
    BEGUN = "a request was being answered by a killed worker"
    HELD = "in a killed worker, its request not given to the app yet"
    ON_ITS_WAY = "new, waiting in an inbox, or with a worker that lives"


@attrs.frozen
class Death:
    """A kill.

    :ivar at: time.monotonic_ns; 0 if that is not known.
    :ivar asleep: the process waited for events then.
    """

    at: int = 0
    asleep: bool = True

    @classmethod
    def by_kill(cls, pid: int) -> "Death":
        """Kill it."""
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        death = cls(time.monotonic_ns(), state == "S")
        os.kill(pid, signal.SIGKILL)
        return death

    def just_after(self, answered: int) -> bool:
        """Whether what the client had read then may not have been noted."""
        return bool(self.at) and answered > self.at - (
            INSTANT if self.asleep else WITHOUT_PROCESSOR
        )


@attrs.frozen
class Notes:
    """What workers wrote down (`LIFE_NOTES` of the app for load).

    :ivar taken: by port of the client: when (time.monotonic_ns), and which pid took it.
    :ivar begun: numbers of requests that an app has begun.
    """

    taken: dict[int, list[tuple[int, int]]]
    begun: set[int]

    @classmethod
    def read(cls, directory: Path) -> "Notes":
        """The notes of every worker there was."""
        taken: dict[int, list[tuple[int, int]]] = {}
        begun = set()
        for file in directory.glob("notes-*"):
            pid = int(file.name.partition("-")[2])
            for line in file.read_text().splitlines():
                what, number, when = line.split()
                if what == "taken":
                    taken.setdefault(int(number), []).append((int(when), pid))
                else:
                    begun.add(int(number))
        return cls(taken, begun)

    def fate(self, loss: Loss, killed: Mapping[int, Death]) -> Fate:
        """What became of a lost connection; ``killed`` as for `judged`."""
        notes = self.taken.get(loss.port, ())
        takers = [(when, pid) for when, pid in notes if loss.opened < when < loss.ended]
        if not takers or max(takers)[1] not in killed or loss.how.startswith("no answer"):
            return Fate.ON_ITS_WAY
        if not loss.due:
            just = killed[max(takers)[1]].just_after(loss.answered)
            return Fate.JUST_ANSWERED if just else Fate.IDLE
        begun = any(asked.number in self.begun for asked in loss.due)
        return Fate.BEGUN if begun else Fate.HELD


def judged(
    losses: list[Loss], notes: Notes, killed: Mapping[int, Death]
) -> tuple[Counter[Fate], list[str]]:
    """How many of each fate; a line for each that had something in flight or idled.

    :param killed: by pid.
    """
    fates = [(loss, notes.fate(loss, killed)) for loss in losses]
    # What must not be comes first.
    worst = (Fate.ON_ITS_WAY, Fate.IDLE)
    ordered = sorted(fates, key=lambda each: each[1] not in worst)
    lines = [
        f"{loss}: {fate.value}; last answer {(loss.ended - loss.answered) / 1e6:.1f} ms before"
        for loss, fate in ordered
        if loss.due or fate in worst
    ]
    return Counter(fate for _, fate in fates), lines
