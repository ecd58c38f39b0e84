"""Request smuggling through real proxies: ``python -m tests.slow.smuggling [--corpus]``.

nginx and HAProxy stand in front of a daemon in request scope. Each payload is
sent through each proxy, and behind it, on a connection of its own, the request
of another client, which the proxy sends down the same connection if it can.
The number of requests that the proxy says it forwarded and the number that
stickyd has met (served, refused, or cut off within the body) must be the same,
and the other client must get the answer to its own request. Otherwise proxy
and stickyd disagree on where a request ends, and the exit status is 1.

``--corpus`` sends every case of the corpus too, which takes some minutes more.
"""

import argparse
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.corpus.make_corpus import HELLO, LAST, SMUGGLED, chunked, get, post, sized
from tests.corpus.reading import load
from tests.support.daemon import Daemon, free_port, read_all, wait_for

SILENCE = 0.25
"""Seconds without a byte after which an answer is taken to be over."""

ATTACKER, VICTIM = "127.0.0.2", "127.0.0.3"
VICTIMS = b"GET /victim HTTP/1.1\r\nHost: victim\r\nConnection: close\r\n\r\n"

NGINX = """\
user root;
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.error;
events {{ worker_connections 64; }}
http {{
  log_format plain '$upstream_addr $status "$request"';
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  proxy_next_upstream off;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  underscores_in_headers on;
  ignore_invalid_headers off;
{servers}
}}
"""
NGINX_SERVER = """\
  upstream {name} {{ server 127.0.0.1:{upstream}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{port};
    access_log {log} plain;
    location / {{
      proxy_pass http://{name};
      {settings}
    }}
  }}
"""
NGINX_WAYS = {
    "nginx": 'proxy_http_version 1.1; proxy_set_header Connection "";',
    "nginx-streams": 'proxy_http_version 1.1; proxy_set_header Connection "";'
    " proxy_request_buffering off;",
    "nginx-http-1.0": "proxy_http_version 1.0;",
}

HAPROXY = """\
global
  log stdout format raw local0
defaults
  mode http
  log global
  log-format "%ft %s %ST %{{+Q}}r"
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  option http-keep-alive
  option forwardfor
  retries 0
  http-reuse always
{frontends}
"""
HAPROXY_FRONTEND = """\
frontend {name}
  bind 127.0.0.1:{port}
  {settings}
  default_backend {name}
backend {name}
  {backend}
  server stickyd 127.0.0.1:{upstream}
"""
HAPROXY_WAYS = {
    "haproxy": ("", ""),
    "haproxy-lenient": (
        "option accept-invalid-http-request",
        "option accept-invalid-http-response",
    ),
}


# ---- payloads


def _both(length: int, body: bytes, coding: bytes = b"Transfer-Encoding: chunked") -> bytes:
    return post(b"Content-Length: %d" % length, coding) + body


def _hidden(coding: bytes) -> bytes:
    """A coding one side may miss: with chunks the body ends early, by its length late."""
    return _both(len(LAST + SMUGGLED), LAST + SMUGGLED, coding)


def _size(line: bytes) -> bytes:
    """Chunks whose first size line may be read in two ways."""
    return chunked(line + b"\r\nhello\r\n" + LAST + SMUGGLED)


CHUNK = b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED)

