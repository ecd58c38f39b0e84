"""Waits for processes that the kernel has made children of the master.

The first process of a PID namespace, as in a container, becomes the parent of processes whose own
parent has ended, and no other process can remove their entries (pid_namespaces(7)). With --preload
the master is such a process wherever it runs (`stickyd.master.template`).
"""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from stickyd.master.signals import also_on
from stickyd.net.process_group import ProcessGroup, ended_children

INIT = 1
"""The pid of the first process."""


AGAIN = 0.5
"""Seconds until the next look, if one may not be taken now."""


def wait_for_adopted(reactor: Any, adopts: bool, forks: Callable[[], bool]) -> None:
    """Remove the entries of ended processes that the master has not started.

    :param adopts: there may be such, if the master is not PID 1.
    :param forks: whether there may be a worker whose pid is not known yet; if it has ended, the
        supervisor is the one to ask how.
    """
    if not adopts and os.getpid() != INIT:
        return

    def look() -> None:
        if forks():
            reactor.callLater(AGAIN, look)
        else:
            _look()

    also_on(reactor, signal.SIGCHLD, look)
    look()


def _look() -> None:
    for pid in ended_children():
        # Those that lead a group are waited for when the group has ended.
        if pid not in ProcessGroup.leaders:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
