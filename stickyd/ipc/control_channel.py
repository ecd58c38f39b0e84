"""What master and worker say to each other, beside the connections: AMP over one socket pair."""

import socket
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.protocols import amp
from twisted.python.failure import Failure

from stickyd.errors import CannotLoad

ASYNCIO = "--asyncio"
"""The argument that makes a worker run on asyncio."""


class ControlLink(amp.AMP):
    """One end of a control channel; unlike its parent it does not log that it exists."""

    def makeConnection(self, transport: Any) -> None:
        """For the transport."""
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """For the transport."""
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None


_ENDS = [(b"slot", amp.Integer()), (b"end", amp.Descriptor())]


class Start(amp.Command):
    """Master to worker: load the app. The answer comes when it could serve.

    ``about`` is JSON: ``settings``, ``slots`` of the table and its ``version``,
    ``row`` of the board, ``owner`` (the number by which the worker signs in the
    ledger), and ``only_load`` (it will serve nobody).
    ``inbox`` is what the worker will read, ``tally`` where it notes its
    connections (`stickyd.shm.worker_stats`), ``board`` that of `stickyd.shm.scoreboard` if slots
    have a bound; ``senders`` are the sending ends of all inboxes, ``ledger`` is where it notes
    the state of each connection (`stickyd.shm.connection_table`) if they are guarded.
    """

    arguments = [
        (b"slot", amp.Integer()),
        (b"about", amp.String()),
        (b"inbox", amp.Descriptor()),
        (b"tally", amp.Descriptor()),
        (b"board", amp.Descriptor(optional=True)),
        (b"senders", amp.AmpList(_ENDS)),
        (b"ledger", amp.Descriptor(optional=True)),
    ]
    errors = {CannotLoad: b"CANNOT_LOAD"}


class Serve(amp.Command):
    """Master to worker: take connections out of your inbox.

    With ``private`` an older worker goes on serving the keys it knows: it
    reads the slot's inbox, and passes what is new to it into this one.
    """

    arguments = [(b"private", amp.Descriptor(optional=True))]


class Succeeded(amp.Command):
    """Master to worker: your predecessor has ended; the slot's inbox is yours."""


class Drain(amp.Command):
    """Master to worker: serve the keys you know, pass the others on into ``successor``."""

    arguments = [(b"successor", amp.Descriptor())]


class Table(amp.Command):
    """Master to worker: the slots that take part from now on.

    The answer comes when nothing of the worker's waits for room in the inbox
    of a slot that is gone. ``added`` are sending ends it does not have yet.
    """

    arguments = [
        (b"version", amp.Integer()),
        (b"slots", amp.ListOf(amp.Integer())),
        (b"added", amp.AmpList(_ENDS)),
    ]


class Retire(amp.Command):
    """Master to worker: finish what you answer within ``grace`` seconds, then end.

    Idle connections go into the inboxes of the slots ``to``, in turn; without
    any they are closed.
    """

    arguments = [
        (b"grace", amp.Float()),
        (b"to", amp.ListOf(amp.Integer())),
        (b"reason", amp.Unicode()),
    ]


class Relink(amp.Command):
    """Master to worker: from now on I am at the other end of ``channel``."""

    arguments = [(b"channel", amp.Descriptor())]


class CloseIdle(amp.Command):
    """Master to worker: the daemon is full; close up to ``count`` connections that idle."""

    arguments = [(b"count", amp.Integer())]


class Reopen(amp.Command):
    """Master to worker: the access log has been moved away; go on in a new file."""


class Report(amp.Command):
    """Master to worker: your counters, as JSON."""

    response = [(b"counters", amp.String())]


class Progress(amp.Command):
    """Worker to master: its counters, as JSON; in every second in which they have changed."""

    arguments = [(b"counters", amp.String())]


class Misrouted(amp.Command):
    """Worker to master: a request in connection scope named another slot; sent once a worker."""

    arguments = [(b"slot", amp.Integer()), (b"named", amp.Integer()), (b"source", amp.Unicode())]


class Recycle(amp.Command):
    """Worker to master: replace me, because of ``reason``; meanwhile I go on."""

    arguments = [(b"reason", amp.Unicode())]


class _Adopted:
    """`IReactorSocket.adoptStreamConnection` wants a factory; here is one for one protocol."""

    noisy = False

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, address: object) -> Any:
        """The one protocol."""
        return self._protocol

    def doStart(self) -> None:
        """Nothing to start."""

    def doStop(self) -> None:
        """Nothing to stop."""


def adopt_stream(reactor: Any, sock: socket.socket, protocol: Any) -> None:
    """Run ``protocol`` over a connected Unix socket; the socket is consumed."""
    sock.setblocking(False)
    reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, _Adopted(protocol))
    sock.close()
