"""Log lines that wait until they can be written: a bounded queue that drops the newest. Pure."""

from collections import deque


class LogBuffer:
    """A queue of texts of whole lines, each written whole or not at all.

    :param most: bytes that may wait; a text that comes while nothing waits may be longer.
    :ivar dropped: lines that found no room or were discarded.
    :ivar begun: the first text is written in part.
    """

    def __init__(self, most: int) -> None:
        self.dropped = 0
        self._most = most
        self._texts: deque[bytes] = deque()
        self._size = 0
        self.begun = False
        # A discarded text was written in part: a line end goes before the next.
        self._torn = False

    def __bool__(self) -> bool:
        return bool(self._texts)

    def add(self, text: bytes) -> None:
        """Queue a text, or count its lines as dropped if there is no room."""
        if self._texts and self._size + len(text) > self._most:
            self.dropped += _lines(text)
            return
        self._texts.append(text)
        self._size += len(text)

    def front(self, most: int) -> bytes:
        """What to write next: as many texts as are together no longer than ``most``.

        The first one comes whatever its length. Up to PIPE_BUF bytes a write to a
        pipe is atomic (pipe(7)), so that lines of several processes do not mix.
        """
        if not self._texts:
            return b""
        parts = [b"\n"] if self._torn else []
        room = most - len(parts)
        for number, text in enumerate(self._texts):
            room -= len(text)
            if room < 0 and number:
                break
            parts.append(text)
        return b"".join(parts)

    def taken(self, size: int) -> None:
        """So many bytes of `front` have been written."""
        if self._torn and size:
            self._torn = False
            size -= 1
        self._size -= size
        self.begun = False
        while size:
            text = self._texts.popleft()
            if size < len(text):
                self._texts.appendleft(text[size:])
                self.begun = True
                return
            size -= len(text)

    def discard(self) -> None:
        """Drop everything that waits."""
        self.dropped += sum(map(_lines, self._texts))
        self._texts.clear()
        self._size = 0
        self._torn = self._torn or self.begun
        self.begun = False


def _lines(text: bytes) -> int:
    return text.count(b"\n") or 1
