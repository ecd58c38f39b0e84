"""Takes samples of the daemon, and makes views of them."""

import time
from collections.abc import Callable

from stickyd.master.admin.page.build import view_of
from stickyd.master.admin.page.history import History
from stickyd.master.admin.page.sample import Change, Sample, counts_of
from stickyd.master.admin.page.view import View
from stickyd.master.facts import Watched
from stickyd.process import Used, used_by

FRESH_SECONDS = 0.5
"""A view that is not older than this is shown again: rates need some time between two samples."""

STALE_SECONDS = 20.0
"""A sample that is older than this says nothing of the rates now."""


class Observer:
    """The views of one daemon.

    Asks no worker anything: counters are read in the memory that the workers share.

    :param assets: digest of the page's files.
    """

    def __init__(
        self, watched: Watched, assets: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watched = watched
        self._assets = assets
        self._clock = clock
        self._history = History()
        self._last: Sample | None = None
        self._view: View | None = None

    def view(self) -> View:
        """The daemon now, or as it was less than `FRESH_SECONDS` ago."""
        last, view = self._last, self._view
        if view is not None and last is not None and self._clock() - last.seconds < FRESH_SECONDS:
            return view
        now = self._sample()
        if last is not None and now.seconds - last.seconds > STALE_SECONDS:
            last = None
        change = Change(last, now)
        self._history.add(change)
        self._last = now
        self._view = view_of(change, tuple(self._history.events), self._assets)
        return self._view

    def _sample(self) -> Sample:
        facts = self._watched.facts()
        pids = [facts.master_pid, *(worker.pid for slot in facts.slots for worker in slot.workers)]
        uses: dict[int, Used] = {}
        for pid in pids:
            use = used_by(pid)
            if use is not None:
                uses[pid] = use
        return Sample(
            self._clock(), time.time(), facts, counts_of(facts), self._watched.not_ready(), uses
        )
