"""Which template process workers are forked from: start, reload, and when one has been killed."""

import ctypes
import os
import socket
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.errors import CannotLoad, StartFailed
from stickyd.master.supervisor.child_process import how_it_ended
from stickyd.master.supervisor.replacement import log_traceback, why
from stickyd.master.supervisor.respawn import BACKOFF_FIRST, BACKOFF_MOST
from stickyd.master.supervisor.spawn import Born
from stickyd.master.template.template_process import TemplateProcess
from stickyd.net.process_group import LeftGroups
from stickyd.settings import Settings

QUICK = 10.0
"""Seconds; a template that ends sooner is started again after a delay, which doubles each time."""

LAST = 1.0
"""Seconds that processes which the app has started at import have, at the stop, to end."""

_PR_SET_CHILD_SUBREAPER = 36

_log = Logger("stickyd")


def become_subreaper() -> None:
    """Let this process be the parent of those below it whose own parent has ended (prctl(2)).

    It remains so across execve(2).

    :raise OSError: if the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Templates:
    """Forks workers from template processes; see `stickyd.master.supervisor.spawn.Spawner`.

    :raise StartFailed: if this process cannot be the parent of its workers.
    """

    def __init__(self, reactor: Any, settings: Settings) -> None:
        try:
            become_subreaper()
        except OSError as error:
            raise StartFailed(f"--preload: prctl(PR_SET_CHILD_SUBREAPER): {error}") from error
        self._reactor = reactor
        self._settings = settings
        self._left = LeftGroups(reactor)
        self._all: set[TemplateProcess] = set()
        self._current: TemplateProcess | None = None
        self._before: TemplateProcess | None = None
        self._quick_ends = 0
        self._restart: Any = None
        self._closed = False

    def forks(self) -> bool:
        """Whether there may be a worker whose pid is not known yet."""
        return any(template.forks for template in self._all)

    # ---- workers

    def spawn(self, settings: Settings, channel: socket.socket, tag: str) -> "defer.Deferred[Born]":
        """Fork a worker from the current template; without one, another is started."""
        if self._closed:
            return defer.fail(CannotLoad("the daemon stops"))
        if self._current is None or not self._current.alive:
            self._start_again()
        assert self._current is not None
        return self._current.fork(channel, tag)

    # ---- templates

    def resume(self) -> None:
        """Import the app, for workers that are needed later."""
        self._start_again()

    def renew(self) -> "defer.Deferred[bool]":
        """Import the app in another template; if that fails, the present one stays."""
        return defer.ensureDeferred(self._renew())

    async def _renew(self) -> bool:
        self._cancel_restart()
        template = self._start()
        if self._current is None or not self._current.alive:
            # Workers wait for it meanwhile.
            self._current = template
        await template.loaded
        if template is not self._current:
            self._before, self._current = self._current, template
        return True

    def settle(self, replaced: bool) -> None:
        """The template from before a reload ends; or, after one that failed, the new one."""
        before, self._before = self._before, None
        if not replaced and before is not None and before.alive:
            before, self._current = self._current, before
        if before is not None:
            before.stop()

    def _start(self) -> TemplateProcess:
        template = TemplateProcess(self._reactor, self._settings, self._left)
        self._all.add(template)
        template.ended.addCallback(self._ended, template)
        template.start()
        return template

    def _start_again(self) -> None:
        self._cancel_restart()
        self._current = template = self._start()
        template.loaded.addErrback(self._not_loaded)

    def _not_loaded(self, failure: Failure) -> None:
        if not self._closed:
            _log.error("template: {why}", why=why(failure))
            log_traceback(failure)

    def _ended(self, status: int, template: TemplateProcess) -> None:
        self._all.discard(template)
        if template is self._before:
            self._before = None
        if template is not self._current or self._closed:
            return
        self._current = None
        since = template.ready_since
        if since is None:
            # The app cannot be imported as it is now: tried again when a worker is needed.
            return
        quick = self._reactor.seconds() - since < QUICK
        delay = min(BACKOFF_FIRST * 2**self._quick_ends, BACKOFF_MOST)
        self._quick_ends = self._quick_ends + 1 if quick else 0
        _log.warn(
            "the template (pid {pid}) {how} and is started again in {delay} s; workers go on",
            pid=template.pid,
            how=how_it_ended(status),
            delay=delay,
        )
        self._restart = self._reactor.callLater(delay, self._start_again)

    def _cancel_restart(self) -> None:
        if self._restart is not None and self._restart.active():
            self._restart.cancel()

    # ---- end

    def close(self) -> None:
        """Fork no more workers."""
        self._closed = True
        self._cancel_restart()
        for template in list(self._all):
            template.abandon()

    def stop(self) -> "defer.Deferred[None]":
        """Let every template end, and what the import of the app has started."""
        return defer.ensureDeferred(self._stop())

    async def _stop(self) -> None:
        templates = list(self._all)
        for template in templates:
            template.stop()
        await defer.DeferredList([template.ended for template in templates])
        await self._left.stop(LAST)
        self._left.abandon()
