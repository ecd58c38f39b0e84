"""The figures of a report of ``--control``, checked. Pure; docs/counters.md explains each.

Numbers are numbers, and texts have nothing that a terminal would interpret, whatever the
report has.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

_TEXT_MOST = 60
_NUMBER_MOST = 2**63


class NotOurs(ValueError):
    """The document is no report; the text is one line of ASCII that says why."""


class Process(NamedTuple):
    """A worker process; memory in bytes, times in seconds.

    :ivar idle: connections that wait for a request; None if they are not counted.
    :ivar upgraded: connections that the app has taken over.
    """

    pid: int
    state: str
    generation: int
    open: int
    idle: int | None
    upgraded: int
    memory: int | None
    cpu: float | None
    age: float | None


class Slot(NamedTuple):
    """A slot; the counters are of all workers that it has had.

    :ivar waiting: connections that wait for space in the inbox.
    :ivar workers: the one that serves, or is to, is the first.
    """

    number: int
    state: str
    load: int | None
    waiting: int
    requests: int
    moved: int
    arrived: int
    misrouted: int
    workers: tuple[Process, ...]


class Figures(NamedTuple):
    """The daemon.

    :ivar not_ready: why it is not; empty if it is.
    :ivar process: the master's, with the connections whose head is not complete.
    :ivar idle: None if they are not counted.
    :ivar refused: requests of master and workers, by status.
    :ivar dropped: lines of the logs.
    """

    version: str
    ready: bool
    not_ready: str
    scope: str
    generation: int
    process: Process
    open: int
    idle: int | None
    most: int
    slots: tuple[Slot, ...]
    requests: int
    upgraded: int
    moved: int
    misrouted: int
    lost: int
    refused: dict[str, int]
    restarts: dict[str, int]
    shed: int
    dropped: int


def read(report: object) -> Figures:
    """The figures of a report.

    :raise NotOurs: if something is missing, or of another kind.
    """
    whole = _Part(report, "")
    master, workers = whole.part("master"), whole.part("workers")
    refused = Counter(master.counts("refused"))
    refused.update(workers.counts("refused"))
    connections = whole.part("connections")
    return Figures(
        version=whole.text("version"),
        ready=whole.truth("ready"),
        not_ready=whole.text("not_ready"),
        scope=whole.text("scope"),
        generation=whole.count("generation"),
        process=_master(master, whole.truth("ready"), whole.count("generation")),
        open=connections.count("open"),
        idle=connections.count_or_none("idle"),
        most=connections.count("most"),
        slots=tuple(_slot(each) for each in whole.parts("slots")),
        requests=workers.count("requests"),
        upgraded=workers.count("upgraded"),
        moved=sum(workers.counts("moved").values()),
        misrouted=workers.count("misrouted"),
        lost=workers.count("lost"),
        refused=dict(sorted(refused.items())),
        restarts=master.counts("restarts"),
        shed=master.count("shed") + workers.count("shed"),
        dropped=master.count("log_dropped") + workers.count("log_dropped"),
    )


def _master(part: "_Part", ready: bool, generation: int) -> Process:
    return Process(
        pid=part.count("pid"),
        state="ready" if ready else "not ready",
        generation=generation,
        open=part.count("open"),
        idle=None,
        upgraded=0,
        memory=part.count_or_none("memory"),
        cpu=part.seconds_or_none("cpu"),
        age=part.seconds_or_none("age"),
    )


def _slot(part: "_Part") -> Slot:
    totals = part.part("totals")
    return Slot(
        number=part.count("slot"),
        state=part.text("state"),
        load=part.count_or_none("load"),
        waiting=part.count("waiting"),
        requests=totals.count("requests"),
        moved=sum(totals.counts("moved").values()),
        arrived=totals.count("arrived"),
        misrouted=totals.count("misrouted"),
        workers=tuple(_process(each) for each in part.parts("workers")),
    )


def _process(part: "_Part") -> Process:
    return Process(
        pid=part.count("pid"),
        state=part.text("state"),
        generation=part.count("generation"),
        open=part.count("open"),
        idle=part.count_or_none("idle"),
        upgraded=part.count("upgraded"),
        memory=part.count_or_none("memory"),
        cpu=part.seconds_or_none("cpu"),
        age=part.seconds_or_none("age"),
    )


def shown(text: str) -> str:
    """Visible ASCII and blanks as they are, all else escaped; cut if it is long."""
    safe = "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)
    return safe if len(safe) <= _TEXT_MOST else f"{safe[: _TEXT_MOST - 3]}..."


class _Part:
    """An object of the document.

    :param path: where it is, for errors.
    """

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise NotOurs(f"{path or 'it'} is no object")
        self._value = value
        self._path = path

    def _where(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _get(self, name: str) -> object:
        if name not in self._value:
            raise NotOurs(f"it has no {self._where(name)}")
        found: object = self._value[name]
        return found

    def part(self, name: str) -> "_Part":
        return _Part(self._get(name), self._where(name))

    def parts(self, name: str) -> "list[_Part]":
        found = self._get(name)
        if not isinstance(found, list):
            raise NotOurs(f"{self._where(name)} is no list")
        return [_Part(each, self._where(name)) for each in found]

    def text(self, name: str) -> str:
        found = self._get(name)
        if not isinstance(found, str):
            raise NotOurs(f"{self._where(name)} is no text")
        return shown(found)

    def truth(self, name: str) -> bool:
        return self._get(name) is True

    def count(self, name: str) -> int:
        return _count(self._get(name), self._where(name))

    def count_or_none(self, name: str) -> int | None:
        return None if self._get(name) is None else self.count(name)

    def seconds_or_none(self, name: str) -> float | None:
        found = self._get(name)
        if found is None:
            return None
        if (
            not isinstance(found, int | float)
            or not math.isfinite(found)
            or not 0 <= found < _NUMBER_MOST
        ):
            raise NotOurs(f"{self._where(name)} is no number of seconds")
        return float(found)

    def counts(self, name: str) -> dict[str, int]:
        found = self._get(name)
        if not isinstance(found, Mapping):
            raise NotOurs(f"{self._where(name)} is no object")
        counts: Counter[str] = Counter()
        for key, value in found.items():
            counts[shown(str(key))] += _count(value, self._where(name))
        return dict(counts)


def _count(value: object, where: str) -> int:
    # The exact type: bool is an int.
    if type(value) is not int or not 0 <= value < _NUMBER_MOST:
        raise NotOurs(f"{where} is no count")
    return value
