"""What the values of options may be, beside the plain ones of `stickyd.cli.converters`.

Every check raises `usage.UsageError` with one line that names the option and says what to
change, unless it says otherwise.
"""

import os
import re
import resource
import stat
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from stickyd.cli.converters import whole
from stickyd.cli.endpoint_hint import meant
from stickyd.net.fd_budget import room_under
from stickyd.net.listen_description import with_mode
from stickyd.routing.bounded_loads import LEAST_PERCENT, MOST_PERCENT
from stickyd.routing.policy import HASHES
from stickyd.routing.rendezvous import SlotTable
from stickyd.routing.trusted_peers import LOCAL_PEERS, TrustedPeers, TrustError
from stickyd.settings import MOST_WORKERS

# Twisted takes any number.
_PORT = re.compile(r"tcp6?:(?:port=)?(-?\d+)(?::|$)")


def checked(option: str, text: str, parse: Any, error: type[ValueError]) -> str:
    """``text`` as it is, if ``parse`` takes it."""
    try:
        parse(text)
    except error as wrong:
        raise usage.UsageError(f"{option}: {wrong}") from None
    return text


def one_of(option: str, text: str, known: tuple[str, ...]) -> str:
    """``text`` as it is, if it is one of those known."""
    if text not in known:
        raise usage.UsageError(f"{option}: {text!r} is none of {', '.join(known)}")
    return text


def log_file(path: str | None) -> str:
    """An absolute path, ``-`` or ""."""
    if not path or path == "-":
        return path or ""
    path = os.path.abspath(path)
    if not os.path.isdir(os.path.dirname(path)) or os.path.isdir(path):
        raise usage.UsageError(f"--access-logfile: no file can be made at {path!r}")
    return path


def check_twistds_log(parent: Any) -> None:
    """Refuse what Twisted's log file cannot be: it seeks in it.

    :param parent: the options of twistd or twist, if it is one of them that runs us.
    """
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


def workers(text: str | None) -> int:
    """The number of slots; of CPUs, if nobody says otherwise."""
    if text is None:
        text = os.environ.get("WEB_CONCURRENCY") or str(os.cpu_count() or 1)
    return whole("--workers", text, 1, MOST_WORKERS)


def connections(text: str | None, workers: int) -> int:
    """The most connections, as many as RLIMIT_NOFILE has room for by default."""
    # The hard limit: the master raises the soft one to it.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = room_under(limit, workers) if limit != resource.RLIM_INFINITY else 2**31
    if room < 1:
        raise usage.UsageError(
            f"RLIMIT_NOFILE of {limit} has no room for connections with {workers} workers"
        )
    if text is None:
        return room
    most = whole("--max-connections", text, 1)
    if most > room:
        raise usage.UsageError(
            f"--max-connections: {most} is more than the {room} that an RLIMIT_NOFILE of {limit}"
            f" has room for with {workers} workers"
        )
    return most


def read_seed(text: str | None) -> int:
    """A seed from ``INT``, ``@FILE`` or the environment.

    :raise ValueError: with one line that says what to change.
    """
    if text is None:
        text = os.environ.get("STICKYD_SEED") or "1"
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("ascii").strip()
        except (OSError, UnicodeError) as error:
            raise ValueError(f"cannot read the seed file: {error}") from None
    try:
        number = int(text)
    except ValueError:
        raise ValueError("the seed is not a whole number") from None
    if not 0 <= number < 2**128:
        raise ValueError("the seed is not within 0 to 2**128 - 1")
    return number


def seed(text: str | None) -> int:
    """The seed of the hash."""
    try:
        return read_seed(text)
    except ValueError as error:
        raise usage.UsageError(f"--seed: {error}") from None


def read_factor(text: str, hash_name: str) -> int:
    """A load bound in percent, 0 for none.

    :raise ValueError: with one line that says what to change.
    """
    try:
        percent = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None
    if percent and not LEAST_PERCENT <= percent <= MOST_PERCENT:
        raise ValueError(f"{percent} is neither 0 nor within {LEAST_PERCENT} to {MOST_PERCENT}")
    if percent and HASHES.get(hash_name) is not SlotTable:
        raise ValueError(f"--hash {hash_name} knows no next choice; it needs --hash rendezvous")
    return percent


def factor(text: str, hash_name: str) -> int:
    """The bound on the load of a slot, in percent."""
    try:
        return read_factor(text, hash_name)
    except ValueError as error:
        raise usage.UsageError(f"--hash-balance-factor: {error}") from None


def trusted(text: str | None) -> str:
    """Peers whose forwarding headers count."""
    if text is None:
        text = os.environ.get("FORWARDED_ALLOW_IPS") or LOCAL_PEERS
    return checked("--forwarded-allow-ips", text, TrustedPeers.parse, TrustError)


def proxies(text: str | None, trusted: str) -> str:
    """Peers that may send the PROXY header."""
    if text is None:
        return trusted
    return checked("--proxy-allow-from", text, TrustedPeers.parse, TrustError)


def check_endpoint(description: str) -> None:
    """Refuse a description that no endpoint can be made of."""
    kind = description.partition(":")[0]
    if kind in ("ssl", "tls"):
        raise usage.UsageError(f"--listen: {kind}: is not supported; let a proxy end TLS")
    from twisted.internet import reactor

    try:
        with_mode(description)
    except ValueError as error:
        raise usage.UsageError(f"--listen: {description!a}: {error}") from None
    try:
        serverFromString(reactor, with_mode(description))
    except Exception as error:
        if kind == "systemd" and isinstance(error, LookupError):
            # Only a start is passed sockets; a check, or a program that goes on, has none.
            return
        # Endpoint parsers are plugins and raise what they like.
        raise usage.UsageError(_no_endpoint(description, error)) from None
    port = _PORT.match(description)
    if port is not None and not 0 <= int(port[1]) <= 65535:
        raise usage.UsageError(
            f"--listen: {description!r}: port {port[1]} is not within 0 to 65535"
        )
    if re.fullmatch(r"unix:(address=)?(:.*)?", description):
        raise usage.UsageError(_no_endpoint(description, "no path"))


def _no_endpoint(description: str, error: object) -> str:
    proposal = meant(description)
    if proposal:
        return f"--listen: {description!a} is no endpoint description; did you mean {proposal}?"
    return (
        f"--listen: {description!a} is no endpoint description ({error}); for example: tcp:PORT,"
        " tcp:PORT:interface=HOST, unix:PATH"
    )