PAYLOADS: dict[str, bytes] = {
    "plain": get(),
    "plain body": sized(HELLO),
    "plain chunks": chunked(b"5\r\nhello\r\n" + LAST),
    "three pipelined": get() * 3,
    "body and pipelined": sized(HELLO) + get(),
    "CL.TE": _both(len(LAST) + 1, LAST + b"G"),
    "CL.TE whole request": _hidden(b"Transfer-Encoding: chunked"),
    "TE.CL": _both(4, CHUNK + LAST),
    "TE.CL reversed fields": post(b"Transfer-Encoding: chunked", b"Content-Length: 4")
    + CHUNK
    + LAST,
    "CL 0 and TE": _both(0, LAST + SMUGGLED),
    "TE blank before colon": _hidden(b"Transfer-Encoding : chunked"),
    "TE tab before colon": _hidden(b"Transfer-Encoding\t: chunked"),
    "TE tab before value": _hidden(b"Transfer-Encoding:\tchunked"),
    "TE vertical tab before value": _hidden(b"Transfer-Encoding:\x0bchunked"),
    "TE vertical tab behind": _hidden(b"Transfer-Encoding: chunked\x0b"),
    "TE blank before name": _hidden(b" Transfer-Encoding: chunked"),
    "TE folded": _hidden(b"Transfer-Encoding:\r\n chunked"),
    "TE folded into another": _hidden(b"X: y\r\n Transfer-Encoding: chunked"),
    "TE behind bare LF": _hidden(b"X: y\nTransfer-Encoding: chunked"),
    "TE behind bare CR": _hidden(b"X: y\rTransfer-Encoding: chunked"),
    "TE ends in bare LF": _hidden(b"Transfer-Encoding: chunked\nX: y"),
    "TE xchunked": _hidden(b"Transfer-Encoding: xchunked"),
    "TE quoted": _hidden(b'Transfer-Encoding: "chunked"'),
    "TE identity": _hidden(b"Transfer-Encoding: identity"),
    "TE identity, chunked": _hidden(b"Transfer-Encoding: identity, chunked"),
    "TE chunked, identity": _hidden(b"Transfer-Encoding: chunked, identity"),
    "TE gzip, chunked": _hidden(b"Transfer-Encoding: gzip, chunked"),
    "TE twice": _hidden(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"),
    "TE twice reversed": _hidden(b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
    "TE chunked,": _hidden(b"Transfer-Encoding: chunked,"),
    "TE ;parameter": _hidden(b"Transfer-Encoding: chunked;x=y"),
    "TE underscore": _hidden(b"Transfer_Encoding: chunked"),
    "TE NUL": _hidden(b"Transfer-Encoding: chunked\0"),
    "TE upper case": _hidden(b"TRANSFER-ENCODING: CHUNKED"),
    "TE only, identity": post(b"Transfer-Encoding: identity") + SMUGGLED,
    "TE only, gzip, chunked": post(b"Transfer-Encoding: gzip, chunked") + LAST + SMUGGLED,
    "TE on HTTP/1.0": post(b"Transfer-Encoding: chunked", minor=0) + LAST + SMUGGLED,
    "TE on HTTP/1.0 kept alive": post(
        b"Transfer-Encoding: chunked", b"Connection: keep-alive", minor=0
    )
    + LAST
    + SMUGGLED,
    "CL.TE on HTTP/1.0": post(
        b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: keep-alive", minor=0
    )
    + LAST
    + SMUGGLED,
    "TE hidden by Connection": post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked")
    + LAST
    + SMUGGLED,
    "CL hidden by Connection": post(b"Connection: Content-Length", b"Content-Length: 5")
    + HELLO
    + SMUGGLED,
    "CL twice, small first": post(b"Content-Length: 0", b"Content-Length: %d" % len(SMUGGLED))
    + SMUGGLED,
    "CL twice, small last": post(b"Content-Length: %d" % len(SMUGGLED), b"Content-Length: 0")
    + SMUGGLED,
    "CL twice the same": post(b"Content-Length: 5", b"Content-Length: 5") + HELLO + SMUGGLED,
    "CL list": post(b"Content-Length: 5, 5") + HELLO + SMUGGLED,
    "CL plus": post(b"Content-Length: +5") + HELLO + SMUGGLED,
    "CL minus": post(b"Content-Length: -5") + HELLO + SMUGGLED,
    "CL hexadecimal": post(b"Content-Length: 0x5") + HELLO + SMUGGLED,
    "CL blank before colon": post(b"Content-Length : 5") + SMUGGLED,
    "CL underscore": post(b"Content_Length: %d" % len(SMUGGLED)) + SMUGGLED,
    "CL folded": post(b"Content-Length:\r\n 5") + SMUGGLED,
    "CL beyond 64 bits": post(b"Content-Length: 18446744073709551621") + HELLO + SMUGGLED,
    "CL leading zeros": post(b"Content-Length: 005") + HELLO + SMUGGLED,
    "CL 18 digits": post(b"Content-Length: 000000000000000005") + HELLO + SMUGGLED,
    "CL 19 digits": post(b"Content-Length: 0000000000000000005") + HELLO + SMUGGLED,
    "CL of GET": get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
    "CL too long": post(b"Content-Length: 6") + HELLO,
    "body is two requests": sized(SMUGGLED * 2),
    "chunks are two requests": chunked(CHUNK * 2 + LAST),
    "request behind the last chunk": chunked(LAST + SMUGGLED),
    "chunk size 0x": _size(b"0x5"),
    "chunk size blank behind": _size(b"5 "),
    "chunk size blank before": _size(b" 5"),
    "chunk size tab behind": _size(b"5\t"),
    "chunk size plus": _size(b"+5"),
    "chunk size minus": _size(b"-5"),
    "chunk size zeros": _size(b"0000000000000005"),
    "chunk size beyond 64 bits": _size(b"10000000000000005"),
    "chunk size beyond 32 bits": _size(b"100000005"),
    "chunk size empty": _size(b""),
    "chunk size letter": _size(b"5g"),
    "chunk extension": _size(b"5;a=b"),
    "chunk extension with LF": _size(b"5;a\nb"),
    "chunk extension with CR": _size(b"5;a\rb"),
    "chunk extension blank before": _size(b"5 ;a=b"),
    "chunk extension swallows a chunk": chunked(b"5;\n" + b"hello\r\n" + LAST + SMUGGLED),
    "chunk size line in LF": chunked(b"5\nhello\r\n" + LAST + SMUGGLED),
    "chunk data ends in LF": chunked(b"5\r\nhello\n" + LAST + SMUGGLED),
    "chunk data ends in two letters": chunked(b"5\r\nhelloXX" + LAST + SMUGGLED),
    "chunk too long": chunked(b"4\r\nhello\r\n" + LAST + SMUGGLED),
    "last chunk in LF": chunked(b"5\r\nhello\r\n0\n\n" + SMUGGLED),
    "last chunk with a bare CR": chunked(b"5\r\nhello\r\n0\r\n\r" + SMUGGLED),
    "trailer": chunked(b"0\r\nX: y\r\n\r\n" + SMUGGLED),
    "trailer Content-Length": chunked(b"0\r\nContent-Length: 40\r\n\r\n" + SMUGGLED),
    "trailer is a request": chunked(b"0\r\n" + SMUGGLED),
    "trailer in LF": chunked(b"0\r\nX: y\n\r\n" + SMUGGLED),
    "bare LF head": get().replace(b"\r\n", b"\n") + SMUGGLED,
    "bare LF head with body": sized(HELLO).replace(b"\r\n", b"\n") + SMUGGLED,
    "bare LF in a CRLF head": get(b"X: y\nContent-Length: 40") + SMUGGLED,
    "LF CR LF ends the head": b"GET / HTTP/1.1\r\nHost: a\n\r\n" + SMUGGLED,
    "CR ends a line": get(b"X: y\rContent-Length: 40") + SMUGGLED,
    "empty lines first": b"\r\n\r\n" + get() + SMUGGLED,
    "obs-fold": get(b"X: y\r\n z") + SMUGGLED,
    "obs-fold of Host": b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n" + SMUGGLED,
    "fold before the first field": b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n" + SMUGGLED,
    "Host twice": get(b"Host: b") + SMUGGLED,
    "Host missing": get(host=False) + SMUGGLED,
    "Host with path": get(b"Host: a/b", host=False) + SMUGGLED,
    "absolute-form": get(first=b"GET http://b.example/c HTTP/1.1") + SMUGGLED,
    "absolute-form, userinfo": get(first=b"GET http://a@b.example/ HTTP/1.1") + SMUGGLED,
    "absolute-form, no path": get(first=b"GET http://b.example HTTP/1.1") + SMUGGLED,
    "absolute-form, other scheme": get(first=b"GET ftp://b.example/ HTTP/1.1") + SMUGGLED,
    "fragment": get(first=b"GET /a#b HTTP/1.1") + SMUGGLED,
    "NUL in a value": get(b"X: a\0b") + SMUGGLED,
    "NUL in a name": get(b"X\0Y: z") + SMUGGLED,
    "NUL in the target": get(first=b"GET /\0 HTTP/1.1") + SMUGGLED,
    "control in a value": get(b"X: a\x01b") + SMUGGLED,
    "DEL in a value": get(b"X: a\x7fb") + SMUGGLED,
    "obs-text in the target": get(first=b"GET /\xfc HTTP/1.1") + SMUGGLED,
    "blank in the target": get(first=b"GET /a b HTTP/1.1") + SMUGGLED,
    "HTTP/0.9": b"GET /\r\n" + SMUGGLED,
    "HTTP/1.2": get(first=b"GET / HTTP/1.2") + SMUGGLED,
    "HTTP/2.0": get(first=b"GET / HTTP/2.0") + SMUGGLED,
    "CONNECT": get(first=b"CONNECT a:80 HTTP/1.1") + SMUGGLED,
    "HEAD": get(first=b"HEAD / HTTP/1.1") + SMUGGLED,
    "HEAD with body": get(b"Content-Length: 5", first=b"HEAD / HTTP/1.1") + HELLO + SMUGGLED,
    "204": get(first=b"GET /204 HTTP/1.1") + SMUGGLED,
    "304": get(first=b"GET /304 HTTP/1.1") + SMUGGLED,
    "Expect": post(b"Expect: 100-continue", b"Content-Length: 5") + HELLO + SMUGGLED,
    "Expect unknown": post(b"Expect: x", b"Content-Length: 5") + HELLO + SMUGGLED,
    "Expect obfuscated": post(b"Expect: y 100-continue", b"Content-Length: 5") + HELLO + SMUGGLED,
    "Upgrade h2c": get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c") + SMUGGLED,
    "Upgrade websocket": get(b"Connection: Upgrade", b"Upgrade: websocket") + SMUGGLED,
    "Connection close": get(b"Connection: close") + SMUGGLED,
}


# ---- proxies


class Proxies:
    """The proxies, from entering to leaving; nothing of them is left behind."""

    def __init__(self, upstream: int) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="stickyd-smuggling-"))
        self._upstream = upstream
        self._running: list[subprocess.Popen[bytes]] = []
        self.ports = {name: free_port() for name in (*NGINX_WAYS, *HAPROXY_WAYS)}

    def __enter__(self) -> "Proxies":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        servers = "".join(
            NGINX_SERVER.format(
                name=name,
                upstream=self._upstream,
                port=self.ports[name],
                log=self._log(name),
                settings=settings,
            )
            for name, settings in NGINX_WAYS.items()
        )
        nginx = self._directory / "nginx.conf"
        nginx.write_text(NGINX.format(directory=self._directory, servers=servers))
        frontends = "".join(
            HAPROXY_FRONTEND.format(
                name=name,
                upstream=self._upstream,
                port=self.ports[name],
                settings=settings,
                backend=backend,
            )
            for name, (settings, backend) in HAPROXY_WAYS.items()
        )
        haproxy = self._directory / "haproxy.cfg"
        haproxy.write_text(HAPROXY.format(frontends=frontends))
        error = str(self._directory / "nginx.error")
        self._run(["nginx", "-p", str(self._directory), "-e", error, "-c", str(nginx)], "nginx.out")
        self._run(["haproxy", "-db", "-f", str(haproxy)], "haproxy.out")
        for port in self.ports.values():
            wait_for(lambda port=port: _listens(port), what=f"a proxy on port {port}")

    def _run(self, command: list[str], out: str) -> None:
        with (self._directory / out).open("wb") as output:
            self._running.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
                )
            )

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def forwarded(self, name: str) -> int:
        """How many requests this proxy says that it sent on."""
        if name in NGINX_WAYS:
            log = self._log(name)
            text = log.read_text("latin-1") if log.exists() else ""
            return sum(not line.startswith("- ") for line in text.splitlines())
        text = (self._directory / "haproxy.out").read_text("latin-1")
        return sum(line.startswith(f"{name} stickyd ") for line in text.splitlines())


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


