"""The options of the daemon: help, README, docs/options.md and the man page are made of this."""

from stickyd.cli import parsers
from stickyd.cli.option import Argument, Default, Group, Option
from stickyd.cli.option_tables.app_table import APP, LISTENING
from stickyd.cli.option_tables.limit_table import LIFECYCLE, LIMITS
from stickyd.cli.option_tables.tls_table import TLS
from stickyd.cli.parsers import OneOf, Seconds, Whole
from stickyd.routing.bounded_loads import LEAST_PERCENT, MOST_PERCENT
from stickyd.routing.policy import HASHES

_AFFINITY = (
    Option(
        "affinity",
        Group.AFFINITY,
        "sources of the affinity key, in order",
        Argument("SPEC", parsers.affinity),
        "routing.affinity",
        details="Presets for common apps: `mcp`, `django`, `browser`, `socketio`, `sockjs`."
        " See [Affinity keys](keys.md).",
    ),
    Option(
        "affinity-scope",
        Group.AFFINITY,
        "place each connection once, or each request",
        Argument("SCOPE", OneOf(("connection", "request"))),
        "routing.scope",
        details="Use `request` behind a proxy that shares connections between clients.",
    ),
    Option(
        "cookie-attributes",
        Group.AFFINITY,
        "attributes of the cookie of insert(NAME)",
        Argument("TEXT", parsers.cookie_attributes),
        "routing.ids.cookie_attributes",
        default=Default(computed="HttpOnly; SameSite=Lax; Path=/"),
        details="For example `SameSite=None; Secure`, `Max-Age=86400` or `Domain=example.com`."
        " Secure is added if the client uses TLS. See [The daemon's own cookie](keys.md"
        "#the-daemons-own-cookie-insert).",
    ),
    Option(
        "learn-most",
        Group.AFFINITY,
        "ids of learn(...) that are remembered at most",
        Argument("N", Whole(1, 1_048_576)),
        "routing.ids.learn_most",
        details="Beyond that the one that was used longest ago is forgotten. See [Ids that the app"
        " makes](keys.md#ids-that-the-app-makes-learn).",
    ),
    Option(
        "learn-idle",
        Group.AFFINITY,
        "seconds without a request after which an id of learn(...) is forgotten",
        Argument("SECONDS", Seconds(31 * 86400)),
        "routing.ids.learn_idle",
    ),
    Option(
        "seed",
        Group.AFFINITY,
        "seed of the hash; INT or @FILE, secret in production",
        Argument("SEED", parsers.seed),
        "routing.seed",
        default=Default(environment="STICKYD_SEED"),
        details="0 to 2**128 - 1. With the public seed 1 a client can choose its worker."
        " Workers do not inherit the variable.",
    ),
    Option(
        "hash",
        Group.AFFINITY,
        "rendezvous, or sticky-session (as the npm library)",
        Argument("NAME", OneOf(tuple(HASHES))),
        "routing.hash",
        details="See [Placement](hash.md).",
    ),
    Option(
        "hash-balance-factor",
        Group.AFFINITY,
        "load at which a worker gets no new keys, percent of average; 0: none",
        Argument("PERCENT", Whole(LEAST_PERCENT, MOST_PERCENT, or_zero=True)),
        "routing.balance_factor",
        details="A new key goes to the next worker in the order of its hash; known keys stay."
        " See [Bounded loads](balance.md).",
    ),
    Option(
        "worker-header",
        Group.AFFINITY,
        "add a response header with the number of the worker",
        Argument("NAME", parsers.header_name, implied="X-Stickyd-Worker"),
        "log.worker_header",
        details="The name is X-Stickyd-Worker if the option has no value.",
    ),
)

_LOGGING = (
    Option(
        "log-format",
        Group.LOGGING,
        "format of the daemon's log: text or json",
        Argument("FORMAT", OneOf(("text", "json"))),
        "log.format",
        details="See [Logs](logs.md).",
    ),
    Option(
        "log-level",
        Group.LOGGING,
        "least level that the log has: debug, info, warn, error or critical",
        Argument("LEVEL", OneOf(("debug", "info", "warn", "error", "critical"))),
        "log.level",
        details="See [Levels](logs.md#levels).",
    ),
    Option(
        "access-logfile",
        Group.LOGGING,
        "access log, one line per request; - for the daemon's log",
        Argument("FILE", parsers.log_file),
        "log.access_file",
        details="Reopened on USR1. See [Access log](access_log.md).",
    ),
    Option(
        "access-logformat",
        Group.LOGGING,
        "combined, routed, json, or text with %(atoms)s",
        Argument("FORMAT", parsers.log_format),
        "log.access_format",
    ),
    Option(
        "request-id",
        Group.LOGGING,
        "give each request an id in this header, for the app and the log",
        Argument("NAME", parsers.header_name, implied="X-Request-ID"),
        "log.request_id",
        details="The name is X-Request-ID if the option has no value. An id from a trusted peer is"
        " kept. See [Request ids](logs.md#request-ids).",
    ),
)

_CONFIGURATION = (
    Option(
        "config",
        Group.CONFIGURATION,
        "TOML file with options: workers = 4",
        Argument("FILE"),
        default=Default(computed="stickyd.toml, if it exists"),
        details="See [Configuration](starting.md#where-options-come-from).",
    ),
)

_DEVELOPMENT = (
    Option(
        "reload",
        Group.DEVELOPMENT,
        "reload the app when a file of it changes",
        field="app.reload.directories",
        details="See [Reload during development](apps.md#while-developing---reload).",
    ),
    Option(
        "reload-dir",
        Group.DEVELOPMENT,
        "directory that --reload watches",
        Argument("DIR", parsers.directory, repeatable=True),
        default=Default(computed="--app-dir"),
    ),
    Option(
        "reload-include",
        Group.DEVELOPMENT,
        "pattern of files that --reload watches beside *.py",
        Argument("GLOB", repeatable=True),
        "app.reload.include",
        details="Matched from the right: `*.html`, `templates/*`.",
    ),
    Option(
        "reload-exclude",
        Group.DEVELOPMENT,
        "pattern of files and directories that --reload does not watch",
        Argument("GLOB", repeatable=True),
        "app.reload.exclude",
    ),
    Option(
        "display-tracebacks",
        Group.DEVELOPMENT,
        "show tracebacks in 500 pages, and in the log if the app does not load",
        field="app.display_tracebacks",
    ),
)

DAEMON = (
    *(*APP, *LISTENING, *TLS, *_AFFINITY, *LIMITS, *LIFECYCLE, *_LOGGING),
    *(*_CONFIGURATION, *_DEVELOPMENT),
)
"""The options of ``twistd stickyd``, ``twist stickyd`` and ``stickyd run``."""

BY_NAME = {option.name: option for option in DAEMON}
