"""The descriptors that a worker cannot do without, and whether they are still what they were.

An app may close descriptors that are not its own: `os.closerange`, or a number closed twice.
Nothing tells the worker. An epoll forgets what is closed (epoll(7), Q6), so it would go on, with
heartbeats, and hear of no client. And the kernel gives the number to the next file that is opened
(open(2)), perhaps to another client's connection. So a worker in which that is seen ends at once,
like one that crashes, and is replaced.
"""

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Callable

_LOST = frozenset({errno.EBADF, errno.ENOTSOCK})
"""What system calls say of a number that is no descriptor, or of a file that is no socket."""

_SUSPECT = _LOST | {errno.EINVAL, errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP}
"""And what may come of it. What clients can cause, as ECONNRESET, costs no check."""

NOT_IN_EPOLL = frozenset({errno.ENOENT, errno.EPERM})
"""What epoll_ctl(2) says besides of a number that is another file by now."""

_STATUS = 70
"""Exit status of a worker that ends because of it (EX_SOFTWARE, sysexits.h)."""


def open_descriptors() -> set[int]:
    """The descriptors that this process has."""
    found = {int(name) for name in os.listdir("/proc/self/fd")}
    # Less the one that has just been used to list them.
    return {each for each in found if _file_of(each)}


def _file_of(descriptor: int) -> str:
    """The file that a descriptor stands for (proc_pid_fd(5)), "" if it is none."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def above_standard(descriptor: int) -> int:
    """A descriptor of the same file, which is no longer standard input, output or error.

    If the app closes one of these, the kernel gives its number to the next connection, and what
    is printed would go to a client. Their place is taken by /dev/null.

    :param descriptor: 0, 1 or 2; the caller's no longer.
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
    """The end of a worker that has lost a descriptor of its own; does not return."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.write(
            f"{what} has been closed by the app, or by a library of it: this worker ends"
            " (look for os.closerange, and for descriptors that are closed twice)\n"
        )
        sys.stderr.flush()
    os._exit(_STATUS)


class OwnDescriptors:
    """Knows the files behind the descriptors of one worker.

    :param on_lost: told which one is lost; does not return. (`end_process` in a worker process.)
    """

    def __init__(self, on_lost: Callable[[str], None] = _raise) -> None:
        self._on_lost = on_lost
        self._files: dict[str, tuple[int, str]] = {}

    def keep(self, what: str, descriptor: int) -> None:
        """A descriptor is the worker's own, in place of an earlier one by the same name."""
        self._files[what] = descriptor, _file_of(descriptor)

    def check(self) -> None:
        """End the worker if a descriptor has been closed or stands for another file."""
        # A copy: threads that fail check as well.
        for what, (descriptor, file) in list(self._files.items()):
            if _file_of(descriptor) != file:
                self._on_lost(what)
                return

    def failed(self, error: OSError, what: str, also: frozenset[int] = frozenset()) -> None:
        """A system call failed on a descriptor: end the worker if one is lost.

        :param what: the descriptor, if it is none of those that are kept.
        :param also: values of errno that mean that it is lost, beside EBADF and ENOTSOCK.
        """
        if error.errno in _SUSPECT:
            self.check()
        if error.errno in _LOST or error.errno in also:
            self._on_lost(what)
