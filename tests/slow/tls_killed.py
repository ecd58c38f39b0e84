"""TLS processes are killed: how soon another one accepts, and what others notice.

    python -m tests.slow.tls_killed [--kills 5]

First with one TLS process: the time from its end to an answer for a client that comes then.
Then with two, one of which is killed under load: its clients connect again; kept connections
of the other one, and those of a plain listener, go on. Fails if one of these is cut or gets
anything but its answers, if a client of the killed process cannot come back, or if the median of
the times is above a second.
"""

import argparse
import os
import signal
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

from OpenSSL import SSL

from benchmarks.guardian import on_processor
from tests.slow.tls_idle import answers
from tests.support.daemon import Reader, connected, request, wait_for
from tests.support.tls import TlsClient, TlsDaemon

OLD = 6.0
"""Seconds after which the end of a process is not an early one (stickyd.master.tls)."""


def replaced(kills: int) -> list[float]:
    """Seconds from each kill to an answer of the next process."""
    times = []
    with TlsDaemon() as daemon:
        for number in range(kills):
            time.sleep(OLD)
            (pid,) = daemon.tls_pids()
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            # The listening socket is the master's too: this one waits in the backlog.
            with daemon.secure() as client:
                assert answers(client, number), "no answer"
            times.append(time.monotonic() - began)
            (pid,) = daemon.tls_pids()
            busy = on_processor([pid])
            print(f"  {times[-1]:.2f} s, {busy:.2f} s of them on a processor", flush=True)
    return times


def clients_of(pid: int, port: int) -> set[int]:
    """The ports of clients whose connections to ``port`` a process has (proc(5))."""
    own = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        own.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        part = line.split()
        here, peer = (int(part[at].rpartition(":")[2], 16) for at in (1, 2))
        # A listening socket has no peer.
        if here == port and peer and f"socket:[{part[9]}]" in own:
            found.add(peer)
    return found


class Asking(threading.Thread):
    """Asks one request after the other on one connection, until it ends."""

    def __init__(
        self, client: TlsClient | socket.socket, number: int, over: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._number = number
        self._over = over
        self.answers = 0
        self.longest = 0.0
        self.failure = ""

    def run(self) -> None:
        reader = Reader(self._client)
        try:
            while not self._over.wait(0.01):
                began = time.monotonic()
                self._client.sendall(request(f"10.1.{self._number}.1"))
                status = reader.response().status
                assert status == 200, status
                self.longest = max(self.longest, time.monotonic() - began)
                self.answers += 1
        except (OSError, EOFError, AssertionError, SSL.Error) as error:
            self.failure = repr(error)


def beside(count: int) -> bool:
    """Kill one of two processes under load; whether only its clients have noticed."""
    with TlsDaemon("--tls-processes", "2", "--bind", "plain:127.0.0.1:0") as daemon:
        (where,) = (line for line in daemon.log if " is ready: " in line)
        plain = int(where.rpartition(":")[2])
        over = threading.Event()
        secure = [daemon.secure() for _ in range(count)]
        ports = [client.socket.getsockname()[1] for client in secure]
        everyone = [*secure, *(connected(plain) for _ in range(count))]
        threads = [Asking(client, number, over) for number, client in enumerate(everyone)]
        for thread in threads:
            thread.start()
        time.sleep(OLD)
        killed, other = daemon.tls_pids()
        lost = clients_of(killed, daemon.port)
        os.kill(killed, signal.SIGKILL)
        began = time.monotonic()
        back = 0
        for number in range(len(lost)):
            with daemon.secure() as client:
                back += answers(client, number)
        took = time.monotonic() - began
        wait_for(lambda: len(set(daemon.tls_pids()) - {killed}) == 2, what="another process")
        time.sleep(1)
        over.set()
        for thread in threads:
            thread.join(60)
        cut = {port for port, each in zip(ports, threads[:count], strict=True) if each.failure}
        others = [*threads[count:]]
        others += [e for port, e in zip(ports, threads[:count], strict=True) if port not in lost]
        failures = [each.failure for each in others if each.failure]
        same = other in daemon.tls_pids()
        for client in everyone:
            client.__exit__(None, None, None)
    print(
        f"two processes: {len(lost)} of {count} clients cut, {back} are back after {took:.2f} s;"
        f" {len(others)} others: {sum(each.answers for each in others)} answers,"
        f" {len(failures)} failed, the longest took"
        f" {max(each.longest for each in others) * 1000:.0f} ms; the other process stays: {same}"
    )
    print(*failures[:5], sep="\n")
    return cut == lost and 0 < len(lost) < count and back == len(lost) and not failures and same


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8, help="over TLS, and as many without")
    given = parser.parse_args()
    times = replaced(given.kills)
    middle = statistics.median(times)
    each = ", ".join(f"{took:.2f}" for took in times)
    print(f"one process: an answer {middle:.2f} s after its end in the median ({each})")
    return 0 if beside(given.clients) and middle < 1 else 1


if __name__ == "__main__":
    sys.exit(main())
