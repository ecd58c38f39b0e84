"""Listener ids of connections over TLS: how every process that has a frame knows it. Pure.

The id of its listener goes with a connection wherever it moves.
"""

TLS_LISTENER = 0x80
"""Set in the id of a listener whose clients speak TLS."""

LISTENERS_MOST = 128
"""Listeners that can be told from each other."""


def over_tls(listener: int) -> bool:
    """Whether the clients of a listener speak TLS, by its id in a frame."""
    return bool(listener & TLS_LISTENER)
