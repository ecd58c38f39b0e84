"""What options of other servers are called here. Pure."""

import re

_NOT_RECOGNIZED = re.compile(r"option (-\S+) not recognized")

_ALWAYS = "it is always so"
_KIND = "--asgi, --wsgi or --class chooses the kind of worker"
_LOGGING = "the log is that of twistd: twistd --logfile, --logger"

MEANT: dict[str, str] = {
    # uvicorn
    "--uds": "use --bind unix:PATH",
    "--fd": "use --listen systemd:...",
    "--http": "there is one HTTP implementation",
    "--ws": "there is one WebSocket implementation",
    "--interface": _KIND,
    "--lifespan": "lifespan events are sent to apps that take them",
    "--log-config": _LOGGING,
    "--no-access-log": "there is none without --access-logfile",
    "--access-log": "use --access-logfile -",
    "--proxy-headers": "they count from the peers of --forwarded-allow-ips",
    "--no-proxy-headers": "use --forwarded-allow-ips ''",
    "--no-server-header": "answers have the Server field that the app sets",
    "--no-date-header": "answers have a Date field (RFC 9110, 6.6.1)",
    "--limit-concurrency": "use --max-connections",
    "--limit-max-requests": "use --max-requests",
    "--backlog": "the backlog is the system's limit, net.core.somaxconn",
    "--timeout-keep-alive": "use --keep-alive",
    "--timeout-graceful-shutdown": "use --graceful-timeout",
    "--timeout-worker-healthcheck": "use --timeout",
    "--h11-max-incomplete-event-size": "use --limit-request-head",
    "--reload-delay": "changes are seen at once",
    "--reload-engine": "files are compared by stat(2)",
    # gunicorn
    "-k": _KIND,
    "--worker-class": _KIND,
    "--worker-connections": "use --max-connections",
    "--worker-tmp-dir": "heartbeats need no file",
    "--chdir": "start stickyd in that directory, or use --app-dir",
    "--pythonpath": "use --app-dir",
    "-D": "use twistd stickyd, which runs in the background",
    "--daemon": "use twistd stickyd, which runs in the background",
    "-p": "for a PID file use twistd -n --pidfile FILE stickyd; the port is --port or --bind",
    "--pid": "use twistd -n --pidfile FILE stickyd",
    "-u": "use --uid",
    "--user": "use --uid",
    "-g": "use --gid",
    "--group": "use --gid",
    "-c": "use --config",
    "-e": "use --env-file",
    "--env": "use --env-file",
    "-t": "use --timeout",
    "-n": "processes are named by their command lines",
    "--log-file": _LOGGING,
    "--error-logfile": _LOGGING,
    "--capture-output": "what apps print is in the log",
    "--check-config": "use stickyd check",
    "--print-config": "use stickyd check",
    "--limit-request-field_size": "use --limit-request-field-size",
    "--reuse-port": "the master accepts for all workers",
    "--keyfile": "use --ssl-keyfile",
    "--certfile": "use --ssl-certfile",
    "--statsd-host": "use --admin, which has /metrics",
    "--max-requests-jitter-seed": "use --max-requests-jitter",
    # granian
    "--blocking-threads": "use --threads",
    "--runtime-threads": "one process serves one slot: use --workers",
    "--runtime-mode": "one process serves one slot: use --workers",
    "--respawn-failed-workers": _ALWAYS,
    "--workers-kill-timeout": "use --graceful-timeout",
    "--working-dir": "start stickyd in that directory, or use --app-dir",
    # hypercorn
    "--insecure-bind": "use --bind",
    "--quic-bind": "QUIC ends in a proxy in front",
    "--read-timeout": "use --body-timeout",
    "--keep-alive-timeout": "use --keep-alive",
    "--error-log": _LOGGING,
    # daphne
    "--endpoint": "use --listen",
    "--websocket_timeout": "WebSockets have no age limit",
    "--proxy-headers-host": "use --forwarded-allow-ips",
}
"""What to use instead, by the option of another server that this one does not have."""


def with_meaning(message: str) -> str:
    """An error line of getopt, with what to use instead where that is known."""
    match = _NOT_RECOGNIZED.fullmatch(message)
    meaning = MEANT.get(match[1]) if match else None
    return f"{match[1]}: no such option; {meaning}" if match and meaning else message
