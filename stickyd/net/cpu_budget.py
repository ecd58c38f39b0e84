"""How many CPUs this process may use: its affinity mask, and the quota of its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cpus(proc: Path = Path("/proc/self"), root: Path = Path("/")) -> int:
    """CPUs of the affinity mask (sched_getaffinity(2)), at most the quota of a control group.

    A quota of 1.5 CPUs counts as 2: a worker more uses what is left.

    :param proc: where the control groups of this process are told.
    :param root: directory that mount points are below.
    :return: at least 1.
    """
    cpus = len(os.sched_getaffinity(0))
    quotas = list(_quotas(proc, root))
    return max(1, min([cpus, *(math.ceil(quota) for quota in quotas)]))


def _quotas(proc: Path, root: Path) -> Iterator[float]:
    """The quotas in CPUs of all control groups that this process is in (cgroups(7))."""
    try:
        groups = (proc / "cgroup").read_text().splitlines()
        mounts = (proc / "mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in groups:
        number, controllers, path = line.split(":", 2)
        unified = number == "0" and not controllers
        if not unified and "cpu" not in controllers.split(","):
            continue
        for mounted, at in _mount_points(mounts, unified):
            top, own = root / at.lstrip("/"), PurePosixPath(path)
            # In a container, the path may be one of the host, above what is mounted.
            place = top / own.relative_to(mounted) if own.is_relative_to(mounted) else top
            for directory in (place, *place.parents):
                quota = _unified(directory) if unified else _first_version(directory)
                if quota is not None:
                    yield quota
                if directory == top:
                    break


def _mount_points(mounts: list[str], unified: bool) -> Iterator[tuple[str, str]]:
    """Root within the hierarchy and mount point of each that has the controller (proc(5))."""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.partition(" ")
        _, _, _, mounted, at, *_ = fields.split(" ")
        controllers = options.split(" ")[-1].split(",")
        if kind == "cgroup2" if unified else kind == "cgroup" and "cpu" in controllers:
            yield mounted, at


def _unified(directory: Path) -> float | None:
    """CPUs by ``cpu.max``: quota and period in microseconds."""
    try:
        quota, period = (directory / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _first_version(directory: Path) -> float | None:
    """CPUs by ``cpu.cfs_quota_us``, which is negative without a limit."""
    try:
        quota = int((directory / "cpu.cfs_quota_us").read_text())
        period = int((directory / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
