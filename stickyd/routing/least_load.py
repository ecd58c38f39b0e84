"""The slot with the least load, and whose turn it is among equal ones. Pure."""

from collections.abc import Mapping

from stickyd.routing.bounded_loads import turns


class LeastLoad:
    """Chooses the least loaded slot; of equal ones the first behind the last choice.

    :param turn: where to begin: processes that choose at the same time begin at different slots.
    """

    def __init__(self, turn: int = 0) -> None:
        self._turn = turn

    def choose(self, slots: tuple[int, ...], loads: Mapping[int, int]) -> int:
        """The slot for one more request.

        :param loads: of each slot; the caller adds what is chosen.
        """
        chosen = min(turns(slots, self._turn), key=loads.__getitem__)
        self._turn = slots.index(chosen) + 1
        return chosen
