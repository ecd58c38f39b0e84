"""What a crowd of clients did and heard."""

from collections import Counter
from collections.abc import Iterable

import attrs

MESSAGES = 4
"""What every client says, each of it heard by itself and by its partner, and acknowledged."""


@attrs.define
class Plan:
    """One client. Two that follow each other share a room.

    :ivar address: the local address it connects from; None for any.
    """

    name: str
    room: str
    address: str | None

    @property
    def said(self) -> list[str]:
        """What it says."""
        return [f"{self.name}.{n}" for n in range(MESSAGES)]


def plans(kind: str, count: int, first: int, *, addresses: bool) -> list[Plan]:
    """Clients number ``first`` and the following, each of an address of its own."""
    made = []
    for n in range(first, first + count):
        address = f"127.7.{n // 250}.{n % 250 + 1}" if addresses else None
        made.append(Plan(f"{kind}{n}", f"{kind}{n // 2}", address))
    return made


@attrs.define
class Outcome:
    """Of one client, or added up.

    :ivar invalid: clients that were told "Invalid session".
    :ivar failed: clients that failed in any other way.
    :ivar heard: messages and acknowledgements, each counted once.
    :ivar websockets: clients that ended on a WebSocket.
    """

    sessions: int = 0
    invalid: int = 0
    failed: int = 0
    heard: int = 0
    lost: int = 0
    doubled: int = 0
    websockets: int = 0
    why: str = ""

    def good(self) -> bool:
        """Nothing is amiss."""
        return not (self.invalid or self.failed or self.lost or self.doubled) and self.heard > 0


def judge(plan: Plan, partner: Plan, heard: Counter[str], error: str, transport: str) -> Outcome:
    """What became of one client.

    :param heard: how often it heard each text; acknowledgements as ``"ack TEXT"``.
    :param error: what ended it early; empty if nothing did.
    """
    due = [*plan.said, *partner.said, *(f"ack {text}" for text in plan.said)]
    invalid = "Invalid session" in error
    return Outcome(
        1,
        int(invalid),
        int(bool(error) and not invalid),
        len(heard),
        sum(text not in heard for text in due),
        sum(heard.values()) - len(heard) + sum(text not in due for text in heard),
        int(transport == "websocket"),
        error,
    )


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """All of them as one; ``why`` is the first error."""
    whole = Outcome()
    for one in outcomes:
        for field in ("sessions", "invalid", "failed", "heard", "lost", "doubled", "websockets"):
            setattr(whole, field, getattr(whole, field) + getattr(one, field))
        whole.why = whole.why or one.why
    return whole
