"""The confidence interval of a measured rate. Pure."""

from math import sqrt

# The normal distribution's quantile for two-sided 95 %.
_Z95 = 1.959963984540054


def wilson(hits: int, asked: int, z: float = _Z95) -> tuple[float, float]:
    """The Wilson score interval of ``hits`` out of ``asked``, both ends within 0 to 1.

    Unlike the normal approximation it is valid near 0 and 1: 0 of 400 is "at most
    1 %", not "certainly 0". Without requests the interval is (0, 1).

    :raise ValueError: unless 0 <= hits <= asked.
    """
    if not 0 <= hits <= asked:
        raise ValueError(f"{hits} of {asked} is no rate")
    if asked == 0:
        return 0.0, 1.0
    rate = hits / asked
    square = z * z / asked
    centre = (rate + square / 2) / (1 + square)
    reach = z / (1 + square) * sqrt(rate * (1 - rate) / asked + square / (4 * asked))
    # Rounding must not push an end past the rate itself.
    return max(0.0, min(rate, centre - reach)), min(1.0, max(rate, centre + reach))
