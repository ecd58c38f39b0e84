"""The command line, for twistd, twist and ``stickyd run`` alike."""

import sys
from collections.abc import Sequence
from typing import Any

from twisted.python import usage

from stickyd import __version__
from stickyd.cli import app_options
from stickyd.cli import validators as values
from stickyd.cli.converters import seconds, token, whole
from stickyd.cli.pidfile import remove_stale_once, somebody_answers
from stickyd.http1.access_log_format import FormatError, compiled
from stickyd.http1.limits import Limits as RequestLimits
from stickyd.http1.proxy_protocol import VERSIONS
from stickyd.routing.affinity import AffinityError, parse_chain
from stickyd.routing.policy import HASHES
from stickyd.routing.trusted_peers import LOCAL_PEERS
from stickyd.settings import (
    LifecycleSettings,
    Limits,
    LogSettings,
    RoutingSettings,
    Settings,
    Timeouts,
)

SCOPES = ("connection", "request")
DEFAULT_HEADER = "X-Stickyd-Worker"


class Options(usage.Options):
    """What a daemon is told to do."""

    synopsis = "[options]"
    longdesc = "Keep every client with its own worker process."

    optParameters = [
        ["workers", "w", None, "worker processes [default: $WEB_CONCURRENCY, else CPU count]"],
        ["seed", None, None, "keys the hash: INT or @FILE [default: $STICKYD_SEED, else 1]"],
        ["affinity", None, "xff,src", "sources of the affinity key, in order"],
        ["affinity-scope", None, "connection", "what is placed: connection or request"],
        ["hash", None, "rendezvous", "rendezvous or sticky-session"],
        [
            "hash-balance-factor",
            None,
            "0",
            "percent of the average load that a worker may carry before new keys go to the next"
            " choice of their hash: 101 to 10000, 0 for no bound",
        ],
        [
            "forwarded-allow-ips",
            None,
            None,
            "peers whose forwarding headers count: IPs, networks, unix or *"
            f" [default: $FORWARDED_ALLOW_IPS, else {LOCAL_PEERS}]",
        ],
        ["proxy-protocol", None, "off", "require a PROXY header: off, v1, v2 or auto (both)"],
        [
            "proxy-allow-from",
            None,
            None,
            "peers that may send the PROXY header, others are cut: IPs, networks, unix or *"
            " [default: as --forwarded-allow-ips]",
        ],
        *app_options.PARAMETERS,
        [
            "max-connections",
            None,
            None,
            "open connections of the whole daemon, 503 beyond"
            " [default: what RLIMIT_NOFILE has room for]",
        ],
        [
            "guardian",
            None,
            "on",
            "connections that idle survive a worker that is killed: on or off",
        ],
        ["keep-alive", None, "75", "seconds an idle connection is kept"],
        ["head-timeout", None, "10", "seconds for one request head"],
        ["body-timeout", None, "60", "seconds in which a body must go on at --min-rate"],
        ["send-timeout", None, "60", "seconds in which an answer must be taken at --min-rate"],
        ["min-rate", None, "240", "bytes a second of a body or an answer; 0: more than nothing"],
        ["ws-max-size", None, "16777216", "bytes of a WebSocket message; 1009 beyond"],
        ["inbox-timeout", None, "10", "seconds to wait for room in a full inbox, then 503"],
        [
            "half-close-timeout",
            None,
            "10",
            "seconds the app may take to answer a client that has finished sending",
        ],
        ["graceful-timeout", None, "30", "seconds a retiring worker may finish what it answers"],
        ["timeout", None, "30", "seconds a worker may be silent before it is killed, 0 for ever"],
        ["start-timeout", None, "120", "seconds a worker may take to load the app, 0 for ever"],
        ["max-requests", None, "0", "requests after which a worker is replaced, 0 for never"],
        ["max-requests-jitter", None, "0", "at most so many requests more, at random"],
        [
            "session-drain",
            None,
            "0",
            "seconds an old worker goes on serving the keys it knows after a reload",
        ],
        [
            "slot-failover",
            None,
            "10",
            "seconds without a worker after which a slot's keys go to the next slot, 0 for never",
        ],
        ["on-retire", None, None, "callable that is told when a worker ends: pkg.mod:name"],
        ["limit-request-line", None, "8190", "bytes of a request line"],
        ["limit-request-fields", None, "100", "header fields of a request"],
        ["limit-request-field-size", None, "8190", "bytes of a header field"],
        ["limit-request-head", None, "32768", "bytes of a whole request head"],
        ["limit-request-body", None, "0", "bytes of a request body, 0 for no bound"],
        ["access-logfile", None, None, "file for one line a request; - for the daemon's own log"],
        ["access-logformat", None, "combined", "combined, routed, or a text with %(atoms)s"],
        ["control", None, None, "path of a local socket that answers with counters as JSON"],
    ]

    optFlags = app_options.FLAGS

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["reload-dir"] = []
        self.arguments: list[str] = []

    def parseArgs(self, *others: str) -> None:
        """Refuse what is no option."""
        if others:
            raise usage.UsageError(
                f"{others[0]!a} is no option: name the app with --asgi, --wsgi or --class"
            )

    def opt_listen(self, description: str) -> None:
        """Twisted endpoint description to listen on; may be given again. [default: tcp:3000]"""
        self["listen"].append(description)

    def opt_reload_dir(self, directory: str) -> None:
        """Directory whose .py files --reload watches; may be given again. [default: .]"""
        self["reload-dir"].append(directory)

    def opt_worker_header(self, name: str) -> None:
        """Tell the slot in a response header [NAME: X-Stickyd-Worker]"""
        self["worker-header"] = name

    def opt_version(self) -> None:
        """Print the version and exit."""
        from stickyd.core.native import CORE

        print(f"stickyd {__version__} ({CORE})")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """As the parent; what is wrong is one line on stderr and exit status 2."""
        self.arguments = list(sys.argv[1:] if options is None else options)
        try:
            super().parseOptions(_with_header_name(self.arguments))
        except usage.UsageError as error:
            sys.stderr.write(f"stickyd: {error}\n")
            raise SystemExit(2) from None

    def postOptions(self) -> None:
        """Check everything before anything is bound or spawned."""
        values.check_twistds_log(self.parent)
        self["listen"] = self["listen"] or ["tcp:3000"]
        for description in self["listen"]:
            values.check_endpoint(description)
        self.settings = self._settings()
        # twistd looks at the file of --pidfile after this; twist and `stickyd run` have none.
        file = self.parent.get("pidfile") if self.parent is not None else None
        remove_stale_once(file or "", lambda: somebody_answers(self["listen"], self["control"]))

    def _settings(self) -> Settings:
        limits = RequestLimits(
            request_line=whole("--limit-request-line", self["limit-request-line"], 64),
            fields=whole("--limit-request-fields", self["limit-request-fields"], 1),
            field_size=whole("--limit-request-field-size", self["limit-request-field-size"], 64),
            head=whole("--limit-request-head", self["limit-request-head"], 128, 32768),
            body=whole("--limit-request-body", self["limit-request-body"], 0, 2**62),
        )
        if limits.head < limits.request_line + 16:
            raise usage.UsageError("--limit-request-head must exceed --limit-request-line by 16")
        trusted = values.trusted(self["forwarded-allow-ips"])
        workers = values.workers(self["workers"])
        header = self.get("worker-header", "")
        return Settings(
            workers=workers,
            worker_header=header and token("--worker-header", header),
            routing=RoutingSettings(
                seed=values.seed(self["seed"]),
                affinity=values.checked("--affinity", self["affinity"], parse_chain, AffinityError),
                scope=values.one_of("--affinity-scope", self["affinity-scope"], SCOPES),
                hash=values.one_of("--hash", self["hash"], tuple(HASHES)),
                balance_factor=values.factor(self["hash-balance-factor"], self["hash"]),
                trusted=trusted,
                proxy_protocol=values.one_of(
                    "--proxy-protocol", self["proxy-protocol"], ("off", *VERSIONS)
                ),
                proxy_allow_from=values.proxies(self["proxy-allow-from"], trusted),
            ),
            app=app_options.chosen_app(self),
            timeouts=Timeouts(
                keep_alive=seconds("--keep-alive", self["keep-alive"]),
                head=seconds("--head-timeout", self["head-timeout"]),
                body=seconds("--body-timeout", self["body-timeout"]),
                send=seconds("--send-timeout", self["send-timeout"]),
                min_rate=whole("--min-rate", self["min-rate"], 0),
                inbox=seconds("--inbox-timeout", self["inbox-timeout"]),
                half_close=seconds("--half-close-timeout", self["half-close-timeout"]),
            ),
            limits=Limits(
                connections=values.connections(self["max-connections"], workers),
                websocket_message=whole("--ws-max-size", self["ws-max-size"], 1, 2**31),
                request=limits,
            ),
            lifecycle=LifecycleSettings(
                graceful_timeout=seconds("--graceful-timeout", self["graceful-timeout"]),
                heartbeat_timeout=seconds("--timeout", self["timeout"], off=True),
                start_timeout=seconds("--start-timeout", self["start-timeout"], off=True),
                max_requests=whole("--max-requests", self["max-requests"], 0),
                max_requests_jitter=whole("--max-requests-jitter", self["max-requests-jitter"], 0),
                session_drain=seconds("--session-drain", self["session-drain"], off=True),
                slot_failover=seconds("--slot-failover", self["slot-failover"], off=True),
                on_retire=self["on-retire"] or "",
                guardian=values.one_of("--guardian", self["guardian"], ("on", "off")) == "on",
            ),
            log=LogSettings(
                access_file=values.log_file(self["access-logfile"]),
                access_format=values.checked(
                    "--access-logformat", self["access-logformat"], compiled, FormatError
                ),
            ),
        )


def _with_header_name(arguments: Sequence[str]) -> list[str]:
    """``--worker-header`` may stand alone, which getopt(3) cannot say."""
    whole = list(arguments)
    for at, argument in enumerate(whole):
        follows = whole[at + 1] if at + 1 < len(whole) else "-"
        if argument == "--worker-header" and follows.startswith("-"):
            whole[at] = f"--worker-header={DEFAULT_HEADER}"
    return whole
