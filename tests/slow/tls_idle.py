"""Many idle TLS connections: memory of each, and all of them answer afterwards.

    python -m tests.slow.tls_idle [--connections 10000] [--tls-processes 2]

One process on the loopback interface has all clients: it needs as many descriptors as there are
connections, and a TLS process three for each of its own (RLIMIT_NOFILE). Fails if a client does not
get an answer, if a process is another one than before, or if descriptors stay behind.
"""

import argparse
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from OpenSSL import SSL

from tests.support.daemon import Reader, at_rest, request, wait_for
from tests.support.tls import TlsClient, TlsDaemon, client_context

RELEASE_BUFFERS = 0x10
"""A mode of OpenSSL's (ssl.h): idle clients keep no buffers."""


def anonymous(pid: int) -> int:
    """KiB of memory that is not of files."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1])
    raise ValueError(f"no Anonymous of {pid}")


def answers(client: TlsClient, number: int) -> bool:
    """Whether a request is answered."""
    try:
        client.sendall(request(f"10.{number % 250}.{number // 250 % 250}.1"))
        return Reader(client).response().status == 200
    except (OSError, EOFError, AssertionError, SSL.Error):
        return False


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--tls-processes", type=int, default=2)
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    share = (hard - 64) // 3 * given.tls_processes
    if share < given.connections or hard < given.connections + 200:
        print(f"RLIMIT_NOFILE {hard} is too low (soft {soft})", file=sys.stderr)
        return 2
    options = ("--tls-processes", str(given.tls_processes), "--keep-alive", "3600")
    limit = ("--max-connections", str(given.connections + 100))
    with TlsDaemon(*options, *limit) as daemon:
        context = client_context(daemon.authority.cafile)
        context.set_mode(RELEASE_BUFFERS)
        family, tls = daemon.family(), daemon.tls_pids()
        parts = {"TLS processes": tls, "workers": list(daemon.pids().values())}
        parts["master"] = [daemon.process.pid]

        def connect() -> TlsClient:
            return daemon.secure(context=context)

        # What the first ones load is not of the connections.
        for number in range(50):
            with connect() as client:
                assert answers(client, number)
        wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="no connection")
        before = {name: sum(map(anonymous, pids)) for name, pids in parts.items()}
        descriptors = daemon.settled_descriptors()
        began = time.monotonic()
        clients, first = [], 0
        for number in range(given.connections):
            clients.append(connect())
            # At once: a head has a time (--head-timeout).
            first += answers(clients[-1], number)
        took = time.monotonic() - began
        opened = daemon.report()["connections"]["open"]
        print(f"{first} answers on {opened} open connections after {took:.0f} s")
        for name, pids in parts.items():
            at_rest(lambda p=pids: sum(map(anonymous, p)))
            more = sum(map(anonymous, pids)) - before[name]
            print(
                f"  {name}: {more / given.connections:.1f} KiB a connection, {more / 1024:.0f} MiB"
            )
        began = time.monotonic()
        second = sum(answers(client, number) for number, client in enumerate(clients))
        print(f"then {second} answers again, in {time.monotonic() - began:.0f} s")
        for client in clients:
            client.socket.close()
        wait_for(lambda: daemon.report()["connections"]["open"] == 0, 120, "no connection")
        at_rest(lambda: sum(daemon.descriptors().values()), 20)
        left = Counter(daemon.settled_descriptors())
        left.subtract(descriptors)
        same = daemon.family() == family
        with daemon.secure() as client:
            works = answers(client, 1)
    more_left = {pid: count for pid, count in left.items() if count > 2}
    print(f"same processes: {same}; descriptors left behind: {more_left or 0}")
    whole = first == second == opened == given.connections
    return 0 if whole and same and works and not more_left else 1


if __name__ == "__main__":
    sys.exit(main())
