"""When a worker gave its last heartbeat, and how long it has been silent. Pure."""


class WorkerHeartbeat:
    """The heartbeat state of one worker.

    Silence is added up in steps, not measured by the clock: time in which the master
    itself was stopped, and perhaps the whole machine, does not count.

    :param now: the reactor's seconds.
    :ivar last: time of the last heartbeat, in the reactor's seconds.
    :ivar silent: seconds without a heartbeat.
    :ivar timed_out: the worker has been silent for too long and is being killed.
    """

    def __init__(self, now: float) -> None:
        self.timed_out = False
        self.reset(now)

    def reset(self, now: float) -> None:
        """Count from ``now``."""
        self.last = now
        self.silent = 0.0

    def observe(self, beat: float) -> None:
        """Take the time of the last heartbeat that the worker has stored."""
        if beat > self.last:
            self.reset(beat)

    def elapse(self, now: float, passed: float) -> None:
        """Add the ``passed`` seconds before ``now``, as far as they follow the last heartbeat."""
        self.silent += min(passed, now - self.last)

    def exceeds(self, limit: float) -> bool:
        """Whether the silence exceeds ``limit`` seconds for the first time; 0 is no limit."""
        if not limit or self.silent <= limit or self.timed_out:
            return False
        self.timed_out = True
        return True
