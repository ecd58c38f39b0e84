"""The options of the daemon that bound requests and time; see `stickyd.cli.option_table`."""

from stickyd.cli.option import Argument, Default, Group, Option
from stickyd.cli.parsers import OnOff, Seconds, Whole
from stickyd.settings import MOST_WORKERS

_OR_NEVER = Seconds(or_zero=True)

LIMITS = (
    Option(
        "max-connections",
        Group.LIMITS,
        "open connections of the daemon; 503 beyond",
        Argument("N", Whole(1)),
        "limits.connections",
        default=Default(computed="what RLIMIT_NOFILE admits"),
    ),
    Option(
        "keep-alive",
        Group.LIMITS,
        "seconds before an idle connection is closed",
        Argument("SECONDS", Seconds()),
        "timeouts.keep_alive",
        details="Keep it above the idle timeout of a proxy in front.",
    ),
    Option(
        "head-timeout",
        Group.LIMITS,
        "seconds to receive one request head",
        Argument("SECONDS", Seconds()),
        "timeouts.head",
    ),
    Option(
        "body-timeout",
        Group.LIMITS,
        "seconds over which a request body must keep --min-rate",
        Argument("SECONDS", Seconds()),
        "timeouts.body",
    ),
    Option(
        "send-timeout",
        Group.LIMITS,
        "seconds over which a client must take a response at --min-rate",
        Argument("SECONDS", Seconds()),
        "timeouts.send",
    ),
    Option(
        "min-rate",
        Group.LIMITS,
        "bytes per second of a body or response; 0: any progress",
        Argument("BYTES", Whole(0)),
        "timeouts.min_rate",
        details="240 bytes per second are 14,400 bytes in 60 seconds.",
    ),
    Option(
        "half-close-timeout",
        Group.LIMITS,
        "seconds for the app to respond to a client that has shut down sending",
        Argument("SECONDS", Seconds()),
        "timeouts.half_close",
    ),
    Option(
        "inbox-timeout",
        Group.LIMITS,
        "seconds a connection waits for a full inbox, then 503",
        Argument("SECONDS", Seconds()),
        "timeouts.inbox",
    ),
    Option(
        "ws-max-size",
        Group.LIMITS,
        "size of a WebSocket message; close code 1009 beyond",
        Argument("BYTES", Whole(1)),
        "limits.websocket.message",
    ),
    Option(
        "ws-ping-interval",
        Group.LIMITS,
        "seconds from one ping of a WebSocket to the next; 0: no pings",
        Argument("SECONDS", _OR_NEVER),
        "limits.websocket.ping_interval",
        details="For ASGI and twisted.web. See [Limits](apps.md#limits-of-a-websocket).",
    ),
    Option(
        "ws-ping-timeout",
        Group.LIMITS,
        "seconds to answer a ping; close code 1011 beyond; 0: no limit",
        Argument("SECONDS", _OR_NEVER),
        "limits.websocket.ping_timeout",
    ),
    Option(
        "ws-per-message-deflate",
        Group.LIMITS,
        "compression of the WebSockets of an --asgi app: on or off",
        Argument("on|off", OnOff()),
        "limits.websocket.deflate",
    ),
    Option(
        "ws-threads",
        Group.LIMITS,
        "WebSockets of a --wsgi app in each worker; 503 beyond; 0: none",
        Argument("N", Whole(0, 10_000)),
        "limits.websocket.threads",
        details="Each takes a thread beside those of --threads. See"
        " [WebSocket under WSGI](apps.md#websocket-under-wsgi).",
    ),
    Option(
        "limit-request-line",
        Group.LIMITS,
        "size of a request line; 414 beyond",
        Argument("BYTES", Whole(64)),
        "limits.request.request_line",
    ),
    Option(
        "limit-request-fields",
        Group.LIMITS,
        "header fields of a request; 431 beyond",
        Argument("N", Whole(1)),
        "limits.request.fields",
    ),
    Option(
        "limit-request-field-size",
        Group.LIMITS,
        "size of a header field; 431 beyond",
        Argument("BYTES", Whole(64)),
        "limits.request.field_size",
    ),
    Option(
        "limit-request-head",
        Group.LIMITS,
        "size of a request head; 431 beyond",
        Argument("BYTES", Whole(128, 131072)),
        "limits.request.head",
        details="At least 16 more than --limit-request-line. Each connection whose head is not"
        " complete takes up to so much memory; --limit-request-fields times"
        " --limit-request-field-size bounds it, too.",
    ),
    Option(
        "limit-request-body",
        Group.LIMITS,
        "size of a request body; 413 beyond; 0: no limit",
        Argument("BYTES", Whole(0, 2**62)),
        "limits.request.body",
    ),
)

