"""Process-wide state: credentials (credentials(7)), signals, process group, garbage collector."""

import gc
import os
import signal
import time

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


def group_members(group: int) -> list[int]:
    """Processes of a process group, without those that have ended and not been waited for.

    From ``/proc/PID/stat`` (proc(5)); with ``hidepid`` those of this user.
    """
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The name of the program, in parentheses, may contain anything.
                    state, _, of_group, *_ = file.read().rpartition(b")")[2].split()
            except (OSError, ValueError):
                continue
            if int(of_group) == group and state not in (b"Z", b"X"):
                found.append(int(name))
    return found


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
    while group_members(own) != [own]:
        if time.monotonic() > until:
            os.killpg(own, signal.SIGKILL)
        # They are no children of this process, which could wait for them.
        time.sleep(0.02)


def is_root() -> bool:
    """Whether the effective user is root."""
    return os.geteuid() == 0


def freeze_gc() -> None:
    """Exclude all objects that exist now from garbage collection, and collect less often.

    Requests and connections leave few cycles; the default threshold of 700 new objects would
    start a collection after every few of them.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
