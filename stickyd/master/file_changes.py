"""Which files have changed, and when to report it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

Stamp = tuple[int, int, int]
"""Distinguishes contents of a file: time of the last change in ns, size, inode."""

Stamps = Mapping[str, Stamp]
"""Existing files, by path."""

UNSETTLED_MOST = 10
"""Scans after which a change is reported even if files keep changing."""

_SKIPPED = frozenset({"__pycache__", "node_modules"})


class Patterns:
    """Which files belong to an app: those of Python, and what is included.

    A pattern is one of `PurePath.match`: ``*.html``, ``templates/*``.

    :param include: patterns of files.
    :param exclude: patterns of files, and of directories that are not searched.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)

    def excludes(self, path: str) -> bool:
        """Whether a file or directory is not watched."""
        # Most apps have no patterns, and large trees many files.
        return bool(self._exclude) and any(map(PurePath(path).match, self._exclude))

    def watches(self, name: str, path: str) -> bool:
        """Whether a file is watched.

        :param name: the last part of ``path``.
        """
        found = name.endswith(".py") and not name.startswith(".")
        found = found or (bool(self._include) and any(map(PurePath(path).match, self._include)))
        return found and not self.excludes(path)


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
