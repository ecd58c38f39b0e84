"""How many distinct keys there were, in bounded memory. Pure.

HyperLogLog (Flajolet et al., 2007) with 2**14 registers: a standard error of 0.8 %.
"""

import math

_BITS = 14
_REGISTERS = 1 << _BITS
_REST = 64 - _BITS
_ALPHA = 0.7213 / (1 + 1.079 / _REGISTERS)


class DistinctCount:
    """Estimates the number of distinct digests."""

    def __init__(self) -> None:
        self._ranks = bytearray(_REGISTERS)

    def add(self, digest: int) -> None:
        """A key has come; ``digest`` is a hash of it, 64 bits."""
        rest = digest & ((1 << _REST) - 1)
        rank = _REST - rest.bit_length() + 1
        register = digest >> _REST
        if rank > self._ranks[register]:
            self._ranks[register] = rank

    def estimate(self) -> int:
        """The number."""
        estimate = _ALPHA * _REGISTERS**2 / sum(2.0**-rank for rank in self._ranks)
        empty = self._ranks.count(0)
        if estimate <= 2.5 * _REGISTERS and empty:
            estimate = _REGISTERS * math.log(_REGISTERS / empty)
        return round(estimate)
