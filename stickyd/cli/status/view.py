"""What ``top`` shows, from what it has heard. Pure: time is an argument."""

from collections.abc import Iterable

from stickyd.cli.status.figures import Figures
from stickyd.cli.status.layout import Line, Segment, cut
from stickyd.cli.status.rates import Rates, rates
from stickyd.cli.status.tables import fitted, top_lines

_FOOTER = (Segment("q", "name"), Segment(" quits"))
_STEPS = {"up": -1, "down": 1, "page up": -10, "page down": 10}


class View:
    """The last figures, the rates since those before, and what is scrolled away.

    :ivar problem: why there are no newer figures; empty if there are.
    """

    def __init__(self) -> None:
        self._figures: Figures | None = None
        self._rates = Rates()
        self._at = 0.0
        self._offset = 0
        self.problem = ""

    def heard(self, figures: Figures, now: float) -> None:
        """The daemon has answered.

        :param now: in seconds of any clock that does not go back.
        """
        before = None if self.problem else self._figures
        self._rates = rates(before, figures, now - self._at)
        self._figures, self._at = figures, now
        self.problem = ""

    def failed(self, problem: str) -> None:
        """It has not; the old figures stay, without rates."""
        self.problem = problem
        self._rates = Rates()

    def press(self, keys: Iterable[str]) -> None:
        """Scroll."""
        self._offset += sum(_STEPS.get(key, 0) for key in keys)

    def lines(self, width: int, height: int) -> list[Line]:
        """The screen: exactly ``height`` lines, at least one, of at most ``width`` columns."""
        lines: list[Line] = []
        if self._figures is not None:
            above, rows, below = top_lines(self._figures, self._rates, width)
            if self.problem:
                # Instead of readiness, which is not known.
                above[0] = (Segment(f"NO ANSWER, trying again: {self.problem}", "bad"),)
            lines, self._offset = fitted((above, rows, below), height - 1, self._offset)
        lines += [()] * (height - 1 - len(lines))
        return [cut(line, width) for line in [*lines, _FOOTER][-height:]]
