"""The states of a connection in the connection table, and the transitions between them. Pure.

The state says which process owns the connection and what would be lost with it:

- *in transit*: in an inbox, or about to be put into one; no process reads it.
- *idle*: a worker owns it; every byte read is answered, every response is in the kernel.
- *busy*: a worker owns it and has read, or is about to read, bytes that are not answered.
- *free*: the entry has no connection.
"""

FREE, IN_TRANSIT, IDLE, BUSY = range(4)

NAMES = ("free", "in transit", "idle", "busy")

TRANSITIONS: tuple[tuple[int, str, int], ...] = (
    (FREE, "master places the connection", IN_TRANSIT),
    (IN_TRANSIT, "worker receives it with unread bytes", BUSY),
    (IN_TRANSIT, "worker receives it without", IDLE),
    (IDLE, "worker is about to read", BUSY),
    (BUSY, "nothing was read, or all responses are in the kernel", IDLE),
    (IDLE, "worker is about to send it to an inbox", IN_TRANSIT),
    (BUSY, "worker is about to send it to an inbox", IN_TRANSIT),
    (IN_TRANSIT, "the inbox had no room, nothing unanswered", IDLE),
    (IN_TRANSIT, "the inbox had no room, unanswered bytes", BUSY),
    (IDLE, "worker died: master requeues it", IN_TRANSIT),
    (IDLE, "connection ended", FREE),
    (BUSY, "connection ended, or worker died", FREE),
    (IN_TRANSIT, "connection ended in an inbox", FREE),
)
"""Every change of state, as (from, event, to)."""
