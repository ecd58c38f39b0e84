"""Which files have changed, and when to report it. Pure."""

from collections.abc import Iterable, Mapping

Stamp = tuple[int, int, int]
"""Distinguishes contents of a file: time of the last change in ns, size, inode."""

Stamps = Mapping[str, Stamp]
"""Existing files, by path."""

UNSETTLED_MOST = 10
"""Scans after which a change is reported even if files keep changing."""

_SKIPPED = frozenset({"__pycache__", "node_modules"})


def is_source(name: str) -> bool:
    """Whether a file of this name, without its directory, belongs to an app."""
    return name.endswith(".py") and not name.startswith(".")


def is_searched(name: str, contents: Iterable[str]) -> bool:
    """Whether a directory below a watched one is searched.

    Not hidden directories, caches of tools, or virtual environments (PEP 405).

    :param name: of the directory, without its path.
    :param contents: names in the directory.
    """
    return not name.startswith(".") and name not in _SKIPPED and "pyvenv.cfg" not in contents


def changed(before: Stamps, after: Stamps) -> list[str]:
    """Paths of files that are new, gone or have another stamp, in order."""
    return sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


class FileChanges:
    """Reports changes once the files have stopped changing.

    An editor, or a checkout, writes files one after the other; an app must not be loaded
    in between.

    :param stamps: of the files that the app is loaded from.
    :ivar unsettled: scans since the first change that is not reported yet.
    """

    def __init__(self, stamps: Stamps) -> None:
        self._reported = self._last = stamps
        self.unsettled = 0

    def update(self, stamps: Stamps) -> list[str]:
        """The files changed since the last report; none while they keep changing."""
        at_rest = stamps == self._last
        self._last = stamps
        found = changed(self._reported, stamps)
        self.unsettled = self.unsettled + 1 if found else 0
        if not found or not (at_rest or self.unsettled > UNSETTLED_MOST):
            return []
        self._reported = stamps
        self.unsettled = 0
        return found
