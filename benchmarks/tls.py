"""TLS of the daemon beside nginx and HAProxy in front of it: ``python -m benchmarks.tls``.

All of them have one process or thread for TLS, the same ECDSA certificate and no session
resumption, and end at the same worker with twisted.web; nginx and HAProxy connect to its plain
port. wrk is the client, on the same cores. Processor time is that of the daemon and of the proxy;
the median of several rounds, in which they take turns. Needs wrk, nginx and haproxy.
"""

import argparse
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.guardian import on_processor
from tests.support.authority import key_pem
from tests.support.daemon import connected, free_port, wait_for
from tests.support.tls import TlsDaemon

NGINX = """
daemon off; master_process off; pid {at}/nginx.pid; error_log /dev/null; events {{}}
http {{
  access_log off; keepalive_requests 100000000;
  upstream app {{ server 127.0.0.1:{plain}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {at}/both.pem; ssl_certificate_key {at}/both.pem;
    ssl_session_cache off; ssl_session_tickets off;
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""
HAPROXY = """
global
  nbthread 1
  tune.ssl.cachesize 0
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend tls
  bind 127.0.0.1:{port} ssl crt {at}/both.pem alpn http/1.1 no-tls-tickets
  default_backend app
backend app
  server daemon 127.0.0.1:{plain}
"""
LOADS = {
    "small answers, kept connections": ("/hello", 32, ()),
    "1 MiB answers, kept connections": ("/big?n=1048576", 8, ()),
    "a new connection for each": ("/hello", 32, ("-H", "Connection: close")),
}


@contextmanager
def proxy(command: list[str], file: Path, form: str, plain: int) -> Iterator[tuple[int, int]]:
    """A proxy in front of the daemon; its port and its pid."""
    port = free_port()
    file.write_text(form.format(at=file.parent, port=port, plain=plain))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, str(file)], **quiet)

    def listens() -> bool:
        try:
            connected(port).close()
        except OSError:
            return False
        return True

    try:
        wait_for(listens, what=f"{command[0]} on its port")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def measured(url: str, pids: list[int], load: str, seconds: int) -> tuple[float, float]:
    """Answers a second, and microseconds of processor time an answer."""
    path, connections, more = LOADS[load]
    before = on_processor(pids)
    command = ["wrk", *more, "-t1", f"-c{connections}", f"-d{seconds}s", url + path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(f"{url}: wrong answers\n{said}")
    found = re.search(r"(\d+) requests in", said)
    assert found is not None, said
    answers = int(found[1])
    return answers / seconds, (on_processor(pids) - before) / answers * 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args()
    options = ("--class", "stickyd_test_apps.Page", "--bind", "plain:127.0.0.1:0")
    with TlsDaemon(*options, workers=1) as daemon:
        (where,) = (line for line in daemon.log if " is ready: " in line)
        plain = int(where.rpartition(":")[2])
        at = Path(daemon.directory.name)
        certificate, key = daemon.authority.certify("localhost")
        (at / "both.pem").write_bytes(certificate + key_pem(key))
        family = daemon.family()
        with (
            proxy(["nginx", "-c"], at / "nginx.conf", NGINX, plain) as (nginx, nginx_pid),
            proxy(["haproxy", "-f"], at / "haproxy.cfg", HAPROXY, plain) as (haproxy, haproxy_pid),
        ):
            contestants = {
                "without TLS": (f"http://localhost:{plain}", family),
                "stickyd": (f"https://localhost:{daemon.port}", family),
                "nginx": (f"https://localhost:{nginx}", [*family, nginx_pid]),
                "HAProxy": (f"https://localhost:{haproxy}", [*family, haproxy_pid]),
            }
            print("| | answers/s | processor µs an answer |\n|---|---|---|")
            for load in LOADS:
                seen: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
                for _ in range(given.rounds):
                    for name, (url, pids) in contestants.items():
                        seen[name].append(measured(url, pids, load, given.seconds))
                for name, results in seen.items():
                    rate, cost = (statistics.median(each) for each in zip(*results, strict=True))
                    print(f"| {name}: {load} | {rate:.0f} | {cost:.0f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
