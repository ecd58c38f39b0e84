"""Replaces the master's program in place (SIGUSR2).

The process keeps its pid, its children and its listening sockets, so that a service
manager sees no change and no client is refused. execve(2) runs the command line of
the start again, with the state in an anonymous file (memfd_create(2)).

The new program is checked first (`stickyd check`); after execve there is no way back.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.python import usage

from stickyd.errors import CannotUpgrade
from stickyd.ipc.exec_state import FORMAT, Packed, close_on_exec
from stickyd.master.supervisor.child_process import ChildProcess, how_it_ended, spawn, unless_over

RESUME = "STICKYD_RESUME"
"""Environment variable: the descriptor of the file with the state."""

CHECK_SECONDS = 30.0

_FORMAT_OPTION = f"--format={FORMAT}"


async def check(reactor: Any, arguments: Sequence[str], environment: dict[str, str]) -> None:
    """Check that the program on disk accepts these options and this state format.

    :param arguments: the options of this master.
    :raise CannotUpgrade: if it does not.
    """
    said: list[bytes] = []
    command = [sys.executable, "-m", "stickyd", "check", _FORMAT_OPTION, *arguments]
    try:
        pid, output = spawn(command, environment)
    except OSError as error:
        raise CannotUpgrade(f"the new program cannot be started: {error}") from error
    child = ChildProcess(reactor, pid, output, said.append)
    unless_over(reactor, child.ended, CHECK_SECONDS, child.signal, signal.SIGKILL)
    status = await child.ended
    if status:
        last = said[-1].decode("utf-8", "replace") if said else how_it_ended(status)
        raise CannotUpgrade(f"the new program does not start: {last}")


def refusal_of_format(option: str | None) -> str:
    """Why this program cannot replace the master that gave `check` this option; empty if it can.

    :param option: ``--format=N``; None if no master asks.
    """
    if option in (None, _FORMAT_OPTION):
        return ""
    return f"this program accepts state of format {FORMAT} only"


def replace_program(state: Packed) -> NoReturn:
    """Execute the program on disk; does not return.

    :raise OSError: if execve fails. The workers are detached by then.
    """
    file = os.memfd_create("stickyd-state", 0)
    with open(file, "wb", closefd=False) as writing:
        writing.write(json.dumps({"format": FORMAT, **state}).encode())
    os.lseek(file, 0, os.SEEK_SET)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, command, {**os.environ, RESUME: str(file)})


def resumed() -> Packed | None:
    """The state from the previous program, returned once; None after an ordinary start."""
    text = os.environ.pop(RESUME, None)
    if text is None:
        return None
    with open(close_on_exec(int(text)), "rb") as reading:
        state: Packed = json.load(reading)
    if state["format"] != FORMAT:
        raise CannotUpgrade(f"state of format {state['format']}, {FORMAT} is known")
    return state


def own_pidfile() -> str | None:
    """The pidfile that twistd wrote for this process, if any.

    :raise CannotUpgrade: if twistd has daemonized the process: it would do so again, with
        another pid. If twistd has dropped root's rights: it would try to do so again,
        which needs them.
    """
    # Its public name is this one, though the module does not declare it.
    from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

    options = ServerOptions()
    try:
        options.parseOptions(sys.argv[1:])
    except (usage.UsageError, SystemExit):
        # Not started by twistd.
        return None
    if not options["nodaemon"]:
        raise CannotUpgrade("a master that twistd has put into the background; use twistd -n")
    if os.getuid() and (options["uid"] is not None or options["gid"] is not None):
        raise CannotUpgrade("a master that has given up root's rights (--uid); restart it")
    path = options["pidfile"]
    try:
        with open(path) as file:
            return path if int(file.read()) == os.getpid() else None
    except (OSError, ValueError):
        return None
