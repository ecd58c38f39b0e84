"""When a connection was put into an inbox: the clock of its frame, which all processes share.

Microseconds of CLOCK_MONOTONIC modulo 2**32, which is 71 minutes; 0 is no time.
"""

from time import monotonic_ns

_MODULUS = 2**32


def now() -> int:
    """The time for a frame."""
    return monotonic_ns() // 1000 % _MODULUS or 1


def since(then: int) -> float:
    """Seconds from a frame's time until now."""
    return (now() - then) % _MODULUS / 1e6
