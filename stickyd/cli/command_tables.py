"""The options of the commands of ``stickyd``, beyond those of the daemon."""

import attrs

from stickyd.cli.option import Argument, Default, Group, Option
from stickyd.cli.option_table import BY_NAME
from stickyd.cli.parsers import OneOf, Seconds, Whole, header_name

RUN = (
    Option(
        "uid",
        Group.LISTENING,
        "user to switch to after binding, name or number",
        Argument("USER"),
    ),
    Option(
        "gid",
        Group.LISTENING,
        "group to switch to",
        Argument("GROUP"),
        default=Default(computed="the group of the user"),
    ),
)
"""Of ``stickyd run`` and ``check``; twistd has its own options of these names."""

CHECK = (
    Option(
        "load",
        Group.APP,
        "load the app, too, in a worker that serves no requests",
    ),
)


def _as_in_run(*names: str) -> tuple[Option, ...]:
    """Options of the daemon, as options of another command."""
    return tuple(attrs.evolve(BY_NAME[name], group=Group.COMMAND, details="") for name in names)


_SLOTS = Option(
    "workers",
    Group.COMMAND,
    "slots",
    Argument("N", BY_NAME["workers"].argument.parse),
    "workers",
    short="w",
)

EXPLAIN = (
    Option(
        "request",
        Group.COMMAND,
        "read a request head from standard input; KEY - is the same",
    ),
    Option(
        "peer",
        Group.COMMAND,
        "peer of the request: address or unix",
        Argument("ADDR"),
        default=Default("127.0.0.1"),
    ),
    *_as_in_run("affinity", "seed", "hash", "hash-balance-factor", "forwarded-allow-ips"),
    _SLOTS,
)

VERIFY = (
    Option(
        "requests",
        Group.COMMAND,
        "requests of the random mix",
        Argument("N", Whole(1, 1_000_000)),
        default=Default("400"),
    ),
    Option(
        "clients",
        Group.COMMAND,
        "clients of the random mix",
        Argument("N", Whole(2, 10_000)),
        default=Default("40"),
    ),
    Option(
        "connections",
        Group.COMMAND,
        "persistent connections of the random mix",
        Argument("N", Whole(1, 500)),
        default=Default("8"),
    ),
    Option(
        "timeout",
        Group.COMMAND,
        "seconds to connect, and for each response",
        Argument("SECONDS", Seconds(3600)),
        default=Default("5"),
    ),
    Option(
        "worker-header",
        Group.COMMAND,
        "response header that names the worker",
        Argument("NAME", header_name),
    ),
    Option(
        "pattern",
        Group.COMMAND,
        "regular expression; its first group names the worker",
        Argument("REGEX"),
        default=Default(computed="From worker (\\S+)"),
        details="Searched in head and body of the response.",
    ),
    Option(
        "path",
        Group.COMMAND,
        "path to request",
        Argument("PATH"),
        default=Default(computed="the URL's"),
    ),
    Option(
        "host",
        Group.COMMAND,
        "Host header to send",
        Argument("HOST"),
        default=Default(computed="the URL's"),
    ),
    Option(
        "client-header",
        Group.COMMAND,
        "request header that names the client",
        Argument("NAME", header_name),
        default=Default("X-Forwarded-For"),
    ),
    Option(
        "random-seed",
        Group.COMMAND,
        "seed of the random mix",
        Argument("N", Whole(0, 2**63)),
        default=Default("1"),
    ),
    Option(
        "cafile",
        Group.COMMAND,
        "PEM file of trusted authorities",
        Argument("FILE"),
        default=Default(computed="the platform's"),
    ),
    Option(
        "ssl-certfile",
        Group.COMMAND,
        "PEM file of a client certificate, for servers that ask for one",
        Argument("FILE"),
    ),
    Option(
        "ssl-keyfile",
        Group.COMMAND,
        "PEM file of its key",
        Argument("FILE"),
        default=Default(computed="in the file of the certificate"),
    ),
)

REPLAY = (
    _SLOTS,
    *_as_in_run("seed", "hash", "forwarded-allow-ips"),
    Option(
        "format",
        Group.COMMAND,
        "format of the log",
        Argument("NAME", OneOf(("auto", "alb", "haproxy", "nginx", "combined", "json"))),
        default=Default("auto"),
        details="See [Replay](replay.md).",
    ),
    Option(
        "client-field",
        Group.COMMAND,
        "field of a JSON log that has the key; A.B for B within A",
        Argument("NAME"),
        default=Default(computed="the usual names"),
    ),
    Option(
        "connection-field",
        Group.COMMAND,
        "field of a JSON log that names the connection to the worker",
        Argument("NAME"),
        default=Default(computed="connection, connection_id"),
    ),
    Option(
        "top",
        Group.COMMAND,
        "how many of the most frequent clients to list",
        Argument("N", Whole(0, 1000)),
        default=Default("10"),
    ),
    Option(
        "picture",
        Group.COMMAND,
        "SVG file to write: requests by slot",
        Argument("FILE"),
    ),
)

_DAEMONS_ADDRESS = _as_in_run("control", "admin", "config")

STATUS = (
    *_DAEMONS_ADDRESS,
    Option(
        "json",
        Group.COMMAND,
        "print the report of --control",
    ),
)

TOP = _DAEMONS_ADDRESS

TABLES = {
    "check": CHECK,
    "explain": EXPLAIN,
    "replay": REPLAY,
    "verify": VERIFY,
    "status": STATUS,
    "top": TOP,
}
"""The options that commands have of their own; those of ``run`` come first in ``check``."""

COMMANDS = {
    "run": "Run the daemon in the foreground; the options of 'twistd -n stickyd'.",
    "explain": "Print which slot serves a key, and why. Needs no server.",
    "check": "Check the options of 'run'; with --load, load the app, too.",
    "completion": "Print completion for a shell: bash, zsh or fish.",
    "status": "Print the slots of a running daemon; the exit status says whether it is ready.",
    "top": "Show the slots of a running daemon, refreshed each second.",
    "replay": "Place the clients of access logs: evenness, hot clients, what a resize moves.",
    "verify": "Test any server: does every request reach its client's own worker?",
}
"""What each command does, in one line."""
