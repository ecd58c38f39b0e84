"""How many connections a limit on file descriptors (RLIMIT_NOFILE, getrlimit(2)) admits."""

SHED_MOST = 128
"""Most connections that linger after a refusal, beyond the connection limit."""


def room_under(limit: int, workers: int) -> int:
    """Connections that fit under ``limit``, the RLIMIT_NOFILE of the master and the workers.

    One eighth is reserved for the app and for refused connections, 8 descriptors
    for each worker (inbox, control channel, output), and 32 for the rest.
    """
    return limit - limit // 8 - 8 * workers - 32


def shed_under(limit: int) -> int:
    """Most connections that linger after a refusal: half of what `room_under` reserves."""
    return max(0, min(SHED_MOST, limit // 16))
