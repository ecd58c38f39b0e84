"""Process-wide state: credentials (credentials(7)), signals, search path, memory and time."""

import gc
import os
import signal
import sys
import time
from collections.abc import Collection
from typing import NamedTuple

HELD_BACK = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
"""Signals that are blocked while a new program starts, which inherits the mask (signal(7))."""


def block_signals() -> None:
    """Leave these signals pending for the next program."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)


def unblock_signals() -> None:
    """Receive them: the handlers are installed."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def ignore_signals(numbers: Collection[signal.Signals] = HELD_BACK) -> None:
    """Ignore signals that are meant for the master, and that a process group gets with it."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def import_from_working_directory() -> None:
    """Import modules from the working directory first, as ``python -m`` does.

    Python started with ``-P`` or ``PYTHONSAFEPATH`` leaves it out of the search path.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def import_from_directory(directory: str) -> None:
    """Import modules from a directory before all others."""
    if sys.path[:1] != [directory]:
        sys.path.insert(0, directory)


SERVICE_MANAGER_VARIABLES = frozenset(
    {
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
    }
)
"""Environment variables from the service manager for the master only (sd_notify(3),
sd_listen_fds(3)); children do not get them."""


def drop_saved_ids() -> None:
    """Set real and saved user and group to the effective ones.

    ``twistd --euid`` keeps root's in the master; an app must not be able to return to
    them. Needs no privilege (setresuid(2)), and clears capabilities (capabilities(7)).
    """
    gid, uid = os.getegid(), os.geteuid()
    # Only if they differ: a system call filter may forbid even the attempt.
    if os.getresgid() != (gid, gid, gid):
        os.setresgid(gid, gid, gid)
    if os.getresuid() != (uid, uid, uid):
        os.setresuid(uid, uid, uid)


def is_root() -> bool:
    """Whether the effective user is root."""
    return os.geteuid() == 0


_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")


class Used(NamedTuple):
    """What a process uses.

    :ivar memory: resident, in bytes.
    :ivar cpu: seconds, user and system, of all its threads.
    :ivar age: seconds since it was started.
    """

    memory: int
    cpu: float
    age: float


def used_by(pid: int) -> Used | None:
    """What a process uses now (proc_pid_stat(5)); None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # Behind the name, which may have any bytes: field 3 is the first.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    # The start is in ticks since the boot, time in suspend included.
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / _TICK
    cpu = (int(fields[11]) + int(fields[12])) / _TICK
    return Used(int(fields[21]) * _PAGE, cpu, max(age, 0.0))


def freeze_gc() -> None:
    """Exclude all objects that exist now from garbage collection, and collect less often.

    Requests and connections leave few cycles; the default threshold of 700 new objects would
    start a collection after every few of them.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
