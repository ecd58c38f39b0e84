"""The compiled placer of a policy."""

from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING

from stickyd.core.native import CORE, Native
from stickyd.net.address import canonical
from stickyd.routing.policy import Policy
from stickyd.routing.rendezvous import PERSON, SlotTable, hash_key
from stickyd.routing.signed_keys import TAG_PERSON, secret_of
from stickyd.routing.source import Source
from stickyd.routing.trusted_peers import TrustedPeers

if TYPE_CHECKING:
    from stickyd.core._native import Placer

_PERSON_BYTES = 16
_KINDS = frozenset({"xff", "forwarded", "src", "hdr", "cookie", "url_param", "socketio", "sockjs"})
"""The sources that the core has; a chain with any other is the policy's to ask."""
_MOST_SLOT = 0xFFFF


def placer(policy: Policy, native: Native | None = CORE.native) -> "Placer | None":
    """Places as ``policy`` does; None where only the policy can.

    :param native: the compiled core, None if there is none.
    """
    table = policy.table
    if native is None or not isinstance(table, SlotTable):
        return None
    if not all(source.kind in _KINDS for source in policy.chain):
        return None
    slots = sorted(table.slots)
    if slots[0] < 1 or slots[-1] > _MOST_SLOT:
        return None
    return native.Placer(
        (hash_key(table.seed), PERSON.ljust(_PERSON_BYTES, b"\0")),
        (secret_of(table.seed), TAG_PERSON.ljust(_PERSON_BYTES, b"\0")),
        slots,
        [_source(source) for source in policy.chain],
        policy.trusted.everyone,
        policy.trusted.unix,
        _networks(policy.trusted),
    )


def _source(source: Source) -> tuple[str, bytes]:
    name = source.name.lower() if source.kind == "hdr" else source.name
    return source.kind, name.encode("utf-8")


def _networks(trusted: TrustedPeers) -> list[tuple[bytes, bytes]]:
    """Base and mask of what is trusted, hosts first: peers are most often named one by one."""
    networks = []
    for host in sorted(trusted.hosts):
        # A host that is no address in canonical text (one with a zone) is no peer's either.
        if canonical(host) == host:
            packed = inet_pton(AF_INET6 if ":" in host else AF_INET, host)
            networks.append((packed, b"\xff" * len(packed)))
    for network in trusted.networks:
        networks.append((network.network_address.packed, network.netmask.packed))
    return networks
