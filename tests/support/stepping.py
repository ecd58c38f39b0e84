"""A reactor that does one thing at a time, over real sockets."""

import select
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure


class SteppingReactor(Clock):
    """`IReactorFDSet` and `IReactorTime`; nothing happens but in `step` and `advance`."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: dict[Any, int] = {}
        self.writers: dict[Any, int] = {}

    def addReader(self, reader: Any) -> None:
        self.readers[reader] = reader.fileno()

    def removeReader(self, reader: Any) -> None:
        self.readers.pop(reader, None)

    def addWriter(self, writer: Any) -> None:
        self.writers[writer] = writer.fileno()

    def removeWriter(self, writer: Any) -> None:
        self.writers.pop(writer, None)

    def ready(self) -> list[tuple[Any, bool]]:
        """What could be done now: (descriptor, whether it is for reading)."""
        readable, writable, _ = select.select(
            list(self.readers.values()), list(self.writers.values()), [], 0
        )
        found = [(r, True) for r, fd in self.readers.items() if fd in readable]
        return found + [(w, False) for w, fd in self.writers.items() if fd in writable]

    def step(self, which: int = 0) -> bool:
        """Do one thing that is ready; False if nothing is."""
        ready = self.ready()
        if not ready:
            return False
        descriptor, reading = ready[which % len(ready)]
        why = descriptor.doRead() if reading else descriptor.doWrite()
        if why is not None:
            self.removeReader(descriptor)
            self.removeWriter(descriptor)
            descriptor.connectionLost(Failure(why))
        self.advance(0)
        return True

    def settle(self, most: int = 10_000) -> None:
        """Do everything there is to do now."""
        for _ in range(most):
            if not self.step():
                return
        raise AssertionError("it does not come to rest")
