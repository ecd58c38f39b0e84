"""The options of the daemon that name its app and addresses; see `stickyd.cli.option_table`."""

from stickyd.cli import parsers
from stickyd.cli.option import Argument, Default, Group, Option
from stickyd.cli.parsers import OneOf, Whole
from stickyd.http1.proxy_protocol import VERSIONS

APP = (
    Option(
        "class",
        Group.APP,
        "app: a twisted.web resource or Klein app",
        Argument("FQPN"),
        "app.name",
        default=Default(computed="the demo page"),
        details="`pkg.mod:name` and `pkg.mod.name` are the same; `pkg.mod:create()` is what a call"
        " returns, with literals as arguments. See [Kinds of apps](apps.md).",
    ),
    Option(
        "wsgi",
        Group.APP,
        "app: a WSGI callable (Django, Flask)",
        Argument("FQPN"),
    ),
    Option(
        "asgi",
        Group.APP,
        "app: an ASGI application (FastAPI, Starlette)",
        Argument("FQPN"),
        details="Needs the extra `asgi`: `pip install 'stickyd[asgi]'`.",
    ),
    Option(
        "path",
        Group.APP,
        "app: the files of a directory, without listings",
        Argument("DIR", parsers.directory),
    ),
    Option(
        "threads",
        Group.APP,
        "threads of each worker for --wsgi",
        Argument("N", Whole(1, 1024)),
        "app.threads",
    ),
    Option(
        "factory",
        Group.APP,
        "call what --asgi, --wsgi or --class names for the application",
        field="app.origin.factory",
        details="Without arguments; `pkg.mod:create()` is the same.",
    ),
    Option(
        "app-dir",
        Group.APP,
        "directory that the app is imported from",
        Argument("DIR", parsers.directory),
        "app.origin.directory",
        default=Default(computed="the working directory"),
        details="Modules are looked for here first, then in the working directory.",
    ),
    Option(
        "loop",
        Group.APP,
        "event loop of --asgi: auto (uvloop, if installed), asyncio or uvloop",
        Argument("NAME", parsers.event_loop),
        "app.origin.loop",
    ),
    Option(
        "env-file",
        Group.APP,
        "file with environment variables for the workers",
        Argument("FILE", parsers.env_file),
        "app.origin.env_file",
        details="Lines `NAME=VALUE`, as python-dotenv reads them. A variable that the daemon has"
        " itself is not replaced. The file is read again for each new worker.",
    ),
    Option(
        "preload",
        Group.APP,
        "import the app once, and fork the workers from that process",
        field="app.origin.preload",
        details="Workers share memory, and start faster. See [Preload](preload.md).",
    ),
    Option(
        "root-path",
        Group.APP,
        "path under which the --asgi app is mounted",
        Argument("PATH", parsers.root_path),
        "app.root_path",
    ),
)

LISTENING = (
    Option(
        "bind",
        Group.LISTENING,
        "address to listen on: HOST:PORT, :PORT, [V6]:PORT or unix:PATH",
        Argument("ADDR", parsers.bind_address, repeatable=True),
        short="b",
        details="A Twisted endpoint description is accepted, too, as for --listen. With `tls:` or"
        " `plain:` in front it does or does not speak TLS; without, it does if there is an"
        " `--ssl-certfile`.",
    ),
    Option(
        "host",
        Group.LISTENING,
        "IP address to listen on",
        Argument("HOST"),
        default=Default(computed="every interface"),
    ),
    Option(
        "port",
        Group.LISTENING,
        "TCP port to listen on",
        Argument("N", Whole(0, 65535)),
        default=Default("3000"),
        details="The environment variable `PORT` is not read: give `--port $PORT`.",
    ),
    Option(
        "listen",
        Group.LISTENING,
        "Twisted endpoint description to listen on",
        Argument("STRPORTS", repeatable=True),
        default=Default("tcp:3000"),
        details="`tcp:`, `tcp6:`, `unix:PATH` (mode 660; `unix:PATH:mode=600`), `systemd:` and"
        " `ssl:PORT:privateKey=FILE:certKey=FILE`, which is TLS with this pair."
        " See [Unix sockets](http.md#unix-sockets).",
    ),
    Option(
        "control",
        Group.LISTENING,
        "Unix socket that answers with counters as JSON",
        Argument("PATH"),
        details="See [Counters](counters.md).",
    ),
    Option(
        "admin",
        Group.LISTENING,
        "address that answers with metrics, health and status over HTTP",
        Argument("ADDR", parsers.admin_address),
        "log.admin",
        details="`HOST:PORT`, `:PORT` (loopback), `[V6]:PORT`, `unix:PATH`, or a Twisted endpoint"
        " description. Its `/` is a live page. See [Metrics](metrics.md).",
    ),
    Option(
        "proxy-protocol",
        Group.LISTENING,
        "require a PROXY header: off, v1, v2 or auto (v1 or v2)",
        Argument("VERSION", OneOf(("off", *VERSIONS))),
        "routing.proxy.protocol",
    ),
    Option(
        "proxy-allow-from",
        Group.LISTENING,
        "peers that may send a PROXY header; other connections are closed",
        Argument("LIST", parsers.peers),
        "routing.proxy.allow_from",
        default=Default(computed="the value of --forwarded-allow-ips"),
        details="IP addresses, networks, `unix` (peers on Unix sockets) or `*`.",
    ),
    Option(
        "forwarded-allow-ips",
        Group.LISTENING,
        "peers whose forwarding headers are trusted: IPs, networks, unix, *",
        Argument("LIST", parsers.peers),
        "routing.trusted",
        default=Default(environment="FORWARDED_ALLOW_IPS"),
        details="`unix` stands for peers on Unix sockets, `*` for every peer. Forwarding"
        " headers of other peers are ignored.",
    ),
)
