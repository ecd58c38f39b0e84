"""What a master takes along when it replaces its own program.

execve(2) keeps the process, its children and its open descriptors. What is
packed here is JSON that names descriptors by number; packing and unpacking of
each thing stand side by side. The layout is fixed by ``FORMAT``: a program that
does not know it must not be started (`stickyd.master.upgrade` asks it first).
"""

import os
import socket
from base64 import b64decode, b64encode
from typing import Any

from stickyd.master.frontend.listener import Listener
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.frontend.proxy_pending import PendingProxyHeader
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.net.address import Address
from stickyd.net.lingering_close import LingeringClose
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats

FORMAT = 3

Packed = dict[str, Any]


def keep(descriptor: int) -> int:
    """Let a descriptor survive execve."""
    os.set_inheritable(descriptor, True)
    return descriptor


def taken(descriptor: int) -> int:
    """A descriptor that has survived; it shall not be inherited by anyone else."""
    os.set_inheritable(descriptor, False)
    return descriptor


def as_text(data: bytes) -> str:
    """Bytes as JSON can carry them."""
    return b64encode(data).decode("ascii")


def as_bytes(text: str) -> bytes:
    """What `as_text` made."""
    return b64decode(text)


# ---- connections in the master


def pack_waiting(connection: PendingHead | PendingProxyHeader, now: float) -> Packed:
    """A connection whose first head, or PROXY header, is not whole yet."""
    return {
        "fd": keep(connection.socket.fileno()),
        "peer": connection.peer,
        "left": connection.deadline - now if connection.deadline is not None else None,
        "announced": connection.announced if isinstance(connection, PendingHead) else None,
        "number": connection.connection if isinstance(connection, PendingHead) else None,
        "taken": connection.taken if isinstance(connection, PendingHead) else 0,
        "unread": as_text(
            connection.unread if isinstance(connection, PendingHead) else connection.held
        ),
    }


def unpack_waiting(
    packed: Packed, listener: Listener, now: float
) -> PendingHead | PendingProxyHeader:
    """The connection, for ``listener`` to go on with."""
    sock = socket.socket(fileno=taken(packed["fd"]))
    peer = _address(packed["peer"])
    unread = as_bytes(packed["unread"])
    connection: PendingHead | PendingProxyHeader
    if packed["number"] is not None:
        connection = PendingHead(listener, sock, peer, announced=_address(packed["announced"]))
        connection.connection = packed["number"]
        connection.unread = unread
        connection.taken = packed["taken"]
    else:
        assert listener.proxy is not None
        connection = PendingProxyHeader(listener, sock, peer, listener.proxy)
        connection.held = unread
    if packed["left"] is not None:
        connection.deadline = now + packed["left"]
    return connection


def _address(packed: list[Any] | None) -> Address | None:
    return (packed[0], packed[1]) if packed is not None else None


def pack_lingering(closing: LingeringClose) -> Packed:
    """A connection whose last words are on their way."""
    sock, last = closing.detach()
    return {"fd": keep(sock.detach()), "last": as_text(last)}


def unpack_lingering(packed: Packed) -> tuple[socket.socket, bytes]:
    """The socket, non-blocking, and what is still to be written to it."""
    sock = socket.socket(fileno=taken(packed["fd"]))
    sock.setblocking(False)
    return sock, as_bytes(packed["last"])


# ---- a worker


def pack_worker(worker: WorkerProcess, channel: socket.socket | None) -> Packed:
    """A worker process, and our end of the control channel it will listen to."""
    pid, output = worker.detach()
    return {
        "pid": pid,
        "output": keep(output),
        "channel": keep(channel.detach()) if channel is not None else None,
        "counters": worker.counters,
        "retiring": worker.retiring,
        "version": worker.version,
        "row": worker.row,
        "tally": keep(worker.tally.descriptor),
        "owner": worker.owner,
    }


def unpack_tally(packed: Packed) -> WorkerStats:
    """What a packed worker notes of its connections."""
    return WorkerStats(taken(packed["tally"]))


def unpack_worker(packed: Packed, worker: WorkerProcess) -> None:
    """Let ``worker`` be the process that was packed."""
    channel = packed["channel"]
    end = None if channel is None else socket.socket(fileno=taken(channel))
    worker.counters = packed["counters"]
    worker.retiring = packed["retiring"]
    worker.version = packed["version"]
    worker.owner = packed["owner"]
    worker.attach(packed["pid"], taken(packed["output"]), end)


# ---- a slot


def pack_slot(slot: Slot) -> Packed:
    """A slot, with the pids of its workers and what waits for room in its inbox."""
    return {
        "number": slot.number,
        "sender": keep(slot.sender.fileno()),
        "receiver": keep(slot.receiver.fileno()),
        "private": keep(slot.private.fileno()) if slot.private is not None else None,
        "serving": slot.serving.pid if slot.serving is not None else None,
        "leaving": [worker.pid for worker in slot.leaving],
        "draining": slot.draining.pid if slot.draining is not None else None,
        "spawned": slot.spawned,
        "early_deaths": slot.early_deaths,
        "waiting": [
            {"message": as_text(message), "fd": keep(descriptor), "left": left}
            for message, descriptor, left in slot.outbox.take_waiting()
        ],
    }


def unpack_message(packed: Packed) -> tuple[bytes, socket.socket, float]:
    """What waits for room in an inbox: message, connection, and seconds it may still wait."""
    sock = socket.socket(fileno=taken(packed["fd"]))
    sock.setblocking(False)
    return as_bytes(packed["message"]), sock, packed["left"]


def unpack_slot(packed: Packed, slots: Slots) -> None:
    """A slot without its workers, to be one of ``slots``."""
    sender, receiver = _inbox_end(packed["sender"]), _inbox_end(packed["receiver"])
    slot = slots.put(packed["number"], sender, receiver)
    if packed["private"] is not None:
        slot.private = _inbox_end(packed["private"])
    slot.spawned = packed["spawned"]
    slot.early_deaths = packed["early_deaths"]


def _inbox_end(descriptor: int) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, taken(descriptor))
    end.setblocking(False)
    return end


def pack_slots(slots: Slots) -> Packed:
    """All slots, and which of them take part."""
    return {
        "version": slots.version,
        "out": sorted(slots.out),
        "slots": [pack_slot(slot) for slot in slots],
    }


def unpack_slots(packed: Packed, reactor: Any, board: Scoreboard | None) -> Slots:
    """All slots, without their workers."""
    slots = Slots(reactor, 0, board)
    slots.version = packed["version"]
    slots.out = set(packed["out"])
    for each in packed["slots"]:
        unpack_slot(each, slots)
    return slots
