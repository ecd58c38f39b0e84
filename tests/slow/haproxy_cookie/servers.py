"""The two that are compared: HAProxy before two stock servers, and stickyd with two workers."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.slow.socketio.fronts import accepts
from tests.support.daemon import ROOT, Daemon, free_port, read_all, wait_for

NAME = "STICKY"
ATTRIBUTES = "SameSite=Lax"
APP = "stickyd_cookies_app.Root"

HAPROXY = """\
global
  stats socket {directory}/control level admin
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  option redispatch
frontend front
  bind 127.0.0.1:{port}
  default_backend app
backend app
  balance roundrobin
  cookie {name} insert indirect nocache httponly attr {attributes}
  server one 127.0.0.1:{one} cookie one check inter 100ms fall 1 rise 1
  server two 127.0.0.1:{two} cookie two check inter 100ms fall 1 rise 1
"""


class Server(Protocol):
    """One of the two.

    :ivar port: to ask.
    """

    port: int

    def last(self) -> int:
        """The process that `remove_last` takes out."""

    def remove_last(self) -> None:
        """Take one of the two servers, or workers, out."""


class HAProxy:
    """HAProxy before two stock servers of twisted.web."""

    def __init__(self, directory: Path, port: int, servers: dict[str, int]) -> None:
        self.port = port
        self._control = directory / "control"
        self._servers = servers

    def last(self) -> int:
        """The server ``two``."""
        return self._servers["two"]

    def remove_last(self) -> None:
        """By its admin socket, as for maintenance."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._control))
            control.sendall(b"set server app/two state maint\n")
            read_all(control)


@contextlib.contextmanager
def haproxy() -> Iterator[HAProxy]:
    """HAProxy and its servers, once they answer."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        path = f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'apps'}"
        ports, servers = {}, {}
        for each in ("one", "two"):
            ports[each] = free_port()
            listen = f"tcp:{ports[each]}:interface=127.0.0.1"
            process = subprocess.Popen(
                [sys.executable, "-m", "twisted", "web", "--listen", listen, "--class", APP],
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(_end, process)
            servers[each] = process.pid
        for port in ports.values():
            wait_for(lambda port=port: accepts(port), what="a stock server")
        port = free_port()
        config = directory / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(directory=name, port=port, name=NAME, attributes=ATTRIBUTES, **ports)
        )
        stack.callback(_end, subprocess.Popen(["haproxy", "-db", "-q", "-f", str(config)]))
        wait_for(lambda: accepts(port), what="HAProxy")
        yield HAProxy(directory, port, servers)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


class Stickyd:
    """stickyd with two workers that run the same app."""

    def __init__(self, daemon: Daemon) -> None:
        self.port = daemon.port
        self._daemon = daemon

    def last(self) -> int:
        """The worker of slot 2."""
        return self._daemon.pids()[2]

    def remove_last(self) -> None:
        """By TTOU."""
        self._daemon.process.send_signal(signal.SIGTTOU)
        wait_for(lambda: len(self._daemon.report()["slots"]) == 1, what="one slot")


@contextlib.contextmanager
def stickyd() -> Iterator[Stickyd]:
    """stickyd, once it is ready."""
    options = ("--class", APP, "--affinity", f"insert({NAME}),least")
    scope = ("--affinity-scope", "request", "--cookie-attributes", ATTRIBUTES)
    with Daemon(*options, *scope, workers=2) as daemon:
        yield Stickyd(daemon)
