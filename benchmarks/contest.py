"""The contest: who takes part, on which core, what it costs them, and in which order.

All processes of a contestant share one core, the load has another. Contestants are measured in
turn, round after round, so that whatever else the machine does meets all of them alike; what
is compared are the ratios within a round.
"""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from tests.support.daemon import ROOT, free_port, wait_for

TICKS = os.sysconf("SC_CLK_TCK")
_SCHEDULED = 2
"""Of a process's CPU clocks, the one of the scheduler: CPUCLOCK_SCHED of linux/posix-timers.h."""

START_SECONDS = 120.0
"""For all processes of a contestant to answer; 64 workers start on one core."""

STOP_SECONDS = 15.0
PEERS = ROOT / "benchmarks" / ".peers"
"""What `benchmarks/setup.sh` installs; not part of the project."""

Figures = dict[str, float]
"""What one round told, by quantity: see `benchmarks.result.QUANTITIES`."""


class Unavailable(Exception):
    """A contestant, or a tool, that this machine lacks; one line says what to do."""


@functools.cache
def cores() -> tuple[int, int]:
    """The core of the servers, and that of the load, as this process was started."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Unavailable("the benchmarks need two cores: one for servers, one for the load")
    return usable[1], usable[0]


def tool(name: str) -> str:
    """Where a program is; /usr/sbin counts."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise Unavailable(f"{name} is missing: run benchmarks/setup.sh")
    return found


@attrs.frozen(eq=False)
class Contestant:
    """Processes on one core, and the port that serves.

    :ivar processes: roots of its process trees; the first is its master.
    :ivar whole: whether all of its processes are up; one answer shows no more than one of them.
    """

    name: str
    port: int
    processes: Sequence["subprocess.Popen[bytes]"]
    whole: Callable[[], bool] = lambda: True

    def tree(self) -> list[int]:
        """The pids of everything it is made of."""
        return [pid for process in self.processes for pid in tree(process.pid)]

    def cpu(self) -> float:
        """CPU seconds of the whole so far."""
        return sum(map(cpu, self.tree()))

    def master_cpu(self) -> float:
        """CPU seconds of the first process alone, without children that have ended."""
        return cpu(self.processes[0].pid, False)


def tree(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from tree(int(child))


def cpu(pid: int, with_ended: bool = True) -> float:
    """CPU seconds of a process in user and system mode, and of its children that have ended.

    Its own are those of its clock (clock_getcpuclockid(3)), in nanoseconds: the ticks of
    proc_pid_stat(5) are too coarse for a master, or for a server that mostly idles.
    """
    try:
        own = time.clock_gettime(~pid << 3 | _SCHEDULED)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # proc_pid_stat(5): cutime, cstime are fields 16 and 17.
    ended = sum(map(int, stat.rpartition(")")[2].split()[13:15])) / TICKS
    return own + ended if with_ended else own


def memory(pid: int) -> int:
    """Bytes of a process, those it shares counted by its share (PSS; proc_pid_smaps(5))."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no Pss in /proc/{pid}/smaps_rollup")


class Ground:
    """Where contestants stand: starts their processes, and ends them all whatever happens.

    Use as a context manager. Each process is told by the kernel when we die, so that even
    SIGKILL leaves nothing behind that it does not leave itself.
    """

    def __init__(self) -> None:
        self.server_core, self.load_core = cores()
        self._temporary = tempfile.TemporaryDirectory(prefix="stickyd-bench-")
        self.directory = Path(self._temporary.name)
        # nginx's workers are another user when we are root.
        self.directory.chmod(0o755)
        self.stop_seconds = STOP_SECONDS
        self._started: list[subprocess.Popen[bytes]] = []
        self._logs: dict[int, Path] = {}

    def __enter__(self) -> "Ground":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(self._started)
        self._temporary.cleanup()

    def spawn(self, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a server, on the servers' core and in a session of its own."""
        path = self.directory / f"{free_port()}-{len(self._logs)}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [*pinned(self.server_core), "setpriv", "--pdeathsig", "TERM", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                cwd=self.directory,
                start_new_session=True,
            )
        self._started.append(process)
        self._logs[process.pid] = path
        return process

    def log(self, process: "subprocess.Popen[bytes]") -> str:
        """What a server has printed."""
        return self._logs[process.pid].read_text(errors="replace")

    def stop(self, processes: Sequence["subprocess.Popen[bytes]"]) -> None:
        """End processes that were started here, and what they have started."""
        family = [pid for process in processes for pid in tree(process.pid)]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + self.stop_seconds
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
        for pid in family:
            if self._is_ours(pid, processes):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in processes:
            process.wait()
        gone = set(map(id, processes))
        self._started = [process for process in self._started if id(process) not in gone]

    @staticmethod
    def _is_ours(pid: int, processes: Sequence["subprocess.Popen[bytes]"]) -> bool:
        """A pid may be another's by now; sessions are ours."""
        try:
            return os.getsid(pid) in {process.pid for process in processes}
        except ProcessLookupError:
            return False


Maker = Callable[[Ground], Contestant]
Measure = Callable[[Contestant], Figures]


def pinned(core: int) -> list[str]:
    """What goes before a command that shall run on one core."""
    return ["taskset", "-c", str(core)]


def start(
    ground: Ground, makers: Mapping[str, Maker], ready: Callable[[int], Any]
) -> list[Contestant]:
    """Start all contestants and wait until each is ready; those unavailable are left out."""
    started = []
    for name, make in makers.items():
        try:
            started.append(attrs.evolve(make(ground), name=name))
        except Unavailable as error:
            print(f"without {name}: {error}", file=sys.stderr)
    for contestant in started:

        def up(c: Contestant = contestant) -> bool:
            for process in c.processes:
                if process.poll() is not None:
                    raise Unavailable(f"{c.name} ended: {ground.log(process)[-400:]}")
            return bool(c.whole() and ready(c.port))

        wait_for(up, START_SECONDS, f"{contestant.name} answers")
    return started


def interleaved(
    contestants: Sequence[Contestant], measure: Measure, rounds: int
) -> dict[str, list[Figures]]:
    """A B C, A B C, ...: the figures of each contestant, one for each round."""
    figures: dict[str, list[Figures]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants:
            progress(f"round {number + 1} of {rounds}: {contestant.name}")
            figures[contestant.name].append(measure(contestant))
            # The next one's turn begins when this one has closed its connections, which no
            # event tells us.
            time.sleep(0.2)
    progress("")
    return figures


def progress(text: str) -> None:
    """What is going on, to a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def keep_to_load_core() -> None:
    """This process, too, keeps off the servers' core."""
    os.sched_setaffinity(0, {cores()[1]})
