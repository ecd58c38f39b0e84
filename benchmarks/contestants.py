"""Who takes part. Each maker starts real processes on the servers' core."""

import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.contest import PEERS, Contestant, Ground, Maker, Unavailable, tool
from stickyd.core.native import CORE
from tests.support.daemon import ROOT, free_port

TWISTED, ASGI = "benchmarks.site:Page", "benchmarks.asgi_site:hello"

NGINX = """
daemon off; master_process on; worker_processes 1; pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  keepalive_requests 10000000;
  upstream app {{ hash $http_x_forwarded_for consistent; {servers}
    keepalive 64; keepalive_requests 10000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{
    proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffers 16 64k; proxy_max_temp_file_size 0;
    proxy_set_header X-Forwarded-For $http_x_forwarded_for; }} }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  option splice-auto
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:{port} backlog 1024
  default_backend app
backend app
  balance hdr(X-Forwarded-For)
  hash-type consistent
{servers}
"""

Backends = Callable[[Ground, int], tuple[list[int], list["subprocess.Popen[bytes]"]]]


def stickyd(
    scope: str,
    workers: int,
    app: Sequence[str] = ("--class", TWISTED),
    native: bool = True,
    trusted: str = "127.0.0.0/8",
) -> Maker:
    """stickyd itself, seed 1.

    :param app: the app, and other options.
    :param native: with the compiled core; otherwise without it (``STICKYD_NATIVE=0``).
    :param trusted: peers; clients of P7 come from several addresses of the loopback network.
    :raise Unavailable: when it is started, if there is no compiled core to run.
    """
    environment = {} if native else {"STICKYD_NATIVE": "0"}

    def make(ground: Ground) -> Contestant:
        if native and CORE.native is None:
            raise Unavailable(f"it runs on the {CORE}; see docs/core.md")
        port = free_port()
        command = [sys.executable, "-m", "stickyd", "run", *app, "--seed", "1"]
        command += ["--workers", str(workers), "--affinity-scope", scope]
        command += ["--forwarded-allow-ips", trusted]
        command += ["--listen", f"tcp:{port}:interface=127.0.0.1"]
        process = ground.spawn(*command, **environment)
        return Contestant("stickyd", port, [process], lambda: " is ready: " in ground.log(process))

    return make


def stickyd_asgi(scope: str, workers: int, native: bool = True) -> Maker:
    """stickyd with the ASGI application."""
    return stickyd(scope, workers, ("--asgi", ASGI), native)


def _stock(ground: Ground, count: int) -> tuple[list[int], list["subprocess.Popen[bytes]"]]:
    ports = [free_port() for _ in range(count)]
    command = [sys.executable, "-m", "benchmarks.site"]
    return ports, [
        ground.spawn(*command, str(port), STICKYD_SLOT=str(number))
        for number, port in enumerate(ports, 1)
    ]


def _uvicorns(ground: Ground, count: int) -> tuple[list[int], list["subprocess.Popen[bytes]"]]:
    ports = [free_port() for _ in range(count)]
    command = [sys.executable, "-m", "uvicorn", ASGI, "--no-access-log", "--log-level", "warning"]
    return ports, [
        ground.spawn(*command, "--port", str(port), STICKYD_SLOT=str(number))
        for number, port in enumerate(ports, 1)
    ]


def _granians(ground: Ground, count: int) -> tuple[list[int], list["subprocess.Popen[bytes]"]]:
    program = PEERS / "venv" / "bin" / "granian"
    if not program.exists():
        raise Unavailable("run benchmarks/setup.sh")
    ports = [free_port() for _ in range(count)]
    command = [str(program), "--interface", "asginl", "--http", "1", "--no-ws", "--workers", "1"]
    command += ["--loop", "uvloop", "--log-level", "warning", "--host", "127.0.0.1"]
    return ports, [
        ground.spawn(*command, "--port", str(port), ASGI, STICKYD_SLOT=str(number))
        for number, port in enumerate(ports, 1)
    ]


def stock(ground: Ground) -> Contestant:
    """One bare twisted.web process: what a request costs without any placing."""
    ports, started = _stock(ground, 1)
    return Contestant("twisted.web", ports[0], started)


def uvicorn(ground: Ground) -> Contestant:
    """One bare uvicorn process, on uvloop and httptools."""
    ports, started = _uvicorns(ground, 1)
    return Contestant("uvicorn", ports[0], started)


