"""Process-wide setup at the start: exit status, warnings, descriptor limit."""

import atexit
import contextlib
import os
import resource
import sys

from twisted.logger import Logger

from stickyd.logs.target import write_within
from stickyd.process import is_root
from stickyd.routing.trusted_peers import TrustedPeers
from stickyd.settings import Settings

STDERR_PATIENCE = 1.0
"""Seconds that the reader of standard error has to read one line."""

_log = Logger("stickyd")


class _Exit:
    """The exit status of a daemon that could not start; twistd itself always exits with 0."""

    status = 0


def _exit_with_status() -> None:
    if _Exit.status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_Exit.status)


# Handlers run in reverse order of registration: this one is the last.
atexit.register(_exit_with_status)


def fail_with(line: str = "") -> None:
    """Set the exit status to 1, and write a line to standard error if it is read."""
    if line:
        write_within(2, f"{line}\n".encode("utf-8", "backslashreplace"), STDERR_PATIENCE)
    _Exit.status = 1


def log_startup_warnings(settings: Settings, on_unix: bool) -> None:
    """Warn about options that are not safe, and about ones that have no effect.

    :param on_unix: one of the listeners is a Unix socket.
    """
    routing = settings.routing
    if is_root():
        _log.warn("the app runs as root; give twistd --uid and --gid, or the unit a User=")
    if routing.seed == 1:
        _log.warn(
            "seed 1 is public, so clients can choose their worker; give production"
            " a secret one: --seed @FILE"
        )
    if "*" in routing.trusted.split(","):
        _log.warn("--forwarded-allow-ips * lets every client say who it is")
    if routing.proxy.protocol != "off" and "*" in routing.proxy.allow_from:
        _log.warn("--proxy-allow-from * lets every client say who it is")
    if on_unix and routing.proxy.protocol != "off":
        _warn_without_unix("--proxy-allow-from", routing.proxy.allow_from, "connections are cut")
    elif on_unix:
        what = "forwarding headers do not count"
        _warn_without_unix("--forwarded-allow-ips", routing.trusted, what)


def _warn_without_unix(option: str, peers: str, what: str) -> None:
    if None not in TrustedPeers.parse(peers):
        _log.warn(
            "on the Unix socket {what}: {option} does not name unix", what=what, option=option
        )


def raise_descriptor_limit() -> None:
    """Raise the descriptor limit to the hard limit: each connection needs a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def disable_fd_inheritance() -> None:
    """Keep inherited descriptors, such as systemd's sockets, from the workers."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2:
                os.set_inheritable(int(name), False)
