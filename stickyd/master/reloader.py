"""Polls the files of the app for ``--reload`` (stat(2))."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from stickyd.master.file_changes import FileChanges, Patterns, Stamp, Stamps, is_searched
from stickyd.settings import ReloadSettings

EVERY = 0.25
"""Seconds between two scans."""

PAUSE = 9.0
"""Least pause between two scans, in multiples of the time that one takes: of a large tree, or on
a network file system."""

SETTLE_EVERY = 0.1
"""Seconds between two scans while files keep changing."""

NAMED_MOST = 3
"""Most files named in the log line."""

_log = Logger("stickyd")


class Reloader:
    """Calls ``on_changed`` when files of the app have changed.

    :param watched: directories and patterns.
    :param on_changed: called once for changes that come together.
    """

    def __init__(
        self, reactor: Any, watched: ReloadSettings, on_changed: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._directories = watched.directories
        self._patterns = Patterns(watched.include, watched.exclude)
        self._on_changed = on_changed
        self._stopped = threading.Event()
        self._next: Any = None
        self._took = 0.0

    def start(self) -> None:
        """Scan the files, before the app is loaded from them, and start polling."""
        if self._directories:
            changes = FileChanges(stamps_below(self._directories, self._patterns, self._stopped))
            _log.info("reload: watching {where}", where=", ".join(self._directories))
            self._scan_later(changes)

    def stop(self) -> None:
        """Stop polling."""
        self._stopped.set()
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _scan_later(self, changes: FileChanges) -> None:
        if not self._stopped.is_set():
            delay = SETTLE_EVERY if changes.unsettled else EVERY
            self._next = self._reactor.callLater(
                max(delay, PAUSE * self._took), self._scan, changes
            )

    def _scan(self, changes: FileChanges) -> None:
        # In a thread: a large tree, or a slow disk, must not block the reactor.
        began = self._reactor.seconds()
        scanning: defer.Deferred[Stamps] = deferToThreadPool(
            self._reactor,
            self._reactor.getThreadPool(),
            stamps_below,
            self._directories,
            self._patterns,
            self._stopped,
        )
        scanning.addCallback(self._scanned, changes, began)
        scanning.addErrback(lambda failure: _log.failure("cannot watch files", failure))
        scanning.addCallback(lambda _: self._scan_later(changes))

    def _scanned(self, stamps: Stamps, changes: FileChanges, began: float) -> None:
        self._took = self._reactor.seconds() - began
        if self._stopped.is_set():
            return
        found = changes.update(stamps)
        if found:
            named = ", ".join(map(self._short, found[:NAMED_MOST]))
            more = f" and {len(found) - NAMED_MOST} more" if len(found) > NAMED_MOST else ""
            _log.info("reload: {named}{more} changed", named=named, more=more)
            self._on_changed()

    def _short(self, path: str) -> str:
        """The path relative to the watched directory."""
        above = (d for d in self._directories if path.startswith(os.path.join(d, "")))
        return os.path.relpath(path, max(above, key=len))


def stamps_below(
    directories: Sequence[str], patterns: Patterns, stopped: threading.Event
) -> Stamps:
    """The stamps of all watched files in these directories and below.

    Files that cannot be read, or that disappear meanwhile, are left out. Symbolic links
    to directories are not followed.

    :param stopped: ends the scan early; the result is not used then.
    """
    stamps: dict[str, Stamp] = {}
    left = list(directories)
    while left and not stopped.is_set():
        directory = left.pop()
        try:
            with os.scandir(directory) as found:
                entries = list(found)
        except OSError:
            continue
        name, contents = os.path.basename(directory), [entry.name for entry in entries]
        below = directory not in directories
        if below and (not is_searched(name, contents) or patterns.excludes(directory)):
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                elif patterns.watches(entry.name, entry.path):
                    stat = entry.stat()
                    stamps[entry.path] = stat.st_mtime_ns, stat.st_size, stat.st_ino
            except OSError:
                continue
    return stamps
