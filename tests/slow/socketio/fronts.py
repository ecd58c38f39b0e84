"""nginx, HAProxy and Redis, as real programs on this machine."""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.support.daemon import free_port, wait_for

NGINX = """\
worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {directory}/pid;
error_log {directory}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000;
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  upstream app {{
    server 127.0.0.1:{upstream};
    keepalive {kept};
    keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For {client};
      proxy_set_header X-Request-ID $request_id;
      proxy_read_timeout 180s;
    }}
  }}
}}
"""
HAPROXY = """\
global
  maxconn {connections}
defaults
  mode http
  timeout connect 10s
  timeout client 180s
  timeout server 180s
  timeout tunnel 180s
frontend front
  bind 127.0.0.1:{port} backlog 4096
  option forwardfor
  http-request set-header X-Request-ID %[uuid()]
  default_backend app
backend app
  http-reuse always
  server app 127.0.0.1:{upstream} pool-max-conn {kept}
"""
CONNECTIONS = 8000


def accepts(port: int) -> bool:
    """Whether a local port takes connections."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


@contextlib.contextmanager
def front(
    name: str, upstream: int, client: str = "$proxy_add_x_forwarded_for", kept: int = 64
) -> Iterator[int]:
    """``nginx`` or ``haproxy`` before the server on port ``upstream``; the port to ask.

    :param client: whom nginx names in X-Forwarded-For; by default, who is connected.
    :param kept: idle connections to the server that the proxy keeps.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="stickyd-front-") as directory:
        path = Path(directory, "conf")
        template = NGINX if name == "nginx" else HAPROXY
        path.write_text(
            template.format(
                directory=directory,
                connections=2 * CONNECTIONS if name == "nginx" else CONNECTIONS,
                files=2 * CONNECTIONS,
                upstream=upstream,
                port=port,
                client=client,
                kept=kept,
            )
        )
        command = {
            "nginx": ["nginx", "-p", directory, "-e", f"{directory}/error.log", "-c", str(path)],
            "haproxy": ["haproxy", "-db", "-q", "-f", str(path)],
        }[name]
        if name == "nginx":
            # Its worker is another user where we are root.
            os.chmod(directory, 0o755)
        process = subprocess.Popen(command)
        try:
            wait_for(lambda: accepts(port), what=f"{name} listens")
            yield port
        finally:
            process.terminate()
            process.wait(20)


class Redis:
    """A server of our own. A context manager.

    :ivar url: where apps find it. Not a Unix socket: Flask-SocketIO takes that for kombu's.
    """

    def __enter__(self) -> "Redis":
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self._directory = tempfile.TemporaryDirectory(prefix="stickyd-redis-")
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
                *("--daemonize", "no", "--dir", self._directory.name, "--loglevel", "warning"),
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_for(lambda: accepts(port), what="Redis listens")
        self._client = redis.Redis(port=port)
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(20)
        self._directory.cleanup()

    def subscribers(self, channels: tuple[str, ...] = ("socketio", "flask-socketio")) -> int:
        """How many workers listen to what the others say."""
        counts = self._client.pubsub_numsub(*channels)
        return sum(count for _, count in counts)
