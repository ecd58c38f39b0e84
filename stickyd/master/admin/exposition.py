"""The text of ``/metrics``: of the daemon, and of its apps (PROMETHEUS_MULTIPROC_DIR)."""

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Metric, multiprocess
from prometheus_client.exposition import choose_encoder
from twisted.logger import Logger

from stickyd.master.admin import MULTIPROC_DIR

_log = Logger("stickyd")


class _Given:
    """A collector of metrics that have been collected."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        return self._metrics


def apps_directory() -> str | None:
    """The directory of the apps' values, if there is one."""
    path = os.environ.get(MULTIPROC_DIR)
    return path if path and os.path.isdir(path) else None


def exposition(metrics: list[Metric], accept: str, apps: str | None) -> tuple[bytes, str]:
    """The text and its media type, as the client accepts it.

    :param apps: `apps_directory`; then files are read, so not in the reactor's thread.
    """
    encode, media_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Given(metrics))
    if apps is not None:
        try:
            theirs = _Given(_of_apps(apps))
        except Exception as error:
            # A killed worker may leave a file that is not whole.
            _log.warn("the metrics in {path} cannot be read: {why!r}", path=apps, why=error)
        else:
            registry.register(theirs)
    return encode(registry), media_type


def _of_apps(path: str) -> list[Metric]:
    return list(multiprocess.MultiProcessCollector(None, path).collect())


def forget_process(pid: int) -> None:
    """A worker has ended: its live gauges go, its counters stay."""
    path = apps_directory()
    if path is not None:
        try:
            multiprocess.mark_process_dead(pid, path)
        except OSError as error:
            _log.warn("live gauges of process {pid} stay: {why}", pid=pid, why=error)