def granian(ground: Ground) -> Contestant:
    """Granian with one worker, on uvloop."""
    ports, started = _granians(ground, 1)
    return Contestant("granian", ports[0], started)


def daphne(ground: Ground) -> Contestant:
    """One bare daphne process."""
    python = PEERS / "venv" / "bin" / "python"
    if not python.exists():
        raise Unavailable("run benchmarks/setup.sh")
    port = free_port()
    command = [str(python), "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", str(port), ASGI]
    return Contestant("daphne", port, [ground.spawn(*command, STICKYD_SLOT="1")])


def _configured(ground: Ground, name: str, text: str) -> str:
    directory = ground.directory / f"{name}-{free_port()}"
    directory.mkdir(mode=0o755)
    path = directory / "conf"
    path.write_text(text.replace("{directory}", str(directory)))
    return str(path)


def _listening(ports: Sequence[int]) -> bool:
    """Whether all accept connections; a proxy leaves out for a while the one that does not."""
    try:
        for port in ports:
            socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def nginx(workers: int, backends: Backends = _stock) -> Maker:
    """nginx, which hashes X-Forwarded-For, in front of so many processes."""

    def make(ground: Ground) -> Contestant:
        program = tool("nginx")
        ports, started = backends(ground, workers)
        port = free_port()
        servers = " ".join(f"server 127.0.0.1:{each};" for each in ports)
        text = NGINX.format(directory="{directory}", port=port, servers=servers)
        proxy = ground.spawn(program, "-c", _configured(ground, "nginx", text))
        return Contestant("nginx", port, [proxy, *started], lambda: _listening(ports))

    return make


def nginx_uvicorn(workers: int) -> Maker:
    """nginx in front of uvicorn processes."""
    return nginx(workers, _uvicorns)


def nginx_granian(workers: int) -> Maker:
    """nginx in front of Granian processes, one worker each."""
    return nginx(workers, _granians)


def haproxy(workers: int) -> Maker:
    """HAProxy, which hashes X-Forwarded-For, in front of so many processes."""

    def make(ground: Ground) -> Contestant:
        program = tool("haproxy")
        ports, started = _stock(ground, workers)
        port = free_port()
        servers = "\n".join(f"  server s{each} 127.0.0.1:{each}" for each in ports)
        text = HAPROXY.format(port=port, servers=servers)
        proxy = ground.spawn(program, "-db", "-f", _configured(ground, "haproxy", text))
        return Contestant("HAProxy", port, [proxy, *started], lambda: _listening(ports))

    return make


def npm(script: str, workers: int, old: bool = False) -> Maker:
    """A library from npm; ``old`` ones need Node 8."""

    def make(ground: Ground) -> Contestant:
        modules = PEERS / "node_modules"
        node = str(modules / "node" / "bin" / "node") if old else tool("node")
        if not Path(node).exists():
            raise Unavailable("run benchmarks/setup.sh")
        port = free_port()
        # Node looks for modules from the script's own directory upwards.
        path = str(PEERS / script)
        Path(path).write_text((ROOT / "benchmarks" / "peers" / script).read_text())
        process = ground.spawn(node, path, PORT=str(port), WORKERS=str(workers))
        return Contestant(script, port, [process])

    return make


def socketio_sticky(workers: int) -> Maker:
    """npm @socket.io/sticky 2."""
    return npm("socketio_sticky.js", workers)


def sticky_session(workers: int) -> Maker:
    """npm sticky-session 1.1."""
    return npm("sticky_session.js", workers)


def socketio_sticky_session(workers: int) -> Maker:
    """npm socketio-sticky-session 0.4."""
    return npm("socketio_sticky_session.js", workers, old=True)


def compiled(ground: Ground, name: str) -> str:
    """A C program of this directory, built into the ground's own."""
    built = ground.directory / name
    if not built.exists():
        source = str(ROOT / "benchmarks" / f"{name}.c")
        command = [tool("gcc"), "-O2", "-Wall", "-o", str(built), source, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"gcc: {done.stderr.splitlines()[:1]}")
    return str(built)


def floor(workers: int) -> Maker:
    """The same work in C: `benchmarks/floor.c`."""

    def make(ground: Ground) -> Contestant:
        port = free_port()
        process = ground.spawn(compiled(ground, "floor"), str(port), str(workers))
        return Contestant("floor", port, [process])

    return make
