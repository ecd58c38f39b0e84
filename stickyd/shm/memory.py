"""Anonymous memory that processes share by its descriptor (memfd_create(2))."""

import fcntl
import os

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def create_memory(name: str, size: int) -> int:
    """A descriptor of ``size`` zero bytes, which cannot be resized; it is not inherited.

    :param name: as /proc/PID/maps shows it.
    :raise OSError: if the kernel has no memory or no descriptor for it.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        # A process that shrank it would end the others by SIGBUS (mmap(2)).
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
