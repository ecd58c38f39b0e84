"""twistd's PID file: it blocks the next start while a process has its PID.

PIDs are reused in containers and after a reboot: the process with the PID may not be the one
that wrote the file; it may even be this process.
"""

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterable

from stickyd.net.bind_address import connectable
from stickyd.net.unix_socket import listened_on, path_in

CONNECT_SECONDS = 1.0
"""Timeout of a connection attempt."""

CLOCK_SECONDS = 2.0
"""Precision of process start times (btime in proc_stat(5) is in whole seconds)."""

_removed = False


def remove_stale_once(path: str, answers: Callable[[], bool]) -> None:
    """Remove the file if it `is_stale`; for the start of the process, and done once in it.

    Options are parsed again after an upgrade, when the file belongs to this daemon.
    """
    global _removed
    if path and not _removed:
        _removed = True
        if is_stale(path, answers):
            with contextlib.suppress(OSError):
                os.unlink(path)


def is_stale(path: str, answers: Callable[[], bool]) -> bool:
    """Whether a process has the PID in the file, and cannot be the one that wrote it.

    twistd itself handles a PID without a process.

    :param answers: whether a connection to a listen address is accepted.
    """
    try:
        with open(path) as file:
            pid = int(file.read())
        written = os.stat(path).st_mtime
    except (OSError, ValueError):
        return False
    if pid == os.getpid():
        # This process has not written the file yet.
        return True
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file_of_arguments:
            arguments = file_of_arguments.read().split(b"\0")
        started = _started(pid)
    except (OSError, ValueError):
        return False
    if not any(re.search(b"twist|stickyd", os.path.basename(each)) for each in arguments):
        return True
    return started > written + CLOCK_SECONDS and not answers()


def _started(pid: int) -> float:
    """When a process was started, in seconds of the system's clock (proc_pid_stat(5))."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        ticks = int(stat.read().rpartition(b")")[2].split()[19])
    with open("/proc/stat", "rb") as of_system:
        booted = next(int(line.split()[1]) for line in of_system if line.startswith(b"btime "))
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def accepts_connections(descriptions: Iterable[str], control: str | None) -> bool:
    """Whether a connection to any address that a daemon is to listen on is accepted.

    :param descriptions: Twisted endpoint descriptions; those of TCP and Unix sockets are tried.
    :param control: path of another Unix socket.
    """
    paths = [control] if control else []
    for description in descriptions:
        address, path = connectable(description), path_in(description)
        if path is not None:
            paths.append(path)
        elif address is not None:
            with contextlib.suppress(OSError):
                socket.create_connection(address, CONNECT_SECONDS).close()
                return True
    return any(listened_on(path) for path in paths)
