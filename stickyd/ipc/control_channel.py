"""The commands between master and worker: AMP over one socket pair per worker."""

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.protocols import amp
from twisted.python.failure import Failure

from stickyd.errors import CannotLoad
from stickyd.ipc import exec_state, frame

ASYNCIO = "--asyncio"
"""Command line argument of a worker that runs on asyncio; the loop follows behind ``=``."""


def loop_among(arguments: Sequence[str]) -> str | None:
    """The event loop on the command line of a worker; None for Twisted's default."""
    found = [a for a in arguments if a.startswith(f"{ASYNCIO}=")]
    return found[0].partition("=")[2] if found else None


def layouts() -> list[int]:
    """The versions of what master and workers exchange, which both must have in common."""
    return [exec_state.FORMAT, frame.VERSION]


class ControlLink(amp.AMP):
    """One end of a control channel; unlike AMP it does not log connects and disconnects."""

    def makeConnection(self, transport: Any) -> None:
        """For the transport."""
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """For the transport."""
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None


_ENDS = [(b"slot", amp.Integer()), (b"end", amp.Descriptor())]


class Start(amp.Command):
    """Master to worker: load the app. Answered when the worker could serve.

    ``about`` is JSON: `layouts`, ``settings`` (text), ``slots`` of the table and its ``version``,
    ``row`` of the scoreboard, ``owner`` (the worker's number in the connection table),
    ``only_load`` (it will not serve). ``inbox`` is the receiving end of the slot's inbox, ``tally``
    the memory of `stickyd.shm.worker_stats`, ``board`` that of `stickyd.shm.scoreboard` if loads
    decide, ``ledger`` that of `stickyd.shm.connection_table` if connections are
    guarded, ``learned`` that of `stickyd.shm.learned_table` if ids are learned;
    ``senders`` are the sending ends of all inboxes.
    """

    arguments = [
        (b"slot", amp.Integer()),
        (b"about", amp.String()),
        (b"inbox", amp.Descriptor()),
        (b"tally", amp.Descriptor()),
        (b"board", amp.Descriptor(optional=True)),
        (b"senders", amp.AmpList(_ENDS)),
        (b"ledger", amp.Descriptor(optional=True)),
        (b"learned", amp.Descriptor(optional=True)),
    ]
    errors = {CannotLoad: b"CANNOT_LOAD"}


class Serve(amp.Command):
    """Master to worker: take connections out of the slot's inbox.

    With ``private`` an older worker keeps reading the slot's inbox and serving some
    keys (`Drain`); this worker reads ``private``, where the older one puts all others.
    """

    arguments = [(b"private", amp.Descriptor(optional=True))]


class Succeeded(amp.Command):
    """Master to worker: the predecessor has ended; read the inbox that it read.

    That is ``private`` if a still older worker reads the slot's inbox, otherwise the slot's.
    """

    arguments = [(b"private", amp.Descriptor(optional=True))]


class Drain(amp.Command):
    """Master to worker: serve the keys in use, put other connections into ``successor``.

    With ``--session-drain`` the keys that the worker knows as well.
    """

    arguments = [(b"successor", amp.Descriptor())]


class Drained(amp.Command):
    """Worker to master: after `Drain`, no key is served here any more; repeated every second."""


class EndDrain(amp.Command):
    """Master to worker, after `Drain`: finish sooner, since another reload follows.

    The worker closes its upgraded connections within ``--close-spread``, and keeps no keys that
    have neither request nor connection; requests end in their time. It sends `Drained` then.
    """


class Table(amp.Command):
    """Master to worker: a new slot table.

    Answered when no connection of the worker waits for room in the inbox of a slot that
    is no longer in the table. ``added`` are sending ends that the worker does not have.
    """

    arguments = [
        (b"version", amp.Integer()),
        (b"slots", amp.ListOf(amp.Integer())),
        (b"added", amp.AmpList(_ENDS)),
    ]


class Retire(amp.Command):
    """Master to worker: finish the requests within ``grace`` seconds, then end.

    Idle connections go into the inboxes of the slots ``to``, in turn; without any they
    are closed.
    """

    arguments = [
        (b"grace", amp.Float()),
        (b"to", amp.ListOf(amp.Integer())),
        (b"reason", amp.Unicode()),
    ]


class Relink(amp.Command):
    """Master to worker: use ``channel`` as the control channel from now on."""

    arguments = [(b"channel", amp.Descriptor())]


class CloseIdle(amp.Command):
    """Master to worker: close up to ``count`` idle connections, since the limit is reached."""

    arguments = [(b"count", amp.Integer())]


class Reopen(amp.Command):
    """Master to worker: reopen the access log, which was rotated."""


class Report(amp.Command):
    """Master to worker: bring the counters in shared memory up to date."""


class Misrouted(amp.Command):
    """Worker to master: a request in connection scope named another slot; sent once per worker."""

    arguments = [(b"slot", amp.Integer()), (b"named", amp.Integer()), (b"source", amp.Unicode())]


class Recycle(amp.Command):
    """Worker to master: replace this worker, because of ``reason``; it serves until then."""

    arguments = [(b"reason", amp.Unicode())]


class _Adopted:
    """A factory for one protocol, since `IReactorSocket.adoptStreamConnection` needs one."""

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


def adopt_end(reactor: Any, descriptor: int, protocol: Any) -> None:
    """Run ``protocol`` over an end that this process has been given, which is consumed."""
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)
    adopt_stream(reactor, end, protocol)


def adopt_stream(reactor: Any, sock: socket.socket, protocol: Any) -> None:
    """Run ``protocol`` over a connected Unix socket; the socket is consumed."""
    sock.setblocking(False)
    reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, _Adopted(protocol))
    sock.close()
