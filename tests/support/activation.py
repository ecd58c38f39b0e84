"""A small stand-in for systemd: starts the daemon as a unit file says.

It speaks the protocols of sd_listen_fds(3), sd_notify(3) and
sd_watchdog_enabled(3), and expands what systemd.service(5) expands. It
enforces none of the unit's limits.
"""

import contextlib
import os
import re
import select
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.daemon import Daemon

# What systemd does between fork and exec, where only the child knows its pid.
_LAUNCH = """
import fcntl, os, sys
count = int(sys.argv[1])
aside = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 100) for fd in sys.argv[2:2 + count]]
os.closerange(3, 100)
for at, fd in enumerate(aside):
    os.dup2(fd, 3 + at)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execvp(sys.argv[2 + count], sys.argv[2 + count:])
"""


class Unit:
    """A unit file: settings by name, in order."""

    def __init__(self, text: str) -> None:
        self.settings: dict[str, list[str]] = {}
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                self.settings.setdefault(name, []).append(value)

    def one(self, name: str) -> str:
        """The value of a setting that is there once."""
        (value,) = self.settings[name]
        return value

    def command(self, environment: dict[str, str], name: str = "ExecStart") -> list[str]:
        """The words of a command line: ``${NAME}`` is one word, ``$NAME`` is split."""
        words: list[str] = []
        for word in shlex.split(self.one(name)):
            whole = re.fullmatch(r"\$(\w+)", word)
            if whole:
                words += shlex.split(environment.get(whole[1], ""))
            else:
                words.append(re.sub(r"\$\{(\w+)\}", lambda m: environment.get(m[1], ""), word))
        return words


def environment_file(text: str) -> dict[str, str]:
    """systemd.exec(5), ``EnvironmentFile=``: assignments, comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return dict("".join(shlex.split(line)).split("=", 1) for line in lines)


class Activated(Daemon):
    """A daemon that a unit describes, on a socket that is there before it.

    :param root: where ``make install`` put everything (DESTDIR).
    :param python: runs the program that ``ExecStart=`` names, as its first words.
    :param more: sockets passed beside that of ``stickyd.socket``, by name.
    """

    def __init__(
        self,
        root: Path,
        *options: str,
        program: list[str] | None = None,
        watchdog: float | None = None,
        environment: dict[str, str] | None = None,
        more: dict[str, socket.socket] | None = None,
    ) -> None:
        super().__init__()
        units = root / "lib" / "systemd" / "system"
        self.unit = Unit((units / "stickyd.service").read_text())
        socket_unit = Unit((units / "stickyd.socket").read_text())
        self.listening = _listen()
        self.port = self.listening.getsockname()[1]
        passed = {socket_unit.one("FileDescriptorName"): self.listening, **(more or {})}
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notifications.bind(os.path.join(self.directory.name, "notify"))
        self.messages: list[dict[str, str]] = []
        watchdog = watchdog or float(self.unit.one("WatchdogSec"))
        base = Path(self.directory.name)
        (base / "run").mkdir()
        self.control = str(base / "run" / "control")
        self._environment |= environment_file((root / "etc/default/stickyd").read_text())
        for line in self.unit.settings["Environment"]:
            name, _, value = line.partition("=")
            self._environment[name] = value
        by_default = shlex.split(self._environment["STICKYD_OPTIONS"])
        self._environment |= {
            "RUNTIME_DIRECTORY": str(base / "run"),
            "STICKYD_OPTIONS": shlex.join([*by_default, "--workers", "2", *options]),
            "NOTIFY_SOCKET": self.notifications.getsockname(),
            "WATCHDOG_USEC": str(round(watchdog * 1e6)),
            "LISTEN_FDS": str(len(passed)),
            "LISTEN_FDNAMES": ":".join(passed),
            **(environment or {}),
        }
        _, *arguments = self.unit.command(self._environment)
        program = program or [sys.executable, "-W", "error", "-m", "stickyd"]
        descriptors = [sock.fileno() for sock in passed.values()]
        self.pass_fds = tuple(descriptors)
        counted = [str(len(descriptors)), *map(str, descriptors)]
        self.command = [sys.executable, "-c", _LAUNCH, *counted, *program, *arguments]

    def reload(self) -> None:
        """What ``systemctl reload`` runs, where there is no program but a shell."""
        command = self.unit.command({"MAINPID": str(self.process.pid)}, "ExecReload")
        subprocess.run(command, check=True, env={"PATH": "/nonexistent"})

    def told(self, name: str, seconds: float = 30.0) -> dict[str, str]:
        """The next message that has a variable; those before it are kept in ``messages``."""
        until = time.monotonic() + seconds
        while True:
            message = self.next_message(until - time.monotonic())
            if message is None:
                raise AssertionError(f"no {name} within {seconds} s\n" + "\n".join(self.log))
            if name in message:
                return message

    def next_message(self, seconds: float) -> dict[str, str] | None:
        """The next message, if one comes."""
        if not select.select([self.notifications], [], [], max(seconds, 0.0))[0]:
            return None
        lines = self.notifications.recv(4096).decode().splitlines()
        message = dict(line.split("=", 1) for line in lines)
        self.messages.append(message)
        return message

    def connect(self, source: str | None = None) -> socket.socket:
        """A client, through a backlog that may wait for its daemon."""
        sock = socket.create_connection(("127.0.0.1", self.port), 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def __exit__(self, *about: object) -> None:
        try:
            super().__exit__(*about)  # type: ignore[arg-type]
        finally:
            self.listening.close()
            self.notifications.close()


def _listen() -> socket.socket:
    """As ``ListenStream=`` with a port alone: both address families, where there are both."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(
                ("", 0), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True
            )
    return socket.create_server(("", 0), backlog=1024)
