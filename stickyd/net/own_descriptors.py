"""Checks that a worker's own descriptors still refer to the same files.

An app may close descriptors that are not its own: `os.closerange`, or a number closed twice.
The worker gets no notice: an epoll drops closed descriptors (epoll(7), Q6), so the worker would
continue to send heartbeats and receive no events. The kernel assigns the number to the next file
that is opened (open(2)), perhaps another client's connection. A worker that detects this exits at
once and is replaced, as after a crash.
"""

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Callable

_LOST = frozenset({errno.EBADF, errno.ENOTSOCK})
"""Errors of system calls on a closed descriptor, or on a file that is not a socket."""

_SUSPECT = _LOST | {errno.EINVAL, errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP}
"""Errors after which descriptors are checked. Clients cannot cause them (ECONNRESET is not one)."""

NOT_IN_EPOLL = frozenset({errno.ENOENT, errno.EPERM})
"""Further errors of epoll_ctl(2) on a descriptor that refers to another file."""

_STATUS = 70
"""Exit status of a worker that ends because of it (EX_SOFTWARE, sysexits.h)."""


def open_descriptors() -> set[int]:
    """The descriptors that this process has."""
    found = {int(name) for name in os.listdir("/proc/self/fd")}
    # Without the descriptor that listed the directory.
    return {each for each in found if _file_of(each)}


def _file_of(descriptor: int) -> str:
    """The file that a descriptor refers to (proc_pid_fd(5)); "" if it is closed."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def above_standard(descriptor: int) -> int:
    """Duplicate standard input, output or error above 2 and replace it by /dev/null.

    If the app closes one of these, the kernel gives its number to the next connection, and what
    is printed would go to a client.

    :param descriptor: 0, 1 or 2.
    """
    above = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)
    return above


class DescriptorLost(Exception):
    """A descriptor of the worker's own is lost."""


def _raise(what: str) -> None:
    raise DescriptorLost(what)


def end_process(what: str) -> None:
    """Exit after the loss of an own descriptor; does not return."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.write(
            f"{what} has been closed by the app, or by a library of it: this worker ends"
            " (look for os.closerange, and for descriptors that are closed twice)\n"
        )
        sys.stderr.flush()
    os._exit(_STATUS)


class OwnDescriptors:
    """The descriptors of one worker, each with the file it refers to.

    :param on_lost: called with the name of the lost descriptor; does not return
        (`end_process` in a worker process).
    """

    def __init__(self, on_lost: Callable[[str], None] = _raise) -> None:
        self._on_lost = on_lost
        self._files: dict[str, tuple[int, str]] = {}

    def keep(self, what: str, descriptor: int) -> None:
        """Register an own descriptor; replaces an earlier one of the same name."""
        self._files[what] = descriptor, _file_of(descriptor)

    def forget(self, what: str) -> None:
        """An own descriptor is about to be closed."""
        del self._files[what]

    def check(self) -> None:
        """End the worker if a descriptor has been closed or stands for another file."""
        # A copy: threads that fail check as well.
        for what, (descriptor, file) in list(self._files.items()):
            if _file_of(descriptor) != file:
                self._on_lost(what)
                return

    def failed(self, error: OSError, what: str, also: frozenset[int] = frozenset()) -> None:
        """Handle a failed system call: exit if an own descriptor is lost.

        :param what: the name of the descriptor, if it is not registered.
        :param also: values of errno that mean that it is lost, beside EBADF and ENOTSOCK.
        """
        if error.errno in _SUSPECT:
            self.check()
        if error.errno in _LOST or error.errno in also:
            self._on_lost(what)
