"""Unix sockets to listen on, and the files that a killed daemon left.

Twisted marks a socket file as in use by a symbolic link beside it that names a PID
(twisted.python.lockfile), and treats the link as stale if no process has that
PID. Containers reuse PIDs: after a kill the link may block the next start. Two
containers may share a directory but not PIDs: a link in use may look stale. The
kernel knows whether a process listens: unix(7), ECONNREFUSED.
"""

import contextlib
import os
import re
import socket
import stat

from twisted.logger import Logger

_UNIX = re.compile(r"unix:(?:address=)?((?:\\.|[^:\\])+)")

_log = Logger("stickyd")


def path_in(description: str) -> str | None:
    """The path in a Twisted endpoint description, if it is one of a Unix socket."""
    found = _UNIX.match(description)
    return re.sub(r"\\(.)", r"\1", found[1]) if found is not None else None


def lock_of(path: str) -> str:
    """The symbolic link by which Twisted marks a socket file as in use."""
    return f"{path}.lock"


def listened_on(path: str) -> bool | None:
    """Whether a process listens on a socket file; None if that cannot be determined."""
    with socket.socket(socket.AF_UNIX) as sock:
        # With a full backlog connect(2) would block (unix(7), EAGAIN).
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return None
    return True


def make_way(path: str) -> None:
    """Remove a stale socket file and its lock before binding.

    A lock without a socket file is stale, too. Nothing is removed if it cannot be determined
    whether a process listens.

    :raise ValueError: if a process listens; the text is for the user.
    """
    if not path or path.startswith("\0"):
        # An abstract one has no file (unix(7)).
        return
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        is_socket = True
    except OSError:
        return
    # connect(2) to a file of another kind is refused, too; such a file is not removed.
    listens = listened_on(path) if is_socket else None
    if listens:
        raise ValueError("another process listens there")
    if listens is None:
        return
    for left in (path, lock_of(path)):
        with contextlib.suppress(OSError):
            os.unlink(left)
            _log.info("{left} is removed: nobody listens there", left=left)
