"""Numbers as texts. Pure."""

NONE = "–"
"""Stands where there is no number."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def count(number: float) -> str:
    """A whole number, its thousands parted by commas."""
    return f"{int(number):,}"


def rate(number: float | None) -> str:
    """Events in a second."""
    if number is None:
        return NONE
    return f"{number:,.0f}" if number >= 10 or number == 0 else f"{number:.1f}"


def percent(number: float | None) -> str:
    """Percent."""
    return NONE if number is None else f"{number:.0f} %"


def milliseconds(seconds: float | None) -> str:
    """A short time."""
    if seconds is None:
        return NONE
    number = seconds * 1000
    return f"{number:,.0f} ms" if number >= 10 else f"{number:.1f} ms"


def size(number: int) -> str:
    """Bytes of memory."""
    value, at = float(number), 0
    while value >= 1000 and at + 1 < len(_UNITS):
        value, at = value / 1024, at + 1
    return f"{value:.0f} {_UNITS[at]}" if value >= 10 or not at else f"{value:.1f} {_UNITS[at]}"


def age(seconds: float) -> str:
    """How long something has been there."""
    for least, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= least:
            return f"{seconds / least:.0f} {unit}" if seconds >= 3 * least else _two(seconds, least)
    return f"{seconds:.0f} s"


def _two(seconds: float, unit: int) -> str:
    smaller, name = {86400: (3600, "h"), 3600: (60, "min"), 60: (1, "s")}[unit]
    names = {86400: "d", 3600: "h", 60: "min"}
    whole, rest = divmod(int(seconds), unit)
    return f"{whole} {names[unit]} {rest // smaller} {name}"


def several(number: float, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
