"""Descriptors for log lines, written without blocking.

O_NONBLOCK belongs to the open file description (open(2)), which standard output
shares with the parent process: the terminal of a shell would become
non-blocking. So it is never set on an inherited descriptor.
"""

import os
import select
import socket
import stat
import time
from select import PIPE_BUF

LARGEST = 65536


class Target:
    """A descriptor of our own, opened with O_NONBLOCK, or a regular file.

    :ivar descriptor: owned, close-on-exec.
    :ivar pipe: it is a pipe or FIFO.
    :ivar most: bytes that are written at a time, so that lines of several processes do not mix.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        self.most = PIPE_BUF if self.pipe else LARGEST

    def send(self, data: bytes) -> int:
        """Write some of it; the number of bytes.

        :raise BlockingIOError: if nothing can be written now.
        :raise OSError: if it can not be written at all: a full disk, a pipe without a reader.
        """
        return os.write(self.descriptor, data)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


class SocketTarget(Target):
    """A socket, as the journal's (systemd-journald.service(8)): each send says that it won't wait.

    :param descriptor: of a socket; consumed.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._socket = socket.socket(fileno=descriptor)

    def send(self, data: bytes) -> int:
        """As the parent."""
        return self._socket.send(data, socket.MSG_DONTWAIT)

    def close(self) -> None:
        """As the parent."""
        self._socket.close()


class SharedTarget(Target):
    """A pipe or device that may not be opened anew: asked first whether it has room.

    A pipe that is writable takes PIPE_BUF bytes at once (pipe(7)), unless another process fills it
    in between.
    """

    def send(self, data: bytes) -> int:
        """As the parent."""
        if not wait_for_room(self.descriptor, 0.0):
            raise BlockingIOError
        return os.write(self.descriptor, data[:PIPE_BUF])


def wait_for_room(descriptor: int, seconds: float) -> bool:
    """Whether something can be written, or writing would fail, within ``seconds``."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def inherited(descriptor: int) -> Target:
    """A target for the file of an inherited descriptor, which stays unchanged.

    :raise OSError: if it is closed.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        # The offset is shared, too: opened anew it would write over what others have written.
        return Target(os.dup(descriptor))
    if stat.S_ISSOCK(mode):
        return SocketTarget(os.dup(descriptor))
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return Target(os.open(f"/proc/self/fd/{descriptor}", flags))
    except OSError:
        # It belongs to another user, or has no reader.
        return SharedTarget(os.dup(descriptor))


def opened(path: str) -> Target:
    """A target for a file, FIFO or device, to append to; a file is made if there is none.

    A FIFO is opened for reading too, which needs no reader (fifo(7)), and keeps what is in it
    when a reader ends and the next has not come yet.

    :raise OSError: if it cannot be opened.
    """
    how = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            how = os.O_RDWR
    except FileNotFoundError:
        pass
    return Target(os.open(path, how | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o640))


def write_within(descriptor: int, data: bytes, seconds: float) -> None:
    """Write to an inherited descriptor for at most ``seconds``; drop the rest."""
    until = time.monotonic() + seconds
    try:
        target = inherited(descriptor)
    except OSError:
        return
    try:
        while data and wait_for_room(target.descriptor, max(0.0, until - time.monotonic())):
            data = data[target.send(data) :]
    except OSError:
        pass
    finally:
        target.close()
