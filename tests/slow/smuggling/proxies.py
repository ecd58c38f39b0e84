"""nginx and HAProxy in front of a daemon, and how many requests each says it forwarded."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.support.daemon import free_port, wait_for

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
