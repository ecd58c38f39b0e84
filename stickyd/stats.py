"""The counters, named as in the report of ``--control``; docs/counters.md explains each."""

from collections import Counter
from typing import Any


class MasterCounters:
    """The master's counters since its start.

    ``refused`` counts by the status of the response; ``proxy`` are connections closed
    without one: from a peer that may not send a PROXY header, or without a valid header.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.handed_off: dict[int, Counter[str]] = {}
        self.refused: Counter[int | str] = Counter()
        self.vanished = 0
        self.silent = 0
        self.upgrades = 0
        self.shed = 0
        self.rescued = 0
        self.released = 0
        self.displaced = 0
        self.forgotten = 0
        self.log_dropped = 0

    def hand_off(self, slot: int, reason: str, count: int = 1) -> None:
        """Count connections that were put into the inbox of ``slot`` because of ``reason``."""
        by = self.handed_off.get(slot)
        if by is None:
            by = self.handed_off[slot] = Counter()
        by[reason] += count

    def resume(self, packed: dict[str, Any]) -> None:
        """Continue from what `as_json` of the previous program returned."""
        self.accepted = packed["accepted"]
        self.handed_off = {int(slot): Counter(by) for slot, by in packed["handed_off"].items()}
        self.refused = Counter(
            {int(name) if name.isdigit() else name: n for name, n in packed["refused"].items()}
        )
        self.vanished = packed["vanished"]
        self.silent = packed.get("silent", 0)
        self.upgrades = packed["upgrades"]
        self.shed = packed["shed"]
        self.rescued = packed["rescued"]
        self.released = packed["released"]
        self.displaced = packed["displaced"]
        self.forgotten = packed["forgotten"]
        # Older programs do not have it.
        self.log_dropped = packed.get("log_dropped", 0)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "accepted": self.accepted,
            "handed_off": {str(slot): dict(by) for slot, by in sorted(self.handed_off.items())},
            "refused": dict(sorted((str(name), n) for name, n in self.refused.items())),
            "vanished": self.vanished,
            "silent": self.silent,
            "upgrades": self.upgrades,
            "shed": self.shed,
            "rescued": self.rescued,
            "released": self.released,
            "displaced": self.displaced,
            "forgotten": self.forgotten,
            "log_dropped": self.log_dropped,
        }


class WorkerCounters:
    """A worker's counters since its start."""

    def __init__(self) -> None:
        self.adopted = 0
        self.requests = 0
        self.placed: Counter[str] = Counter()
        self.moved: Counter[int] = Counter()
        self.arrived = 0
        self.passed = 0
        self.returned = 0
        self.misrouted = 0
        self.refused: Counter[int] = Counter()
        self.lost = 0
        self.pinned = 0
        self.inserted = 0
        self.learned = 0
        self.shed = 0
        self.eased = 0
        self.displaced = 0
        self.forgotten = 0
        self.log_dropped = 0
        self.open = 0

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "adopted": self.adopted,
            "requests": self.requests,
            "placed": dict(sorted(self.placed.items())),
            "moved": {str(slot): n for slot, n in sorted(self.moved.items())},
            "arrived": self.arrived,
            "passed": self.passed,
            "returned": self.returned,
            "misrouted": self.misrouted,
            "refused": {str(status): n for status, n in sorted(self.refused.items())},
            "lost": self.lost,
            "pinned": self.pinned,
            "inserted": self.inserted,
            "learned": self.learned,
            "shed": self.shed,
            "eased": self.eased,
            "displaced": self.displaced,
            "forgotten": self.forgotten,
            "log_dropped": self.log_dropped,
            "open": self.open,
        }


def add_up(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums over several worker reports."""
    total: dict[str, Any] = WorkerCounters().as_json()
    for report in reports:
        for name, value in report.items():
            if isinstance(value, dict):
                for key, number in value.items():
                    total[name][key] = total[name].get(key, 0) + number
            else:
                total[name] += value
    return total
