"""Forks processes that are not this one's children, but those of the nearest subreaper above it.

A template that is the parent of workers could not end before them, and if it were killed, nobody
would learn how they end. So each is forked by a process in between, which ends at once, and the
kernel makes it a child of the master, a subreaper (PR_SET_CHILD_SUBREAPER). clone(2) with
CLONE_PARENT would do without the two, but only as a bare system call, without what libraries do at
a fork (pthread_atfork(3)).
"""

import os
import struct
import warnings

_RESULT = struct.Struct("=q")


def fork_away() -> int:
    """Fork; 0 in the new process, in this one its pid, when it is this one's child no longer.

    :raise OSError: if it cannot be forked.
    """
    reading, writing = os.pipe()
    try:
        between = _fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if between:
        os.close(writing)
        return _result(reading, between)
    os.close(reading)
    try:
        pid = _fork()
    except OSError as error:
        os.write(writing, _RESULT.pack(-(error.errno or 0)))
        os._exit(1)
    if pid:
        os.write(writing, _RESULT.pack(pid))
        os._exit(0)
    os.close(writing)
    return 0


def _result(reading: int, between: int) -> int:
    said = os.read(reading, _RESULT.size)
    os.close(reading)
    os.waitpid(between, 0)
    (pid,) = _RESULT.unpack(said) if said else (0,)
    if pid <= 0:
        raise OSError(-pid, os.strerror(-pid) if pid else "the process in between was killed")
    return int(pid)


def try_fork() -> None:
    """Fork a process that ends at once: what libraries do before a fork has been done then.

    OpenBLAS, for one, ends its threads then, and starts them again when they are needed.

    :raise OSError: if it cannot be forked.
    """
    pid = _fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12: the process has threads. `leftovers` says so, once and with their names.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
