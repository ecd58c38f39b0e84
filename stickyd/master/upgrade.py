"""Replace the master's own program, in place (SIGUSR2).

The process goes on: same pid, same children, same listening sockets, so that
whoever watches over it notices nothing, and nobody is refused. Only the program
is another one afterwards: execve(2) of the command line that started us, with
what must not be lost in an anonymous file (memfd_create(2)).

The new program is asked first whether it could (`stickyd check`); afterwards
there is no way back.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.python import usage

from stickyd.errors import CannotUpgrade
from stickyd.master.exec_state import FORMAT, Packed, taken
from stickyd.master.supervisor.child_process import ChildProcess, how_it_ended, spawn

RESUME = "STICKYD_RESUME"
"""Environment variable: the descriptor of the file with the state."""

CHECK_SECONDS = 30.0


async def check(reactor: Any, arguments: Sequence[str], environment: dict[str, str]) -> None:
    """Ask the program on disk whether it understands us.

    :param arguments: our own options.
    :raise CannotUpgrade: if it does not.
    """
    said: list[str] = []
    command = [sys.executable, "-m", "stickyd", "check", f"--format={FORMAT}", *arguments]
    try:
        pid, output = spawn(command, environment)
    except OSError as error:
        raise CannotUpgrade(f"the new program cannot be started: {error}") from error
    child = ChildProcess(reactor, pid, output, said.append)
    late = reactor.callLater(CHECK_SECONDS, child.signal, signal.SIGKILL)
    status = await child.ended
    if late.active():
        late.cancel()
    if status:
        last = said[-1] if said else how_it_ended(status)
        raise CannotUpgrade(f"the new program does not start: {last}")


def replace_program(state: Packed) -> NoReturn:
    """Become the program on disk; does not return.

    :raise OSError: if it cannot be. Nobody listens to our children any more then.
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
    """The state of the program that was here before us, once; None after an ordinary start."""
    text = os.environ.pop(RESUME, None)
    if text is None:
        return None
    with open(taken(int(text)), "rb") as reading:
        state: Packed = json.load(reading)
    if state["format"] != FORMAT:
        raise CannotUpgrade(f"state of format {state['format']}, {FORMAT} is known")
    return state


def own_pidfile() -> str | None:
    """The file that twistd wrote our pid into, if any.

    :raise CannotUpgrade: if twistd made us a daemon: it would do so again, and
        the pid would be another. If it gave up root's rights: it would try to
        do so again, which takes them.
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
