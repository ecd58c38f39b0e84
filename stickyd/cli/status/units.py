"""Numbers as short texts. Pure."""

_K = 1024


def size(amount: int | None) -> str:
    """Bytes in units of 1024: ``900``, ``43M``, ``1.2G``; at most four characters below 1000T."""
    if amount is None:
        return "-"
    value, unit = float(amount), ""
    for unit in ("", "K", "M", "G", "T"):
        # 999.5 would be rounded to four digits.
        if value < 999.5 or unit == "T":
            break
        value /= _K
    digits = 1 if unit not in ("", "K", "M") and value < 9.95 else 0
    return f"{value:.{digits}f}{unit}"


def duration(seconds: float | None) -> str:
    """A time: ``9s``, ``5m12s``, ``3h05m``, ``12d04h``, ``365d``; at most six characters."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for below, unit, sub, small in ((3600, 60, 1, "ms"), (86400, 3600, 60, "hm")):
        if whole < 60:
            return f"{whole}s"
        if whole < below:
            return f"{whole // unit}{small[0]}{whole % unit // sub:02}{small[1]}"
    days = whole // 86400
    return f"{days}d{whole % 86400 // 3600:02}h" if days < 100 else f"{days}d"


def cpu_time(seconds: float | None) -> str:
    """CPU time: with tenths below 100 seconds, else as `duration`."""
    return f"{seconds:.1f}s" if seconds is not None and seconds < 99.95 else duration(seconds)


def rate(per_second: float | None) -> str:
    """A rate: with tenths below ten."""
    if per_second is None:
        return "-"
    return f"{per_second:.1f}" if 0 < per_second < 9.95 else f"{per_second:.0f}"


def percent(share: float | None) -> str:
    """A share of one CPU."""
    return "-" if share is None else f"{100 * share:.0f}%"


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def count(number: int | None) -> str:
    """A count in full; what is not counted is a dash."""
    return "-" if number is None else str(number)
