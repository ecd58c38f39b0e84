"""The options of the commands of ``stickyd``, beyond those of the daemon."""

import attrs

from stickyd.cli.option import Group, Option
from stickyd.cli.option_table import BY_NAME
from stickyd.cli.parsers import Seconds, Whole, header_name

RUN = (
    Option("uid", Group.LISTENING, "user to switch to after binding, name or number", "USER"),
    Option("gid", Group.LISTENING, "group to switch to", "GROUP", computed="the group of the user"),
)
"""Of ``stickyd run`` and ``check``; twistd has its own options of these names."""

CHECK = (Option("load", Group.APP, "load the app, too, in a worker that serves no requests"),)

EXPLAIN = (
    Option("request", Group.COMMAND, "read a request head from standard input; KEY - is the same"),
    Option(
        "peer", Group.COMMAND, "peer of the request: address or unix", "ADDR", default="127.0.0.1"
    ),
    *(
        attrs.evolve(BY_NAME[name], group=Group.COMMAND, details="")
        for name in ("affinity", "seed", "hash", "hash-balance-factor", "forwarded-allow-ips")
    ),
    Option("workers", Group.COMMAND, "slots", "N", BY_NAME["workers"].parse, "workers", short="w"),
)

VERIFY = (
    Option(
        "requests",
        Group.COMMAND,
        "requests of the random mix",
        "N",
        Whole(1, 1_000_000),
        default="400",
    ),
    Option(
        "clients", Group.COMMAND, "clients of the random mix", "N", Whole(2, 10_000), default="40"
    ),
    Option(
        "connections",
        Group.COMMAND,
        "persistent connections of the random mix",
        "N",
        Whole(1, 500),
        default="8",
    ),
    Option(
        "timeout",
        Group.COMMAND,
        "seconds to connect, and for each response",
        "SECONDS",
        Seconds(3600),
        default="5",
    ),
    Option(
        "worker-header",
        Group.COMMAND,
        "response header that names the worker",
        "NAME",
        header_name,
    ),
    Option(
        "pattern",
        Group.COMMAND,
        "regular expression; its first group names the worker",
        "REGEX",
        computed=r"From worker (\S+)",
        details="Searched in head and body of the response.",
    ),
    Option("path", Group.COMMAND, "path to request", "PATH", computed="the URL's"),
    Option("host", Group.COMMAND, "Host header to send", "HOST", computed="the URL's"),
    Option(
        "client-header",
        Group.COMMAND,
        "request header that names the client",
        "NAME",
        header_name,
        default="X-Forwarded-For",
    ),
    Option(
        "random-seed", Group.COMMAND, "seed of the random mix", "N", Whole(0, 2**63), default="1"
    ),
    Option(
        "cafile",
        Group.COMMAND,
        "PEM file of trusted authorities",
        "FILE",
        computed="the platform's",
    ),
)

COMMANDS = {
    "run": "Run the daemon in the foreground; the options of 'twistd -n stickyd'.",
    "explain": "Print which slot serves a key, and why. Needs no server.",
    "check": "Check the options of 'run'; with --load, load the app, too.",
    "verify": "Test any server: does every request reach its client's own worker?",
}
"""What each command does, in one line."""
