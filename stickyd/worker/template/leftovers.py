"""Threads and descriptors that the import of an app has left, and workers cannot use."""

import os
import re
import threading
from collections import Counter
from collections.abc import Iterable

NAMED_MOST = 5
"""Threads and files that are named in a log line."""

_HARMLESS = frozenset({"/dev/null", "/dev/urandom", "/dev/random"})


def threads() -> list[str]:
    """The names of this process's threads but the first: Python's, or the kernel's (proc(5))."""
    named = {thread.native_id: thread.name for thread in threading.enumerate()}
    found = []
    for name in os.listdir("/proc/self/task"):
        if int(name) != os.getpid():
            found.append(named.get(int(name)) or _kernel_name(name))
    return sorted(found)


def _kernel_name(task: str) -> str:
    try:
        with open(f"/proc/self/task/{task}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a thread that has ended"


def files(descriptors: Iterable[int]) -> list[str]:
    """What open descriptors refer to (proc_pid_fd(5)), without what can be shared."""
    found = []
    for descriptor in descriptors:
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if target not in _HARMLESS:
            found.append(target)
    return found


def kind_of(target: str) -> str:
    """``socket``, ``pipe``, ``eventpoll``, ``device``, ``file``: from where a descriptor leads."""
    if target.startswith("/"):
        return "device" if target.startswith("/dev/") else "file"
    kind, _, rest = target.partition(":")
    return rest.strip("[]") if kind == "anon_inode" else kind


def of_threads(names: list[str]) -> str:
    """One line about threads; empty if there are none."""
    if not names:
        return ""
    return (
        f"the import of the app has started {_counted(len(names), 'thread')} ({_few(names)}),"
        " which no worker has, and locks that they hold stay locked there: start threads when the"
        " app starts (docs/preload.md)"
    )


def of_files(targets: list[str]) -> str:
    """One line about open descriptors; empty if there are none."""
    if not targets:
        return ""
    kinds = Counter(map(kind_of, targets))
    counted = ", ".join(_counted(number, kind) for kind, number in sorted(kinds.items()))
    paths = [re.sub(r"[^ -~]", "?", each) for each in targets if each.startswith("/")]
    named = f" ({_few(paths)})" if paths else ""
    return (
        f"the import of the app has left open {counted}{named}, which all workers share: open such"
        " things when the app starts (docs/preload.md)"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - NAMED_MOST} more" if len(names) > NAMED_MOST else ""
    return ", ".join(names[:NAMED_MOST]) + more
