"""What the connections of all listeners share, made once for the daemon."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import attrs

from stickyd.http1.head_parser import Head
from stickyd.http1.limits import Limits
from stickyd.master.frontend.admission import Admission
from stickyd.net.timeouts import Sweeper
from stickyd.stats import MasterCounters

Pending = TypeVar("Pending")
"""The connection whose head is complete: `stickyd.master.frontend.pending.PendingHead`."""


@attrs.frozen(eq=False)
class Reception(Generic[Pending]):
    """What the connections of all listeners share.

    :ivar numbers: gives each connection its id.
    :ivar dispatch: called with each connection whose head is complete.
    :ivar head_timeout: seconds.
    :ivar sweeper: calls ``expired`` of connections whose deadline is over.
    """

    reactor: Any
    numbers: Iterator[int]
    dispatch: Callable[[Pending, Head], None]
    limits: Limits
    head_timeout: float
    sweeper: Sweeper
    counters: MasterCounters
    admission: Admission
