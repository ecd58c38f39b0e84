"""What a contest found, what it should have found, and whether it did. No I/O."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

Rounds = dict[str, list[dict[str, float]]]

QUANTITIES = {
    "cost": "CPU µs a request",
    "master": "CPU µs of the master a connection",
    "memory": "bytes a connection",
    "p99": "p99, µs",
    "p50": "median, µs",
    "rate": "requests/s",
    "idle": "idle, CPU ms a second",
}
"""What a contestant is measured by, with its unit."""


@attrs.frozen
class Target:
    """A bound on a ratio of two contestants, by the quantity of the contest.

    :ivar subject: whose figure it is about.
    :ivar other: who it is compared with; empty if the bound is on the figure itself.
    :ivar at_least: how many times the subject's figure the other's should be, or more; None if
        there is only an upper bound.
    :ivar at_most: how many times the other's figure the subject's may be.
    """

    subject: str
    other: str = ""
    at_least: float | None = None
    at_most: float | None = None

    def says(self) -> str:
        """In words."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return f"at most {self.at_most:g}"

    def about(self) -> str:
        """Whose figures, in the order in which they are divided."""
        if not self.other:
            return self.subject
        pair = (self.subject, self.other) if self.at_least is None else (self.other, self.subject)
        return f"{pair[0]} : {pair[1]}"


@attrs.frozen
class Ratio:
    """A ratio over rounds: each round's two figures were taken one after the other.

    Of a target without a second contestant, the figure itself.
    """

    middle: float
    least: float
    most: float

    def __str__(self) -> str:
        digits = 0 if self.middle >= 100 else 2
        shown = (f"{each:,.{digits}f}" for each in (self.middle, self.least, self.most))
        return "{} ({}–{})".format(*shown)


@attrs.frozen
class Verdict:
    """What became of a target; ``ratio`` is None if it could not be measured."""

    target: Target
    ratio: Ratio | None
    reached: bool | None


@attrs.frozen
class Result:
    """A contest's outcome.

    :ivar name: the workload, ``p1`` to ``p8`` or ``p99``, with a suffix for its parts.
    :ivar quantity: the one that is compared, a key of `QUANTITIES`.
    :ivar shown: further quantities of the table.
    :ivar subject: the contestant the others are compared with.
    :ivar figures: by contestant, one mapping of quantity to figure for each round.
    :ivar checks: the correctness pass by contestant, fields of `correctness.Check`.
    :ivar exact: contestants that may misroute nothing.
    """

    name: str
    title: str
    quantity: str
    shown: Sequence[str]
    subject: str
    figures: Rounds
    seconds: int
    targets: Sequence[Target] = ()
    checks: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    exact: Sequence[str] = ()
    note: str = ""

    def verdicts(self) -> list[Verdict]:
        """Every target beside what was measured."""
        return [self._verdict(target) for target in self.targets]

    def _verdict(self, target: Target) -> Verdict:
        subject, other = self.figures.get(target.subject), self.figures.get(target.other)
        if not target.other and subject and target.at_most is not None:
            found = Ratio(*middle(subject, self.quantity))
            return Verdict(target, found, found.middle <= target.at_most)
        if not subject or not other:
            return Verdict(target, None, None)
        if target.at_least is not None:
            found = ratio(other, subject, self.quantity)
            return Verdict(target, found, found.middle >= target.at_least)
        assert target.at_most is not None
        found = ratio(subject, other, self.quantity)
        return Verdict(target, found, found.middle <= target.at_most)

    def wrongs(self) -> list[tuple[str, str]]:
        """What the correctness pass, or the load itself, holds against the figures.

        :return: contestants, and what is wrong with them.
        """
        found = []
        for name, check in self.checks.items():
            if check["wrong"]:
                found.append((name, f"{check['wrong']} of {check['asked']} answers were wrong"))
            if name in self.exact and check["misrouted"]:
                misrouted = f"{check['misrouted']} of {check['asked']} requests"
                found.append((name, f"{misrouted} went to another's worker"))
        for name, rounds in self.figures.items():
            failed = sum(figures.get("failed", 0) for figures in rounds)
            if failed:
                found.append((name, f"{failed:.0f} requests failed under load"))
        return found

    def sound(self) -> bool:
        """Whether stickyd's own answers were all right; of peers it is only told."""
        return not any(name in (self.subject, *self.exact) for name, _ in self.wrongs())


def ratio(above: Rounds | Any, below: Any, quantity: str) -> Ratio:
    """The median of the rounds' ratios, and their range.

    :raise ValueError: a figure is 0, of which there is no multiple.
    """
    if not all(each[quantity] for each in below):
        raise ValueError(f"{QUANTITIES[quantity]}: 0 in a round, which was too short (--seconds)")
    ratios = [a[quantity] / b[quantity] for a, b in zip(above, below, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def middle(rounds: Sequence[Mapping[str, float]], quantity: str) -> tuple[float, float, float]:
    """Median, least and most of a quantity."""
    figures = [each[quantity] for each in rounds]
    return statistics.median(figures), min(figures), max(figures)


def to_json(result: Result) -> dict[str, Any]:
    """For a file."""
    return attrs.asdict(result)


def from_json(document: Mapping[str, Any]) -> Result:
    """The other way round."""
    targets = tuple(Target(**target) for target in document["targets"])
    return Result(**{**document, "targets": targets})
