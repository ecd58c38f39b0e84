"""The compiled placer of a policy."""

from mmap import mmap
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from stickyd.core.native import CORE, Native
from stickyd.net.address import canonical
from stickyd.routing.affinity import TLS_CLIENT
from stickyd.routing.issued_ids import LEARN_HEADER, LEARNS, learned_key
from stickyd.routing.policy import Policy
from stickyd.routing.rendezvous import PERSON, SlotTable, hash_key
from stickyd.routing.signed_keys import TAG_PERSON, secret_of
from stickyd.routing.source import Source
from stickyd.routing.trusted_peers import TrustedPeers

if TYPE_CHECKING:
    from stickyd.core._native import Placer

_PERSON_BYTES = 16
_MOST_SLOT = 0xFFFF
_HEADERS = frozenset({"hdr", LEARN_HEADER})


@runtime_checkable
class InMemory(Protocol):
    """Learned ids in a memory that the core can read."""

    @property
    def memory(self) -> mmap:
        """As `stickyd.shm.learned_layout` describes it."""


def placer(policy: Policy, native: Native | None = CORE.native) -> "Placer | None":
    """Places as ``policy`` does; None where only the policy can.

    :param native: the compiled core, None if there is none.
    """
    table = policy.table
    if native is None or not isinstance(table, SlotTable):
        return None
    if any(source.kind == TLS_CLIENT for source in policy.chain):
        # The core does not read what is known of a client's certificate.
        return None
    learned = policy.learned if policy.learns else None
    if learned is not None and not isinstance(learned, InMemory):
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
        learned.memory if learned is not None else None,
    )


def _source(source: Source) -> tuple[str, bytes, bytes]:
    """Kind and name, and the beginning of its keys in the table of learned ids."""
    kind, name = source.kind, source.name
    prefix = learned_key(kind, name, b"") if kind in LEARNS else b""
    return kind, (name.lower() if kind in _HEADERS else name).encode("utf-8"), prefix


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
