"""Waits for processes that the kernel has made children of the master: it may be PID 1.

The first process of a PID namespace, as in a container, becomes the parent of processes whose own
parent has ended, and no other process can remove their entries (pid_namespaces(7)).
"""

import contextlib
import os
import signal
from typing import Any

from stickyd.master.signals import also_on
from stickyd.net.process_group import ProcessGroup, ended_children

INIT = 1
"""The pid of the first process."""


def wait_for_adopted(reactor: Any) -> None:
    """Remove the entries of ended processes that the master has not started, if it is PID 1."""
    if os.getpid() == INIT:
        also_on(reactor, signal.SIGCHLD, _look)
        _look()


def _look() -> None:
    for pid in ended_children():
        # Those that lead a group are waited for when the group has ended.
        if pid not in ProcessGroup.leaders:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
