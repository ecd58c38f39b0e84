"""What a connection knows of its handovers."""

from stickyd.ipc.handover import Handed
from stickyd.worker.connection_set import Handing


class HandoverState:
    """The part of a channel that handovers use.

    :ivar handed: what a WebSocket has brought from another worker; None for any other connection.
    :ivar handing: its handover to another worker; None while that is not possible.
    """

    handed: Handed | None = None
    handing: Handing | None = None

    def movable(self) -> bool:
        """Whether it is a WebSocket that its app hands over to another worker."""
        return self.handing is not None and self.handing.offered
