"""Reads logs in blocks of whole lines, compressed with gzip or not."""

import gzip
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

BLOCK = 1 << 22
LINE_MOST = 1 << 20
"""Bytes of a line; what is longer is cut into several."""

_GZIP = b"\x1f\x8b"


class LogFile:
    """A log: a file, or standard input for ``-``.

    :raise OSError: if it cannot be read.
    :ivar size: in bytes as stored; 0 if that is not known.
    """

    def __init__(self, path: str) -> None:
        self._raw = sys.stdin.buffer if path == "-" else open(path, "rb", buffering=0)  # noqa: SIM115
        found = os.fstat(self._raw.fileno())
        self.size = found.st_size if stat.S_ISREG(found.st_mode) else 0
        self._counted = _Counted(self._raw)
        buffered = io.BufferedReader(self._counted, 1 << 16)
        self._file: BinaryIO = buffered
        if buffered.peek(2)[:2] == _GZIP:
            self._file = gzip.GzipFile(fileobj=buffered)  # type: ignore[assignment]

    def blocks(self, progress: Callable[[int], None]) -> Iterator[bytes]:
        """Blocks of whole lines.

        :param progress: told the number of stored bytes that have been read.
        :raise OSError, EOFError: if the file is damaged.
        """
        rest = b""
        while data := self._file.read(BLOCK):
            end = data.rfind(b"\n") + 1
            if end or len(rest) > LINE_MOST:
                yield rest + data[:end] if end else rest
                rest = data[end:] if end else data
            else:
                rest += data
            progress(self._counted.count)
        if rest:
            yield rest

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


class _Counted(io.RawIOBase):
    """Counts what is read."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)
