"""Unix sockets that a daemon is to listen on, and what one that was killed has left there.

Twisted marks a socket file as in use by a symbolic link beside it that names a PID
(twisted.python.lockfile), and takes the mark for stale if no process has that
PID. Containers repeat PIDs, so that this may bar the start of a daemon whose
predecessor was killed; and two of them may share a directory but no PIDs, so
that a living one is taken for dead. Whether anybody listens is known to the
kernel: unix(7), ECONNREFUSED.
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
    """Whether somebody listens on a socket file; None if that cannot be known."""
    with socket.socket(socket.AF_UNIX) as sock:
        # With a full backlog it would wait (unix(7), EAGAIN).
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
    """Remove a socket file that nobody listens on, and its lock, before it is bound.

    A lock without a socket file is stale as well. Where it cannot be known whether somebody
    listens, everything is left as it is.

    :raise ValueError: if somebody listens; the text is for the user.
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
    # To connect to a file of another kind is refused, too; it is not ours.
    listens = listened_on(path) if is_socket else None
    if listens:
        raise ValueError("another process listens there")
    if listens is None:
        return
    for left in (path, lock_of(path)):
        with contextlib.suppress(OSError):
            os.unlink(left)
            _log.info("{left} is removed: nobody listens there", left=left)
