"""HAProxy in front of stickyd: the true client reaches the page and decides ``src``.

    python -m tests.slow.proxy_peers [--clients 40]

Needs ``haproxy`` on PATH. Clients of many addresses of 127.0.0.0/8, and ::1,
come through HAProxy in TCP and HTTP mode with ``send-proxy`` (version 1),
``send-proxy-v2``, the same with TLVs, and with none, which must be cut.
HAProxy's own health checks must find stickyd up in every version.
"""

import argparse
import contextlib
import csv
import io
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from stickyd.settings import Settings
from tests.support.daemon import Daemon, Reader, free_port, read_all, wait_for

WORKERS = 4
TABLE = Settings(workers=WORKERS).policy().table
SENDING = {
    "v1": "send-proxy check check-send-proxy",
    "v2": "send-proxy-v2 check check-send-proxy",
    "v2_tlvs": "send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id,authority"
    " check check-send-proxy",
    "none": "",
}
REQUEST = b"GET /secure HTTP/1.1\r\nHost: test\r\n\r\n"

Ports = dict[tuple[str, str], int]


def configuration(stickyd: int, ports: Ports, control: str) -> str:
    """A file for HAProxy: a listener of each kind and mode, all in front of one stickyd."""
    parts = [
        f"global\n  stats socket {control}\n"
        "defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n"
    ]
    for (kind, mode), port in ports.items():
        parts.append(
            f"listen {kind}_{mode}\n  mode {mode}\n"
            f"  bind 127.0.0.1:{port}\n  bind [::1]:{port}\n"
            "  option httpchk GET /hello\n  unique-id-format %{+X}o%ci:%cp-%rt\n"
            f"  server stickyd 127.0.0.1:{stickyd} {SENDING[kind]} inter 500ms\n"
        )
    return "".join(parts)


@contextlib.contextmanager
def haproxy(stickyd: int, ports: Ports) -> Iterator[str]:
    """HAProxy while the context lasts; the path of its control socket."""
    with tempfile.TemporaryDirectory(prefix="stickyd-haproxy-") as directory:
        control = os.path.join(directory, "control")
        path = os.path.join(directory, "haproxy.cfg")
        with open(path, "w") as file:
            file.write(configuration(stickyd, ports, control))
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", path])
        try:
            wait_for(lambda: os.path.exists(control), what="HAProxy's control socket")
            yield control
        finally:
            process.terminate()
            process.wait(20)


def checks(control: str) -> dict[str, str] | None:
    """The state of each server that HAProxy checks, and what its last check found, by listener.

    None until it has asked each of them: it takes a server to be up until then.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(control)
        sock.sendall(b"show stat\n")
        table = read_all(sock).decode()
    rows = csv.DictReader(io.StringIO(table.removeprefix("# ")))
    servers = [row for row in rows if row["svname"] == "stickyd" and row["check_status"]]
    # "INI" before the first result, an asterisk while the next one is on its way.
    found = {row["pxname"]: row["check_status"].lstrip("* ") for row in servers}
    if "INI" in found.values():
        return None
    return {row["pxname"]: f"{row['status']} {found[row['pxname']]}" for row in servers}


def ask(source: str, port: int) -> str | None:
    """What is wrong with the two answers that a client gets; None if nothing is."""
    to = "::1" if ":" in source else "127.0.0.1"
    with socket.create_connection((to, port), 10, source_address=(source, 0)) as sock:
        told = f"False {source} {sock.getsockname()[1]}"
        slot = TABLE.slot_of(source.encode())
        reader = Reader(sock)
        for _ in range(2):
            sock.sendall(REQUEST)
            response = reader.response()
            worker = response.headers.get("x-stickyd-worker")
            if (response.status, response.body.decode(), worker) != (200, told, str(slot)):
                return f"due {told} at {slot}, got {response.status} {response.body!r} at {worker}"
    return None


def is_cut(port: int) -> bool:
    """Whether stickyd serves nobody who comes through this listener."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        try:
            answer = read_all(sock)
        except ConnectionResetError:
            return True
    # In HTTP mode HAProxy answers in our place.
    return answer == b"" or answer.startswith(b"HTTP/1.1 502 ")


def main() -> int:
    """Run; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=40)
    arguments = parser.parse_args()
    if shutil.which("haproxy") is None:
        print("haproxy is not on PATH", file=sys.stderr)
        return 2
    chance = random.Random(1)
    sources = ["::1", *(f"127.{chance.randrange(1, 256)}.0.{n}" for n in range(1, 255))]
    sources = sources[: arguments.clients]
    wrong = []
    options = (
        *("--class", "stickyd_test_apps:Page", "--worker-header", "X-Stickyd-Worker"),
        *("--affinity", "src", "--affinity-scope", "request", "--forwarded-allow-ips", "192.0.2.1"),
        *("--proxy-protocol", "auto", "--proxy-allow-from", "127.0.0.1"),
    )
    ports = {(kind, mode): free_port() for kind in SENDING for mode in ("tcp", "http")}
    with Daemon(*options, workers=WORKERS) as daemon:
        before = daemon.settled_descriptors()
        with haproxy(daemon.port, ports) as control:
            for (kind, mode), port in ports.items():
                started = time.monotonic()
                if kind == "none":
                    found = [] if is_cut(port) else ["served without a PROXY header"]
                    asked = 1
                else:
                    found = [fault for source in sources if (fault := ask(source, port))]
                    asked = len(sources)
                took = time.monotonic() - started
                print(f"{kind} in {mode} mode: {asked} clients in {took:.1f} s, wrong {len(found)}")
                wrong += [f"{kind} {mode}: {fault}" for fault in found]
            checked = wait_for(lambda: checks(control), what="a check of each")
            down = {name: state for name, state in checked.items() if not name.startswith("none")}
            down = {name: state for name, state in down.items() if state != "UP L7OK"}
        wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="no open connection")
        report = daemon.report()
        after = daemon.settled_descriptors()
    slots = {TABLE.slot_of(source.encode()) for source in sources}
    print(f"health checks: {checked}, down: {down or 'none'}")
    print(f"slots reached: {sorted(slots)}, handed off {report['master']['handed_off']}")
    print(f"refused {report['master']['refused']}, misrouted {report['workers']['misrouted']}")
    print(f"descriptors before {list(before.values())}, after {list(after.values())}")
    for line in wrong[:10]:
        print(line)
    return 0 if not wrong and not down and before == after and len(slots) > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
