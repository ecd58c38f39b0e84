"""Where connections come in that the TLS processes have accepted: an inbox of the master's own.

It outlives those processes and a replacement of the master's program, as the inboxes of slots do.
What comes out of it is a connection like any other: a descriptor, and a frame with its addresses
and its listener. So the TLS processes need not know slots, keys or limits.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger

from stickyd.ipc.exec_state import Packed, close_on_exec, keep_on_exec
from stickyd.ipc.fd_queue import InboxReader, Watching, adopt_inbox_end, make_inbox
from stickyd.ipc.frame import Frame, FrameError, decode
from stickyd.ipc.over_tls import TLS_LISTENER
from stickyd.master.frontend.listener import Listener
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.frontend.reception import Reception

_log = Logger("stickyd")


class TlsListener(Listener):
    """A listening socket whose connections the TLS processes accept.

    :param index: number of the listener, from 0.
    """

    def __init__(
        self, reception: Reception[PendingHead], port: Any, index: int, ends_with_us: bool = True
    ) -> None:
        super().__init__(reception, port, index | TLS_LISTENER, None, ends_with_us)

    def where(self) -> str:
        """The listening address, for the log."""
        where = super().where()
        return where.replace("http:", "https:", 1) if not self.unix else f"{where} (TLS)"

    def start(self) -> None:
        """The TLS processes accept."""

    def _accept(self) -> None:
        """As `start`."""

    def take_plain(self, sock: socket.socket, frame: Frame) -> None:
        """Start with the plain side of a connection."""
        self.reception.counters.accepted += 1
        if self.reception.admission.admit(sock):
            PendingHead(self, sock, frame.peer, None, frame.local, tls=frame.tls).on_readable()


class _OfReactor(Watching):
    """Watches one inbox with the reactor."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._descriptor = -1
        self._ready: Callable[[int], None] = lambda events: None

    def watch(self, descriptor: int, member: Any, events: int) -> None:
        """See `Watching`."""
        self._descriptor, self._ready = descriptor, member.ready
        self._reactor.addReader(self)

    def forget(self, descriptor: int) -> None:
        """See `Watching`."""
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        """For the reactor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For the reactor."""
        return "gate"

    def doRead(self) -> None:
        """For the reactor."""
        self._ready(0)

    def connectionLost(self, reason: object) -> None:
        """For the reactor; the master has both ends."""


class TlsGate:
    """Takes connections out of the inbox and gives them to their listeners.

    :param listeners: by their ids in frames.
    :param ends: the sending and the receiving end of the inbox; None to make them.
    """

    def __init__(
        self,
        reactor: Any,
        listeners: Mapping[int, TlsListener],
        ends: tuple[socket.socket, socket.socket] | None = None,
    ) -> None:
        self.listeners = listeners
        self.sender, self._receiver = ends or make_inbox()
        self._reader = InboxReader(_OfReactor(reactor), self._receiver, self._adopt, self._lost)

    def start(self) -> None:
        """Start taking connections out."""
        self._reader.start()

    def _adopt(self, message: bytes, descriptor: int) -> None:
        sock = socket.socket(fileno=descriptor)
        try:
            frame = decode(message)
            listener = self.listeners[frame.listener]
        except (FrameError, KeyError) as error:
            _log.error("a message of a TLS process that is no frame: {error!r}", error=error)
            sock.close()
            return
        listener.take_plain(sock, frame)

    def _lost(self, message: bytes) -> None:
        _log.error("a connection over TLS was lost: the master is out of descriptors")

    def empty(self) -> None:
        """Take out what is there."""
        while self._reader.take():
            pass

    def close(self) -> None:
        """Close both ends."""
        self._reader.stop()
        self.sender.close()
        self._receiver.close()

    # ---- the master's program is replaced

    def pack(self) -> Packed:
        """The ends, for the next program."""
        ends = self.sender, self._receiver
        return {
            name: keep_on_exec(end.fileno()) for name, end in zip(("to", "from"), ends, strict=True)
        }


def unpack_ends(packed: Packed) -> tuple[socket.socket, socket.socket]:
    """The ends, from what `TlsGate.pack` returned."""
    to, from_ = (adopt_inbox_end(close_on_exec(packed[name])) for name in ("to", "from"))
    return to, from_
