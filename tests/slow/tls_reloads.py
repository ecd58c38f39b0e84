"""Kept TLS connections under load while certificates and the app are reloaded.

    python -m tests.slow.tls_reloads [--certificates 100] [--reloads 20] [--clients 16]

Every HUP reads new certificates, and reloads the app; so many of them are waited for. Fails if a
request fails, if a connection has to be made anew, if a new client does not get the newest
certificate, or if the TLS process is another one, or has more descriptors, than before.
"""

import argparse
import os
import signal
import ssl
import sys
import threading
import time

from tests.support.daemon import Reader, request, wait_for
from tests.support.tls import TlsDaemon


class Client(threading.Thread):
    """Asks one request after the other on one connection."""

    def __init__(self, daemon: TlsDaemon, number: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._context = ssl.create_default_context(cafile=daemon.authority.cafile)
        self._daemon = daemon
        self._number = number
        self._over = over
        self.answers = 0
        self.handshakes = 0
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            self.handshakes += 1
            try:
                with self._context.wrap_socket(
                    self._daemon.connect(), server_hostname="localhost"
                ) as sock:
                    self._ask(sock)
            except (OSError, EOFError, AssertionError) as error:
                self.failed.append(repr(error))

    def _ask(self, sock: ssl.SSLSocket) -> None:
        reader, turn = Reader(sock), 0
        while not self._over.is_set():
            turn += 1
            # Another client of a proxy each time: in request scope most requests move.
            sock.sendall(request(f"10.{self._number}.{turn % 250}.7"))
            answer = reader.response()
            assert answer.status == 200, answer.status
            self.answers += 1


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=100)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--clients", type=int, default=16)
    given = parser.parse_args()
    # As many reloads are waited for; each of the others is one of certificates.
    waited = {round(n * given.certificates / given.reloads) for n in range(1, given.reloads + 1)}
    with TlsDaemon("--affinity-scope", "request") as daemon:
        (pid,) = daemon.tls_pids()
        over = threading.Event()
        clients = [Client(daemon, number, over) for number in range(given.clients)]
        for client in clients:
            client.start()
        wait_for(lambda: all(client.answers for client in clients), 60)
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        began, serials = time.monotonic(), set()
        for number in range(1, given.certificates + 1):
            generation = daemon.report()["generation"]
            daemon.renew()
            daemon.process.send_signal(signal.SIGHUP)
            read = "certificates are read anew"
            wait_for(lambda n=number, r=read: sum(r in line for line in daemon.log) >= n, 60, read)
            if number in waited:
                wait_for(lambda g=generation: daemon.report()["generation"] > g, 120, "a reload")
            with daemon.secure() as new:
                serials.add(new.serial)
        took = time.monotonic() - began
        generations = daemon.report()["generation"] - 1
        more = len(os.listdir(f"/proc/{pid}/fd")) - descriptors
        same = daemon.tls_pids() == [pid]
        over.set()
        for client in clients:
            client.join(60)
        answers = sum(client.answers for client in clients)
        failed = [text for client in clients for text in client.failed]
        handshakes = sum(client.handshakes for client in clients)
    print(
        f"{given.certificates} reloads of certificates, {generations} of the app in {took:.0f} s:"
        f" {answers} answers to {given.clients} clients, {len(failed)} failed, {handshakes}"
        f" handshakes; {len(serials)} certificates seen; same TLS process: {same}, descriptors"
        f" {more:+d}"
    )
    print(*failed[:5], sep="\n")
    good = not failed and handshakes == given.clients and same and abs(more) <= 2
    return 0 if good and len(serials) == given.certificates else 1


if __name__ == "__main__":
    sys.exit(main())
