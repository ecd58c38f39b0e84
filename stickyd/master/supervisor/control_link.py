"""The master's end of a worker's control channel."""

import os
import socket
from typing import Any, Protocol

from twisted.internet import defer, error
from twisted.python.failure import Failure

from stickyd.ipc import control_channel as control

Senders = dict[int, socket.socket]
"""The sending ends of inboxes, by slot."""


class LinkEvents(Protocol):
    """Receives what a worker reports on its own."""

    def misrouted(self, slot: int, named: int, source: str) -> None:
        """The worker of ``slot`` served a request whose key, from ``source``, names ``named``."""

    def recycle_requested(self, reason: str) -> None:
        """The worker asks to be replaced."""

    def drained(self) -> None:
        """The worker, which drains, serves no key any more."""


class CommandLink(control.ControlLink):
    """Sends commands to one process."""

    def ask(self, command: type, **arguments: Any) -> "defer.Deferred[Any]":
        """Fires with the answer; fails if the channel is lost."""
        if self.transport is None:
            return defer.fail(error.ConnectionLost())
        asked: defer.Deferred[Any] = self.callRemote(command, **arguments)
        return asked

    def send(self, command: type, **arguments: Any) -> "defer.Deferred[None]":
        """Fires when the process has acted on the command, or its channel is lost."""
        return self.ask(command, **arguments).addBoth(lambda _: None)

    def relink(self, reactor: Any, patience: float) -> "defer.Deferred[socket.socket | None]":
        """Give the process another control channel; fires with the master's end of it.

        None if it does not answer in ``patience`` seconds: it then ends together with
        the current channel.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        asked = self.ask(control.Relink, channel=theirs.fileno())
        asked.addTimeout(patience, reactor)

        def answered(result: object) -> socket.socket | None:
            theirs.close()
            if not isinstance(result, Failure):
                return ours
            ours.close()
            return None

        return asked.addBoth(answered)


class MasterControlLink(CommandLink):
    """Sends commands to one worker, and receives its reports."""

    def __init__(self, events: LinkEvents) -> None:
        super().__init__()
        self._events = events

    @control.Misrouted.responder
    def misrouted(self, slot: int, named: int, source: str) -> dict[str, Any]:
        """The worker reports its first misrouted request."""
        self._events.misrouted(slot, named, source)
        return {}

    @control.Recycle.responder
    def recycle(self, reason: str) -> dict[str, Any]:
        """The worker asks to be replaced."""
        self._events.recycle_requested(reason)
        return {}

    @control.Drained.responder
    def drained(self) -> dict[str, Any]:
        """The worker serves no key any more."""
        self._events.drained()
        return {}

    # ---- commands to the worker

    def serve(self, private: socket.socket | None = None) -> None:
        """Let it take connections: from ``private`` while a predecessor drains."""
        self._send_inbox(control.Serve, private)

    def take_over(self, private: socket.socket | None = None) -> None:
        """The predecessor has ended: the worker reads its inbox, ``private`` or the slot's."""
        self._send_inbox(control.Succeeded, private)

    def _send_inbox(self, command: type, private: socket.socket | None) -> None:
        # AMP sends the descriptor in a later reactor turn: send a copy that stays open until then.
        end = None if private is None else os.dup(private.fileno())
        told = self.send(command, private=end)
        if end is not None:
            told.addBoth(lambda _: os.close(end))

    def end_drain(self) -> None:
        """Let it close its upgraded connections, while it drains."""
        self.send(control.EndDrain)

    def drain(self, successor: socket.socket) -> None:
        """Let it serve the keys in use, and pass others into ``successor``, which is consumed."""
        sent = self.send(control.Drain, successor=successor.fileno())
        sent.addBoth(lambda _: successor.close())

    def update_slots(
        self, version: int, slots: list[int], added: Senders
    ) -> "defer.Deferred[None]":
        """Send a new slot table; fires when the worker uses it, or has ended."""
        return self.send(control.Table, version=version, slots=slots, added=as_ends(added))

    def retire(self, grace: float, to: list[int], reason: str) -> None:
        """Let it finish within ``grace`` seconds; idle connections go to the slots ``to``."""
        self.send(control.Retire, grace=grace, to=to, reason=reason)

    def close_idle(self, count: int) -> None:
        """Let it close up to ``count`` idle connections."""
        self.send(control.CloseIdle, count=count)

    def reopen_log(self) -> None:
        """Let it reopen its access log."""
        self.send(control.Reopen)


def as_ends(senders: Senders) -> list[dict[str, int]]:
    """Sending ends as the commands have them."""
    return [{"slot": slot, "end": sender.fileno()} for slot, sender in senders.items()]
