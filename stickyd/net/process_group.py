"""Ends the processes that a worker leaves behind: the rest of its process group (setpgid(2)).

A worker leads a group of its own. What its app starts belongs to the group, in any depth, unless
it asks for a group or a session of its own (setsid(2)): that is how a process says that it is to
go on. The group also tells the processes of a worker that was killed; PR_SET_PDEATHSIG would have
to be set by each of them, and a subreaper could not tell apart those that are to go on.
"""

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

from twisted.internet import defer
from twisted.logger import Logger

LAST = 1.0
"""Seconds that processes have to end after SIGKILL, before the master stops without them."""

_log = Logger("stickyd")


class _Member:
    """A pidfd (pidfd_open(2)), readable when the process has ended."""

    def __init__(self, descriptor: int, on_end: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self.doRead = on_end

    def fileno(self) -> int:
        """For the reactor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For the reactor."""
        return "left behind"

    def connectionLost(self, reason: object) -> None:
        """For the reactor; a pidfd has no connection to lose."""


class ProcessGroup:
    """The group of a process that has ended, and whose entry the kernel still keeps (a zombie).

    While there is the entry, no other process or group gets the number.

    :ivar gone: fires when no process of the group is left, and the entry is removed.
    :cvar leaders: of all groups whose leader has an entry.
    """

    leaders: ClassVar[set[int]] = set()

    def __init__(self, reactor: Any, leader: int) -> None:
        self.leaders.add(leader)
        self._reactor = reactor
        self._leader = leader
        self._members: dict[int, _Member] = {}
        self._killing: Any = None
        self.gone: defer.Deferred[None] = defer.Deferred()

    def terminate(self) -> int:
        """Send SIGTERM; the number of processes that are left."""
        self._look()
        return len(self._members)

    def kill(self, after: float) -> None:
        """Send SIGKILL in ``after`` seconds; the last call decides."""
        if self.gone.called:
            return
        if self._killing is not None and self._killing.active():
            self._killing.cancel()
        self._killing = self._reactor.callLater(after, self._signal, signal.SIGKILL)

    def abandon(self) -> None:
        """Send SIGKILL, and forget the group: another program takes this process over."""
        if not self.gone.called:
            self._signal(signal.SIGKILL)
            self._finish()

    def _signal(self, number: int) -> None:
        # Of another user, after setuid(2): not ours to end.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)

    def _look(self) -> None:
        """Send SIGTERM, and watch who is left; what they start meanwhile is found at their end."""
        left = group_members(self._leader)
        if left:
            self._signal(signal.SIGTERM)
        for pid in left:
            # One that has just ended has no descriptor, and need not be waited for.
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(pid)
                member = _Member(descriptor, partial(self._ended, pid))
                self._members[pid] = member
                self._reactor.addReader(member)
        if not self._members:
            self._finish()

    def _ended(self, pid: int) -> None:
        self._drop(pid)
        # The first process of a container is the parent of every orphan.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if not self._members:
            self._look()

    def _drop(self, pid: int) -> None:
        member = self._members.pop(pid)
        self._reactor.removeReader(member)
        os.close(member.fileno())

    def _finish(self) -> None:
        for pid in list(self._members):
            self._drop(pid)
        if self._killing is not None and self._killing.active():
            self._killing.cancel()
        os.waitpid(self._leader, 0)
        self.leaders.discard(self._leader)
        self.gone.callback(None)


class LeftGroups:
    """The groups of ended workers that still have processes."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._groups: set[ProcessGroup] = set()

    def add(self, leader: str, group: ProcessGroup, left: int, grace: float) -> None:
        """A leader has ended and left so many processes: they end within ``grace`` seconds.

        :param leader: as the log is to name it.
        """
        if group.gone.called:
            return
        self._groups.add(group)
        group.gone.addCallback(lambda _: self._groups.discard(group))
        group.kill(after=grace)
        _log.info(
            "{leader} has left {left}, which {verb} within {grace:g} s",
            leader=leader,
            left=f"{left} process{'es' if left > 1 else ''}",
            verb="end" if left > 1 else "ends",
            grace=grace,
        )

    def kill(self, after: float) -> None:
        """Less time is left for all."""
        for group in self._groups:
            group.kill(after)

    async def stop(self, grace: float) -> None:
        """Returns when all have ended, which they do within ``grace`` seconds."""
        self.kill(grace)
        ends = defer.DeferredList([_end_of(group) for group in self._groups])
        ends.addTimeout(grace + LAST, self._reactor)
        await ends.addErrback(lambda failure: failure.trap(defer.TimeoutError))

    def abandon(self) -> None:
        """End them now, since another program takes this process over."""
        for group in list(self._groups):
            group.abandon()


def _end_of(group: ProcessGroup) -> "defer.Deferred[None]":
    """Fires with the group's end; giving up waiting does not cancel that of others."""
    end: defer.Deferred[None] = defer.Deferred()
    group.gone.addCallback(lambda _: None if end.called else end.callback(None))
    return end


def group_members(group: int) -> list[int]:
    """Processes of a process group, without those that have ended and not been waited for.

    With ``hidepid`` those of this user (proc(5)).
    """
    return [pid for pid, state, _, of in _processes() if of == group and state not in (b"Z", b"X")]


def ended_children() -> list[int]:
    """Children of this process that have ended and not been waited for."""
    own = os.getpid()
    return [pid for pid, state, parent, _ in _processes() if parent == own and state == b"Z"]


def _processes() -> Iterator[tuple[int, bytes, int, int]]:
    """Pid, state, parent and process group of each process, from ``/proc/PID/stat`` (proc(5))."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The name of the program, in parentheses, may contain anything.
                    state, parent, group, *_ = file.read().rpartition(b")")[2].split()
            except (OSError, ValueError):
                continue
            yield int(name), state, int(parent), int(group)


def end_own_group(seconds: float) -> None:
    """End the other processes of the group that this one leads; SIGKILL after ``seconds``.

    For a process that ends, too: SIGKILL does not spare it.
    """
    own = os.getpid()
    if os.getpgrp() != own or group_members(own) == [own]:
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(own, signal.SIGTERM)
    until = time.monotonic() + seconds
    while left := [pid for pid in group_members(own) if pid != own]:
        if time.monotonic() >= until:
            os.killpg(own, signal.SIGKILL)
        _wait_for_end(left[0], max(until - time.monotonic(), 0.0))


def _wait_for_end(pid: int, seconds: float) -> None:
    """Wait until a process has ended, which need not be a child (pidfd_open(2)), or time is up."""
    end = select.poll()
    with contextlib.ExitStack() as opened:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:
            # Out of descriptors: the time is what is left to wait for.
            pass
        else:
            opened.callback(os.close, descriptor)
            end.register(descriptor, select.POLLIN)
        end.poll(math.ceil(seconds * 1000))