# ---- one payload through one proxy


@attrs.frozen
class Met:
    """What stickyd has met since it started."""

    served: int
    refused: int
    cut_off: int

    @classmethod
    def ask(cls, daemon: Daemon) -> "Met":
        """The counters, when they have come to rest."""
        last = None
        while True:
            report = daemon.report()
            workers, master = report["workers"], report["master"]
            refused = sum(workers["refused"].values()) + sum(master["refused"].values())
            met = cls(workers["requests"], refused, workers["lost"])
            if met == last:
                return met
            last = met
            # There is no event to wait for in another process's state.
            time.sleep(0.03)

    def since(self, before: "Met") -> "Met":
        """The difference."""
        return Met(
            self.served - before.served,
            self.refused - before.refused,
            self.cut_off - before.cut_off,
        )

    @property
    def total(self) -> int:
        """Every request that has come this far."""
        return self.served + self.refused + self.cut_off


@attrs.frozen
class Result:
    """One line of the table; the victim's request is counted in."""

    statuses: list[int]
    forwarded: int
    met: Met
    victim: str

    @property
    def agreed(self) -> bool:
        """Whether proxy and stickyd saw the same requests."""
        return self.forwarded == self.met.total and self.victim == "200"


def attack(port: int, payload: bytes) -> list[int]:
    """Send a payload; the statuses of what came back."""
    answer = b""
    with contextlib.suppress(OSError):
        address = ("127.0.0.1", port)
        with socket.create_connection(address, 10, source_address=(ATTACKER, 0)) as sock:
            sock.sendall(payload)
            sock.settimeout(SILENCE)
            while data := sock.recv(65536):
                answer += data
    # An answer may begin in the line that ended the body before it.
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


