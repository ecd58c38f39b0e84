"""Checks that concern several options, or what Twisted makes of them.

Every check raises `usage.UsageError` with one line that names the option and says what to change.
"""

import os
import re
import resource
import stat
from collections.abc import Mapping
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from stickyd.cli.endpoint_hint import intended_endpoint
from stickyd.http1.cookie_attributes import AttributeFault, CookieAttributes
from stickyd.net.cpu_budget import usable_cpus
from stickyd.net.fd_budget import room_under
from stickyd.net.listen_description import with_mode
from stickyd.routing.affinity import parse_chain
from stickyd.routing.issued_ids import INSERT, LEARN_HEADER
from stickyd.routing.policy import HASHES
from stickyd.routing.rendezvous import SlotTable
from stickyd.settings import Json, Settings

_TEXTS = (
    "log.worker_header",
    "app.on_retire",
    "app.origin.directory",
    "app.origin.env_file",
    "app.root_path",
    "log.access_file",
    "routing.ids.cookie_attributes",
    "lifecycle.end.child_exit",
    "log.admin",
    "log.request_id",
    "tls.ca_certs",
    "tls.password_file",
)
"""Settings that are "" if they are not given."""

# Twisted accepts any number.
_PORT = re.compile(r"tcp6?:(?:port=)?(-?\d+)(?::|$)")


def checked_together(values: Mapping[str, Json]) -> dict[str, Json]:
    """Settings by path, with the defaults that depend on other settings.

    :param values: what each option gives by itself; None if it gives nothing.
    """
    checked = dict(values)
    if checked["workers"] is None:
        checked["workers"] = usable_cpus()
    workers, connections = checked["workers"], checked["limits.connections"]
    assert isinstance(workers, int)
    assert isinstance(connections, int | None)
    checked["limits.connections"] = connection_limit(connections, workers)
    line, head = checked["limits.request.request_line"], checked["limits.request.head"]
    assert isinstance(line, int)
    assert isinstance(head, int)
    if head < line + 16:
        raise usage.UsageError("--limit-request-head must exceed --limit-request-line by 16")
    check_balance(checked["routing.balance_factor"], checked["routing.hash"])
    check_cookie(checked["routing.affinity"], checked["routing.ids.cookie_attributes"])
    check_log(checked)
    if checked["routing.proxy.allow_from"] is None:
        checked["routing.proxy.allow_from"] = checked["routing.trusted"]
    for path in _TEXTS:
        checked[path] = checked[path] or ""
    for path in ("app.origin.factory", "app.origin.preload", "app.display_tracebacks"):
        checked[path] = bool(checked[path])
    return checked


def check_log(checked: Mapping[str, Json]) -> None:
    """Refuse a log without the lines that are asked for, and a key that is not the client's."""
    if checked["log.access_file"] == "-" and checked["log.level"] not in ("debug", "info"):
        raise usage.UsageError(
            f"--log-level {checked['log.level']} leaves out the lines of --access-logfile -;"
            " give it a file, or --log-level info"
        )
    name = str(checked["log.request_id"] or "").lower()
    chain = parse_chain(str(checked["routing.affinity"]))
    if name and any(s.kind in ("hdr", LEARN_HEADER) and s.name.lower() == name for s in chain):
        raise usage.UsageError(
            f"--request-id {checked['log.request_id']}: --affinity takes the key from this header"
        )


def check_cookie(affinity: Json, attributes: Json) -> None:
    """Refuse attributes that do not go with the name of the cookie, or with no cookie."""
    name = next((s.name for s in parse_chain(str(affinity)) if s.kind == INSERT), None)
    if name is None:
        if attributes:
            raise usage.UsageError("--cookie-attributes goes with insert(NAME) in --affinity only")
        return
    try:
        CookieAttributes.parse(str(attributes or "")).check_name(name)
    except AttributeFault as fault:
        raise usage.UsageError(f"--cookie-attributes: {fault}") from None


def check_balance(percent: Json, hash_name: Json) -> None:
    """Refuse a load bound where the hash has no order of slots."""
    if percent and HASHES[str(hash_name)] is not SlotTable:
        raise usage.UsageError(
            f"--hash-balance-factor: --hash {hash_name} has no next choice; use --hash rendezvous"
        )