LIFECYCLE = (
    Option(
        "workers",
        Group.LIFECYCLE,
        "worker processes, numbered from 1",
        Argument("N", Whole(1, MOST_WORKERS)),
        "workers",
        default=Default(computed="CPUs it may use", environment="WEB_CONCURRENCY"),
        short="w",
    ),
    Option(
        "start-timeout",
        Group.LIFECYCLE,
        "seconds to load the app before a worker is killed; 0: no limit",
        Argument("SECONDS", _OR_NEVER),
        "lifecycle.start_timeout",
    ),
    Option(
        "timeout",
        Group.LIFECYCLE,
        "seconds without heartbeat before a worker is killed; 0: no limit",
        Argument("SECONDS", _OR_NEVER),
        "lifecycle.heartbeat_timeout",
    ),
    Option(
        "graceful-timeout",
        Group.LIFECYCLE,
        "seconds for a retiring worker to finish requests",
        Argument("SECONDS", Seconds()),
        "lifecycle.graceful_timeout",
    ),
    Option(
        "shutdown-delay",
        Group.LIFECYCLE,
        "seconds after TERM, not ready but serving, before the graceful stop",
        Argument("SECONDS", _OR_NEVER),
        "lifecycle.end.shutdown_delay",
        details="For load balancers, which notice only after a moment that the daemon is not"
        " ready. A second TERM ends the delay, INT the delay and the grace.",
    ),
    Option(
        "close-spread",
        Group.LIFECYCLE,
        "seconds over which a stop closes WebSockets and idle connections",
        Argument("SECONDS", _OR_NEVER),
        "lifecycle.end.close_spread",
        details="So that clients do not connect again all at once. At most half of"
        " --graceful-timeout.",
    ),
    Option(
        "max-requests",
        Group.LIFECYCLE,
        "requests after which a worker is replaced; 0: never",
        Argument("N", Whole(0)),
        "lifecycle.recycle.max_requests",
    ),
    Option(
        "max-requests-jitter",
        Group.LIFECYCLE,
        "random number of requests, up to N, added to --max-requests",
        Argument("N", Whole(0)),
        "lifecycle.recycle.max_requests_jitter",
    ),
    Option(
        "session-drain",
        Group.LIFECYCLE,
        "seconds an old worker serves its known keys after a reload",
        Argument("SECONDS", _OR_NEVER),
        "lifecycle.session.drain",
        details="See [Reload](life.md).",
    ),
    Option(
        "session-idle",
        Group.LIFECYCLE,
        "seconds until an unused key leaves a draining worker; 0: --keep-alive",
        Argument("SECONDS", _OR_NEVER),
        "lifecycle.session.idle",
        details="A key is unused without a request or an open connection. See [Reload](life.md).",
    ),
    Option(
        "slot-failover",
        Group.LIFECYCLE,
        "seconds without a worker until a slot's keys move to others; 0: never",
        Argument("SECONDS", _OR_NEVER),
        "lifecycle.slot_failover",
    ),
    Option(
        "guardian",
        Group.LIFECYCLE,
        "keep idle connections when a worker is killed: on or off",
        Argument("on|off", OnOff()),
        "lifecycle.guardian",
    ),
    Option(
        "on-retire",
        Group.LIFECYCLE,
        "callable that is called when a worker retires",
        Argument("FQPN"),
        "app.on_retire",
    ),
    Option(
        "child-exit",
        Group.LIFECYCLE,
        "callable that is called when a worker process has ended",
        Argument("FQPN"),
        "lifecycle.end.child_exit",
        details="In a process of its own, with pid, slot and exit status. See"
        " [Ended workers](life.md#ended-workers---child-exit).",
    ),
)
