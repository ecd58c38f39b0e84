"""What the access log knows of a request. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from stickyd.http1.head_parser import Head


class Record(NamedTuple):
    """One answered request.

    :ivar client: the true client's address, "" on a Unix socket.
    :ivar began: when its head was whole, seconds since the epoch.
    :ivar took: seconds from then until the answer was written whole.
    :ivar sent: bytes of the answer, its head included.
    :ivar status: 0 if nothing was answered.
    :ivar why: the sources before the one that decided, and why they did not.
    :ivar moved: its connection came from another slot for it.
    :ivar id_name: of the header with its id, in lower case; b"" if requests have none.
    """

    client: str
    head: Head
    status: int
    sent: int
    began: float
    took: float
    slot: int
    reason: str
    key: str
    connection: int
    why: str = ""
    moved: bool = False
    id_name: bytes = b""

    @property
    def request_id(self) -> bytes:
        """The id of the request; b"" if it has none."""
        values = self.head.values(self.id_name) if self.id_name else None
        return values[0] if values else b""


Line = Callable[[Record], bytes]
"""Makes the line of a request, with its line end."""
