"""`read_head` of the core that runs: same arguments, same verdicts."""

from collections.abc import Callable

from stickyd.core.native import CORE, Native
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, connection_options
from stickyd.http1.head_parser import read_head as read_in_python
from stickyd.http1.limits import Limits

ReadHead = Callable[[bytes, Limits, int], Head | Refusal | None]


def reader(native: Native | None) -> ReadHead:
    """The reader of a core; Python's for None."""
    if native is None:
        return read_in_python
    return native.HeadReader(Head, connection_options, read_in_python).read


read_head = reader(CORE.native)
"""Read the request head at the start of some bytes; see `stickyd.http1.head_parser.read_head`."""
