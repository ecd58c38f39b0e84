"""The client address of a request, as told by trusted peers.

Used by the affinity chain and for the app; results are stored with the trusted
peers, so that the second lookup is cheap.
"""

from collections.abc import Callable

from stickyd.http1.head_parser import Head
from stickyd.http1.memo import Memo
from stickyd.routing.forwarded_header import client_of_forwarded
from stickyd.routing.trusted_peers import UNIX, Missing, TrustedPeers, client_of_xff

LINE_REMEMBERED = 128
"""Bytes of the longest header line that memos store."""

Read = Callable[[list[bytes], TrustedPeers], str | Missing]

# Traefik, for instance, names the scheme of a WebSocket as RFC 6455 (11.1) does.
_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}

_NO_XFF = Missing("no X-Forwarded-For")
_NO_FORWARDED = Missing("no Forwarded")


def _remembered(
    memo: Memo[bytes, str | Missing], read: Read, values: list[bytes], trusted: TrustedPeers
) -> str | Missing:
    line = values[0]
    found = memo.get(line)
    if found is None or len(values) > 1:
        found = read(values, trusted)
        if len(values) == 1 and len(line) <= LINE_REMEMBERED:
            memo.remember(line, found)
    return found


def client_by_xff(head: Head, peer: str | None, trusted: TrustedPeers) -> str | Missing:
    """The client that the X-Forwarded-For of a trusted ``peer`` names."""
    values = head.values(b"x-forwarded-for")
    if not values:
        return _NO_XFF
    if peer not in trusted:
        return Missing(f"peer {peer or UNIX} is not trusted")
    return _remembered(trusted.by_xff, client_of_xff, values, trusted)


def client_by_forwarded(head: Head, peer: str | None, trusted: TrustedPeers) -> str | Missing:
    """The client that the Forwarded of a trusted ``peer`` names (RFC 7239)."""
    values = head.values(b"forwarded")
    if not values:
        return _NO_FORWARDED
    if peer not in trusted:
        return Missing(f"peer {peer or UNIX} is not trusted")
    return _remembered(trusted.by_forwarded, client_of_forwarded, values, trusted)


def true_client(
    head: Head, peer: str | None, trusted: TrustedPeers, forwarded_first: bool = False
) -> tuple[str, int] | None:
    """Host and port of the client that a trusted peer names, or None: then it is the peer.

    The port is 0: the port of the peer's connection is not the client's. Only the
    first header that is present is used, even if it names no client: a proxy
    that does not write the other header passes on the client's own.

    :param peer: canonical address, None for a Unix socket.
    :param forwarded_first: Forwarded is what the proxies write; X-Forwarded-For otherwise.
    """
    first, second = client_by_xff, client_by_forwarded
    absent = _NO_XFF
    if forwarded_first:
        first, second = second, first
        absent = _NO_FORWARDED
    client = first(head, peer, trusted)
    if client is absent:
        client = second(head, peer, trusted)
    return None if isinstance(client, Missing) else (client, 0)


def forwarded_proto(head: Head, peer: str | None, trusted: TrustedPeers) -> str | None:
    """The scheme that a trusted peer's X-Forwarded-Proto names: ``http``, ``https`` or None.

    ``ws`` and ``wss`` count as the scheme of the request that opens the WebSocket (RFC 6455, 4.1).
    The last line counts, and only if it holds one value; the rest could be the client's.
    """
    values = head.values(b"x-forwarded-proto")
    if not values or peer not in trusted:
        return None
    return _SCHEMES.get(values[-1].lower())
