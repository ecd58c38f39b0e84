"""Samples that ``perf script`` prints (perf-script(1)), counted by part of the software. No I/O."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

FIELDS = "pid,ip,sym,dso"
"""What ``perf script -F`` is asked for."""

SMALLEST = 0.01
"""Parts with a smaller share are joined in one row."""

NO_CALL, OTHER_CALL = "kernel: no system call", "kernel: other system calls"
SMALL = "parts below 1 %"
_FRAME = re.compile(r"\s+[0-9a-f]+ (.*) \((.+)\)$")
# The outermost function may be missing: the compiler makes jumps of last calls.
_SYSTEM_CALL = re.compile(r"(?:__(?:x64|arm64|riscv|s390x?)_sys|__sys|ksys)_(?:new)?(\w+)$")
_ENTRY = "do_syscall_64"
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([^/]+)/")


@attrs.frozen
class Part:
    """A part of the software.

    :ivar share: of all samples, 0 to 1.
    :ivar master: of all samples, those of this part in the contestant's first process.
    """

    name: str
    share: float
    master: float


@attrs.frozen
class Profile:
    """Where a contestant's processes spend their time under a load.

    :ivar cost: CPU microseconds a request in the same run.
    :ivar parts: the largest first; their shares add up to 1.
    """

    title: str
    cost: float
    samples: int
    parts: Sequence[Part]


def stacks(printed: str) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The samples: pid, and (symbol, file) of each frame, innermost first."""
    for block in re.split(r"\n\s*\n", printed):
        lines = block.strip("\n").split("\n")
        if not (pid := lines[0].strip()).isdigit():
            continue
        frames = [frame.groups() for frame in map(_FRAME.match, lines[1:]) if frame]
        yield int(pid), [(symbol, file) for symbol, file in frames]


def part_of(frames: Sequence[tuple[str, str]]) -> str:
    """Where a sample belongs: kernel time to its system call, the rest to its file."""
    if not frames:
        return "unknown"
    file = frames[0][1]
    if file.startswith("[") and file != "[vdso]" and file != "[unknown]":
        calls = (_SYSTEM_CALL.match(symbol) for symbol, _ in reversed(frames))
        if name := next((call[1] for call in calls if call), None):
            return f"kernel: {name}"
        within = any(symbol == _ENTRY for symbol, _ in frames)
        return OTHER_CALL if within else NO_CALL
    base = file.rpartition("/")[2]
    if "/stickyd/core/" in file:
        return f"compiled core: {base.partition('.')[0]}"
    if package := _PACKAGE.search(file):
        return package[1]
    if re.match(r"(lib)?python3", base):
        return "Python interpreter"
    if "/lib-dynload/" in file:
        return "Python's extension modules"
    if re.match(r"lib(c|m|pthread)[.-]|ld-", base) or file == "[vdso]":
        return "C library"
    return "unknown" if file == "[unknown]" else base


def profile(title: str, cost: float, printed: str, master: int) -> Profile:
    """Samples counted.

    :param master: the pid of the first process.
    :raise ValueError: there are none.
    """
    of_all: Counter[str] = Counter()
    of_master: Counter[str] = Counter()
    for pid, frames in stacks(printed):
        part = part_of(frames)
        of_all[part] += 1
        of_master[part] += pid == master
    total = of_all.total()
    if not total:
        raise ValueError("perf has recorded no samples")
    for part in [each for each in of_all if of_all[each] < SMALLEST * total]:
        of_all[SMALL] += of_all.pop(part)
        of_master[SMALL] += of_master.pop(part)
    ordered = sorted(of_all, key=lambda part: (part == SMALL, -of_all[part], part))
    parts = [Part(each, of_all[each] / total, of_master[each] / total) for each in ordered]
    return Profile(title, cost, total, parts)


def to_json(found: Profile) -> dict[str, Any]:
    """For a file."""
    return attrs.asdict(found)


def from_json(document: Mapping[str, Any]) -> Profile:
    """The other way round."""
    parts = [Part(**part) for part in document["parts"]]
    return Profile(**{**document, "parts": parts})