def connection_limit(most: int | None, workers: int) -> int:
    """The most connections of the daemon: ``most``, else what RLIMIT_NOFILE admits."""
    # The hard limit: the master raises the soft limit to it.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = room_under(limit, workers) if limit != resource.RLIM_INFINITY else 2**31
    if room < 1:
        raise usage.UsageError(
            f"RLIMIT_NOFILE of {limit} has no room for connections with {workers} workers"
        )
    if most is None:
        return room
    if most > room:
        raise usage.UsageError(
            f"--max-connections: {most} is more than the {room} that an RLIMIT_NOFILE of {limit}"
            f" has room for with {workers} workers"
        )
    return most


def check_twistd_log(parent: Any, form: str) -> None:
    """Refuse a FIFO as Twisted's log file: Twisted seeks in it. And JSON for its syslog.

    :param parent: the options of twistd or twist; None under ``stickyd run``.
    :param form: of the daemon's log.
    """
    if form == "json" and (parent or {}).get("syslog"):
        raise usage.UsageError("--log-format json is not for --syslog, which has lines of text")
    path = (parent or {}).get("logfile")
    if path and path != "-" and stat.S_ISFIFO(_mode(path)):
        raise usage.UsageError(
            f"--logfile: {path!r} is a FIFO, which twistd cannot log to; use --logfile - > {path}"
        )


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def check_certificates(settings: Settings) -> None:
    """Refuse certificates that cannot be used, and options of TLS without use."""
    tls = settings.tls
    if not tls.certfiles:
        if tls.redirects:
            raise usage.UsageError("--redirect-http goes with --ssl-certfile only")
        if tls.listeners:
            raise usage.UsageError("--bind: tls: needs --ssl-certfile")
        for option, given in (
            ("keyfile", tls.keyfiles),
            ("keyfile-password", tls.password_file),
            ("ca-certs", tls.ca_certs),
            ("client-cert", tls.client_cert != "off"),
        ):
            if given:
                raise usage.UsageError(f"--ssl-{option} goes with --ssl-certfile only")
        return
    if (tls.client_cert != "off") != bool(tls.ca_certs):
        raise usage.UsageError(
            "--ssl-client-cert optional or required goes with --ssl-ca-certs, and this with it"
        )
    if not tls.listeners:
        raise usage.UsageError("--ssl-certfile: no --bind speaks TLS; --listen does only with ssl:")
    if tls.keyfiles and len(tls.keyfiles) != len(tls.certfiles):
        raise usage.UsageError(
            f"--ssl-keyfile: {len(tls.keyfiles)} for {len(tls.certfiles)} of --ssl-certfile"
        )
    if settings.routing.proxy.protocol != "off":
        raise usage.UsageError("--proxy-protocol does not go with TLS")
    # Here: without TLS its libraries are not loaded.
    from stickyd.tls.certificates import CertificateError, read_bundle

    try:
        read_bundle(tls)
    except CertificateError as error:
        raise usage.UsageError(f"TLS: {error}") from None


def check_endpoint(description: str, option: str = "--listen") -> None:
    """Refuse a description that is not an endpoint description.

    :param option: that it is the value of.
    """
    kind = description.partition(":")[0]
    if kind in ("ssl", "tls"):
        raise usage.UsageError(
            f"{option}: {kind}: is not supported; use --bind with --ssl-certfile"
        )
    from twisted.internet import reactor

    try:
        with_mode(description)
    except ValueError as error:
        raise usage.UsageError(f"{option}: {description!a}: {error}") from None
    try:
        serverFromString(reactor, with_mode(description))
    except Exception as error:
        if kind == "systemd" and isinstance(error, LookupError):
            # systemd passes sockets at start only, not to a check or after an upgrade.
            return
        # Endpoint parsers are plugins and may raise any exception.
        raise usage.UsageError(_no_endpoint(option, description, error)) from None
    port = _PORT.match(description)
    if port is not None and not 0 <= int(port[1]) <= 65535:
        raise usage.UsageError(
            f"{option}: {description!r}: port {port[1]} is not within 0 to 65535"
        )
    if re.fullmatch(r"unix:(address=)?(:.*)?", description):
        raise usage.UsageError(_no_endpoint(option, description, "no path"))


def _no_endpoint(option: str, description: str, error: object) -> str:
    proposal = intended_endpoint(description)
    if proposal:
        return f"{option}: {description!a} is no endpoint description; did you mean {proposal}?"
    return (
        f"{option}: {description!a} is no endpoint description ({error}); for example: tcp:PORT,"
        " tcp:PORT:interface=HOST, unix:PATH"
    )
