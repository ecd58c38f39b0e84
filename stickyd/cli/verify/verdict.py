"""From the observed workers to a verdict. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum, IntEnum

import attrs

from stickyd.cli.verify.response import shown


class Status(IntEnum):
    """Exit statuses of ``stickyd verify``."""

    STICKY = 0
    MISROUTED = 1
    USAGE = 2
    CANNOT_TELL = 3


class Kind(Enum):
    """What a row says about the server."""

    REFERENCE = "reference"
    RIGHT = "right"
    WRONG = "wrong"
    PROVES_NOTHING = "proves nothing"
    NOT_SERVED = "not served"


@attrs.frozen
class Row:
    """One row as it was seen: the workers that answered, in order.

    ``problem`` says why answers are missing; ``note`` how they were got when
    that was not the plain way.
    """

    name: str
    ending: str
    seen: tuple[str, ...]
    problem: str = ""
    note: str = ""


@attrs.frozen
class Judged:
    """A row with its verdict; ``expected`` is empty for a reference."""

    row: Row
    expected: tuple[str, ...]
    kind: Kind
    verdict: str

    @property
    def counts(self) -> bool:
        """Whether a missing answer in this row leaves the question open: bare LF may be refused."""
        return self.row.ending == "CRLF"


def judge_rows(rows: Sequence[Row], reference: Sequence[Row] = ()) -> tuple[Judged, ...]:
    """Judge S1 to S4 of one line ending.

    S1 and S2 are first requests of fresh connections: what they reach is home,
    and S3 and S4 must reach the same.

    :param reference: S1 and S2 of another line ending; a client must not have a
        second home only because its lines end differently.
    """
    homes = [row.seen[0] if row.seen and not row.problem else None for row in rows[:2]]
    others = [row.seen[0] if row.seen and not row.problem else None for row in reference[:2]]
    judged = [
        _judge_home(row, other) for row, other in zip(rows[:2], others or (None, None), strict=True)
    ]
    first, second = homes
    for row, expected in zip(rows[2:], ((first, second), (second, first)), strict=True):
        judged.append(_judge_pair(row, expected))
    return tuple(judged)


def _missing(row: Row) -> Judged:
    what = f"not served ({row.ending})" if row.ending == "LF" else "NOT ANSWERED"
    return Judged(row, (), Kind.NOT_SERVED, f"{what}: {row.problem}")


def _judge_home(row: Row, other: str | None) -> Judged:
    if row.problem:
        return _missing(row)
    if other is not None and other != row.seen[0]:
        return Judged(row, (other,), Kind.WRONG, "MISROUTED: another worker than with CRLF")
    expected = () if other is None else (other,)
    kind = Kind.REFERENCE if other is None else Kind.RIGHT
    return Judged(row, expected, kind, _noted("home" if other is None else "right", row))


def _judge_pair(row: Row, expected: tuple[str | None, str | None]) -> Judged:
    if row.problem:
        return _missing(row)
    first, second = expected
    if first is None or second is None:
        return Judged(row, (), Kind.PROVES_NOTHING, "proves nothing: a home is not known")
    homes = (first, second)
    wrong = sum(home != seen for home, seen in zip(homes, row.seen, strict=True))
    if wrong:
        text = f"MISROUTED: {wrong} of {len(homes)}"
        return Judged(row, homes, Kind.WRONG, _noted(text, row))
    if first == second:
        text = "proves nothing: both clients have the same home"
        return Judged(row, homes, Kind.PROVES_NOTHING, _noted(text, row))
    return Judged(row, homes, Kind.RIGHT, _noted("right", row))


def _noted(verdict: str, row: Row) -> str:
    return f"{verdict} ({row.note})" if row.note else verdict


@attrs.frozen
class Mix:
    """What the random mix measured.

    :param homes: for each client the workers of its two fresh connections.
    :param asked: answers judged; the first of the two homes is the right one.
    :param tested: of these, on a kept-alive connection whose last client has another home: only
        these can show that a connection was placed once and for all.
    :param seen: how often each worker answered, homes included.
    :param problem: why the mix ended early; empty if it did not.
    """

    homes: tuple[tuple[str, str], ...] = ()
    asked: int = 0
    misrouted: int = 0
    tested: int = 0
    seen: Counter[str] = attrs.field(factory=Counter)
    problem: str = ""

    @property
    def unstable(self) -> int:
        """Clients whose two fresh connections reached two workers."""
        return sum(first != second for first, second in self.homes)


def conclude(rows: Iterable[Judged], mix: Mix) -> tuple[Status, str]:
    """The exit status, and the verdict in one line."""
    rows = tuple(rows)
    wrong = [f"{j.row.name} {j.row.ending}" for j in rows if j.kind is Kind.WRONG]
    workers = {name for judged in rows for name in judged.row.seen} | set(mix.seen)
    if mix.unstable:
        return Status.MISROUTED, (
            f"not sticky at all: {mix.unstable} of {len(mix.homes)} clients reached two workers"
            " from two fresh connections"
        )
    if mix.misrouted or wrong:
        where = [f"{mix.misrouted} of {mix.asked} requests of the mix"] if mix.misrouted else []
        where += [f"row{'s' * (len(wrong) > 1)} {', '.join(wrong)}"] if wrong else []
        text = f"requests reached the wrong worker: {' and '.join(where)}"
        if not mix.misrouted and mix.tested:
            text += "; the mix found none"
        return Status.MISROUTED, text
    missing = [j.row.problem for j in rows if j.counts and j.kind is Kind.NOT_SERVED]
    if problem := mix.problem or next(iter(missing), ""):
        return Status.CANNOT_TELL, f"cannot tell: {problem}"
    if len(workers) < 2:
        only = "".join(map(shown, workers))
        return Status.CANNOT_TELL, (
            f"inconclusive: the server has one worker, or sends all of this machine's requests"
            f" to one (only {only} seen)"
        )
    if not mix.tested:
        return Status.STICKY, (
            "every request reached its own worker, but no connection carried requests of clients"
            " with different homes: routing within a connection was not put to the test"
        )
    return Status.STICKY, "sticky: every request reached its own worker"