def victim(port: int) -> str:
    """The status of an innocent request, if the answer is its own."""
    try:
        address = ("127.0.0.1", port)
        with socket.create_connection(address, 10, source_address=(VICTIM, 0)) as sock:
            sock.sendall(VICTIMS)
            answer = read_all(sock)
    except OSError as error:
        return type(error).__name__
    status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.") else "none"
    if status == "200" and b"\nX-Echo: GET /victim 0 " not in answer.replace(b"x-echo", b"X-Echo"):
        return "another's"
    return status


def through(daemon: Daemon, proxies: Proxies, name: str, payload: bytes) -> Result:
    """One payload and one victim through one proxy."""
    before, said = Met.ask(daemon), proxies.forwarded(name)
    statuses = attack(proxies.ports[name], payload)
    own = victim(proxies.ports[name])
    with contextlib.suppress(AssertionError):
        # A proxy logs a request when it is over, which may be after the client has left.
        wait_for(
            lambda: proxies.forwarded(name) - said == Met.ask(daemon).since(before).total, 10.0
        )
    return Result(statuses, proxies.forwarded(name) - said, Met.ask(daemon).since(before), own)


def payloads(corpus: bool) -> Iterator[tuple[str, bytes]]:
    """What is sent, by name."""
    yield from PAYLOADS.items()
    if corpus:
        for case in load():
            yield case.name, case.data


