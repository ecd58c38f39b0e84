"""A child process, known by its pid.

Not Twisted's process transport, because a master that replaces its program (execve(2))
keeps its children and must attach to them again. That needs the pid, a pidfd
(pidfd_open(2)), which becomes readable when the process ends, and the output pipe.
"""

import os
import secrets
import signal
from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.internet import defer

from stickyd.logs.record import LINE_MOST, RECORD_MOST
from stickyd.net.process_group import ProcessGroup

_READ_MOST = 8192
"""Bytes per read: each line becomes a log event, which blocks the reactor meanwhile."""


def spawn(
    command: Sequence[str],
    environment: dict[str, str],
    keep: int | None = None,
    blocked: Collection[int] = (),
    *,
    leads: bool = False,
) -> tuple[int, int]:
    """Start a process with no input, its output and errors in one pipe.

    :param keep: a descriptor that the process inherits under the same number;
        all others are close-on-exec (PEP 446).
    :param blocked: signals that are blocked until the process unblocks them (sigprocmask(2)).
    :param leads: it leads a process group of its own (setpgid(2)).
    :return: pid, and the reading end of the pipe, non-blocking.
    :raise OSError: if it cannot be started.
    """
    output, theirs = os.pipe()
    try:
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 1),
            (os.POSIX_SPAWN_DUP2, theirs, 2),
        ]
        if keep is not None:
            # Onto itself: clears close-on-exec in the child alone (glibc 2.29).
            actions.append((os.POSIX_SPAWN_DUP2, keep, keep))
        group: dict[str, Any] = {"setpgroup": 0} if leads else {}
        # A child starts with default actions, whatever this process ignores.
        pid = os.posix_spawn(
            command[0],
            list(command),
            environment,
            file_actions=actions,
            setsigmask=blocked,
            setsigdef=[signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2],
            **group,
        )
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(theirs)
    os.set_blocking(output, False)
    return pid, output


class ChildProcess:
    """Watches a child process, and reads its output.

    :param on_line: called with each line of output, without its line end.
    :param mark: of the records among them, which may be longer than other lines; b"" for none.
    :ivar ended: fires with the wait status (waitpid(2)) when the process has ended and its
        output has been read.
    :ivar group: the group that it has led, once it has ended; SIGTERM is sent to what is left.
    :ivar left: how many processes that is.
    """

    def __init__(
        self,
        reactor: Any,
        pid: int,
        output: int,
        on_line: Callable[[bytes], None],
        mark: bytes = b"",
    ) -> None:
        self.pid = pid
        self.ended: defer.Deferred[int] = defer.Deferred()
        self._reactor = reactor
        self._alive = True
        self.group = ProcessGroup(reactor, pid)
        self.left = 0
        self._output = _Output(reactor, output, on_line, mark)
        self._pidfd = os.pidfd_open(pid)
        reactor.addReader(self)

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended: its pid may be reused by then."""
        if self._alive:
            os.kill(self.pid, number)

    def fileno(self) -> int:
        """For the reactor."""
        return self._pidfd

    def logPrefix(self) -> str:
        """For the reactor."""
        return "child"

    def doRead(self) -> None:
        """For the reactor: the process has ended."""
        # Its entry stays until its group has ended.
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            self._alive = False
            self._reactor.removeReader(self)
            os.close(self._pidfd)
            self.left = self.group.terminate()
            self._output.finish()
            exited = found.si_code == os.CLD_EXITED
            self.ended.callback(found.si_status << 8 if exited else found.si_status)

    def connectionLost(self, reason: object) -> None:
        """For the reactor; a pidfd has no connection to lose."""

    def detach(self) -> tuple[int, int]:
        """Stop watching; the caller owns pid and output pipe."""
        self._reactor.removeReader(self)
        os.close(self._pidfd)
        return self.pid, self._output.detach()


class _Output:
    """Reads the output pipe of a process, line by line."""

    def __init__(
        self, reactor: Any, descriptor: int, on_line: Callable[[bytes], None], mark: bytes
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._on_line = on_line
        self._mark = mark
        self._partial = b""
        reactor.addReader(self)

    def fileno(self) -> int:
        """For the reactor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For the reactor."""
        return "output"

    def doRead(self) -> None:
        """For the reactor."""
        try:
            data = os.read(self._descriptor, _READ_MOST)
        except BlockingIOError:
            return
        if not data:
            # Closed by the process, which may continue; the pidfd reports its end.
            self._reactor.removeReader(self)
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        *lines, rest = (self._partial + data).split(b"\n")
        most = RECORD_MOST if self._mark and rest.startswith(self._mark) else LINE_MOST
        if len(rest) > most:
            lines.append(rest)
            rest = b""
        self._partial = rest
        for line in lines:
            self._on_line(line)

    def finish(self) -> None:
        """Read the rest, then close, even if a grandchild keeps the pipe open."""
        try:
            while data := os.read(self._descriptor, _READ_MOST):
                self._take(data)
        except BlockingIOError:
            pass
        if self._partial:
            self._take(b"\n")
        os.close(self.detach())

    def detach(self) -> int:
        """Stop reading; the caller owns the descriptor."""
        self._reactor.removeReader(self)
        return self._descriptor

    def connectionLost(self, reason: object) -> None:
        """For the reactor; the descriptor is closed in `finish`."""
        self._reactor.removeReader(self)


def unless_over(
    reactor: Any,
    ended: "defer.Deferred[Any]",
    seconds: float,
    call: Callable[..., object],
    *arguments: object,
) -> None:
    """Call in ``seconds`` seconds, unless ``ended`` has fired by then."""
    late = reactor.callLater(seconds, call, *arguments)

    def over(result: Any) -> Any:
        if late.active():
            late.cancel()
        return result

    ended.addBoth(over)


def new_tag(form: str) -> str:
    """A tag for the mark of a child's records (`stickyd.logs.record`); "" if the log is text.

    :param form: of the daemon's log.
    """
    return secrets.token_hex(8) if form == "json" else ""


def how_it_ended(status: int) -> str:
    """``ended with exit code 3``, ``ended by signal 9``, from a wait status."""
    if os.WIFSIGNALED(status):
        return f"ended by signal {os.WTERMSIG(status)}"
    return f"ended with exit code {os.waitstatus_to_exitcode(status)}"
