"""Which peers are trusted, and the walk along X-Forwarded-For.

Source of the walk: rightmost-untrusted, as RFC 7239 section 8.1 suggests for
lists of forwarders of which only the last ones are known.
"""

import ipaddress
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_pton

import attrs

from stickyd.http1.memo import Memo
from stickyd.net.address import V4_MAPPED, canonical, without_port

LOCAL_PEERS = "127.0.0.1,::1,unix"
"""The peers that are trusted by default: those on this machine."""

UNIX = "unix"
"""The member of a list that stands for peers on Unix sockets, which have no address."""

_PEERS_REMEMBERED = 4096
_LINES_REMEMBERED = 4096


class TrustError(ValueError):
    """A list of trusted peers that cannot be read; the text says what to change."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _unmapped(network: Network) -> Network:
    """A network of IPv4-mapped addresses as the IPv4 network it stands for."""
    if network.version == 6 and network.prefixlen >= 96:
        packed = network.network_address.packed
        if packed.startswith(V4_MAPPED):
            return ipaddress.IPv4Network((packed[12:], network.prefixlen - 96))
    return network


@attrs.frozen
class TrustedPeers:
    """The peers whose forwarding headers are trusted.

    :ivar everyone: all of them, those on Unix sockets included.
    :ivar unix: those on Unix sockets.
    """

    everyone: bool
    unix: bool
    hosts: frozenset[str]
    networks: tuple[Network, ...]
    _memo: Memo[str, bool] = attrs.field(
        init=False, factory=lambda: Memo(_PEERS_REMEMBERED), eq=False, repr=False
    )
    # The networks as numbers: bytes of an address, mask, and what is left under it.
    _masks: tuple[tuple[int, int, int], ...] = attrs.field(init=False, eq=False, repr=False)
    # For `stickyd.routing.client_address`: the client of a header line that was read before.
    by_xff: "Memo[bytes, str | Missing]" = attrs.field(
        factory=lambda: Memo(_LINES_REMEMBERED), eq=False, repr=False
    )
    by_forwarded: "Memo[bytes, str | Missing]" = attrs.field(
        factory=lambda: Memo(_LINES_REMEMBERED), eq=False, repr=False
    )

    @_masks.default
    def _(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(
            (n.max_prefixlen // 8, int(n.netmask), int(n.network_address)) for n in self.networks
        )

    @classmethod
    def parse(cls, spec: str) -> "TrustedPeers":
        """Read ``10.0.0.0/8,::1,unix`` or ``*``.

        :raise TrustError: for a member that is neither address, network, ``unix`` nor ``*``.
        """
        members = [member.strip() for member in spec.split(",") if member.strip()]
        hosts: set[str] = set()
        networks: list[Network] = []
        for member in members:
            if member in ("*", UNIX):
                continue
            if "%" in member:
                # A peer's address is compared without its zone, so it would never match.
                raise TrustError(f"{member!r}: give a link-local address without its zone")
            try:
                network = _unmapped(ipaddress.ip_network(member))
            except ValueError as error:
                raise TrustError(f"{error} (give addresses, networks, unix or *)") from None
            if network.prefixlen == network.max_prefixlen:
                hosts.add(canonical(str(network.network_address)) or member)
            else:
                networks.append(network)
        return cls("*" in members, UNIX in members, frozenset(hosts), tuple(networks))

    def __contains__(self, host: str | None) -> bool:
        """Whether ``host``, a canonical text or None for a Unix peer, is trusted."""
        if self.everyone or host in self.hosts:
            return True
        if host is None:
            return self.unix
        if not self._masks:
            return False
        known = self._memo.get(host)
        return self._memo.remember(host, self._in_a_network(host)) if known is None else known

    def _in_a_network(self, host: str) -> bool:
        packed = inet_pton(AF_INET6 if ":" in host else AF_INET, host)
        size, number = len(packed), int.from_bytes(packed, "big")
        return any(number & mask == base and length == size for length, mask, base in self._masks)


@attrs.frozen
class Missing:
    """A source yields nothing, and why."""

    why: str


def walk(hops: Iterable[str | Missing], trusted: TrustedPeers) -> str | Missing:
    """The client among ``hops``, which stand from the nearest to the farthest.

    The first hop that is no trusted peer; the farthest one if all are trusted.
    A hop that is not an address ends the walk: no trusted peer vouches for the
    hops beyond it.
    """
    farthest: str | None = None
    for hop in hops:
        if isinstance(hop, Missing):
            return hop
        host = canonical(without_port(hop))
        if host is None:
            return Missing(f"{hop!r} is no IP address")
        if host not in trusted:
            return host
        farthest = host
    return farthest if farthest is not None else Missing("empty list")


def client_of_xff(values: list[bytes], trusted: TrustedPeers) -> str | Missing:
    """The client named by X-Forwarded-For lines that came from a trusted peer."""
    if len(values) == 1 and b"," not in values[0]:
        return walk((values[0].decode("latin-1"),), trusted)
    joined = b",".join(values).decode("latin-1")
    return walk((hop.strip(" \t") for hop in reversed(joined.split(","))), trusted)