def main() -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--corpus", action="store_true", help="send the corpus too")
    options = parser.parse_args()
    missing = [name for name in ("nginx", "haproxy") if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 2
    # As Control-C does: through every __exit__, so that no proxy stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    disagreed = 0
    totals: dict[str, Counter[str]] = {}
    print("forwarded/served+refused+cut off, both with the victim's own; what the attacker got")
    started = time.monotonic()
    echo = ("--class", "stickyd_echo_app:Echo", "--affinity-scope", "request")
    with Daemon(*echo) as daemon, Proxies(daemon.port) as proxies:
        for title, payload in payloads(options.corpus):
            cells = []
            for name in proxies.ports:
                result = through(daemon, proxies, name, payload)
                met = result.met
                got = ",".join(map(str, result.statuses)) or "-"
                cell = f"{result.forwarded}/{met.served}+{met.refused}+{met.cut_off} {got}"
                if not result.agreed:
                    disagreed += 1
                    cell += f" DISAGREE (victim: {result.victim})"
                cells.append(f"{name} {cell}")
                total = totals.setdefault(name, Counter())
                total["forwarded"] += result.forwarded
                total.update(attrs.asdict(met))
                total["disagreed"] += not result.agreed
            print(f"{title:36} | " + " | ".join(cells), flush=True)
    for name, total in totals.items():
        print(f"{name}: " + ", ".join(f"{what} {number}" for what, number in total.items()))
    print(f"{disagreed} disagreements in {time.monotonic() - started:.0f} s")
    return 1 if disagreed else 0


if __name__ == "__main__":
    sys.exit(main())
