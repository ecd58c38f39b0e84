"""Requests of the load, the answers they must get, and a reader of answers. Pure."""

import hashlib
from random import Random
from typing import NamedTuple

import attrs

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.routing.policy import Policy

LIMITS = Limits()
TRUSTED_PEER = "127.0.0.1"


@attrs.frozen
class Asked:
    """A request that waits for its answer.

    :ivar slot: where it belongs by ``policy``; None while the slots change.
    :ivar plain: alone, whole at once and answered at once: its latency says something.
    """

    number: int
    client: str
    what: str
    sum: str
    pad: int
    policy: Policy | None
    slot: int | None
    at: float
    plain: bool


class Answer(NamedTuple):
    """A whole response."""

    status: int
    body: bytes
    last: bool


def compose(
    chance: Random, number: int, client: str, policy: Policy | None, now: float, simple: bool
) -> tuple[Asked, bytes]:
    """A request at random: GET or POST, with a length or chunked, answered at once or late."""
    kind = "get" if simple else chance.choices(("get", "late", "post"), (60, 10, 30))[0]
    pad = chance.randrange(300_000) if not simple and chance.random() < 0.01 else 0
    path = f"/late?s={chance.uniform(0.02, 0.3):.3f}&pad={pad}" if kind == "late" else "/sum"
    if kind != "late" and pad:
        path += f"?pad={pad}"
    body = chance.randbytes(chance.randint(1, 8192)) if kind != "get" else b""
    framing, framed = _framed(chance, body)
    head = (
        f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: load\r\n"
        f"X-Forwarded-For: {client}\r\nX-Number: {number}\r\n{framing}\r\n"
    )
    data = head.encode() + framed
    slot = None
    if policy is not None:
        read = read_head(data, LIMITS, 0)
        assert isinstance(read, Head)
        slot = policy.place(read, TRUSTED_PEER).slot
    what = f"{head.split(' HTTP')[0]} {framing.strip()}".strip()
    digest = hashlib.sha256(body).hexdigest()
    plain = kind == "get" and not pad
    return Asked(number, client, what, digest, pad, policy, slot, now, plain), data


def _framed(chance: Random, body: bytes) -> tuple[str, bytes]:
    """The header line that frames a body, and the body in that framing."""
    if not body:
        return "", b""
    if chance.random() < 0.5:
        return f"Content-Length: {len(body)}\r\n", body
    parts = []
    while body:
        size = chance.randint(1, len(body))
        parts.append(b"%x\r\n%b\r\n" % (size, body[:size]))
        body = body[size:]
    return "Transfer-Encoding: chunked\r\n", b"".join(parts) + b"0\r\n\r\n"


def judge(asked: Asked, answer: Answer, port: int, policy: Policy | None) -> str:
    """What is wrong with an answer, or "".

    :param port: the client's.
    :param policy: the one that holds now; the slot is judged only if it is the
        one that held when the request was sent.
    """
    if answer.status != 200:
        return f"status {answer.status}: {answer.body[:100]!r}"
    line, _, padding = answer.body.partition(b"\n")
    words = line.decode("latin-1").split(" ")
    if len(words) != 6:
        return f"body {line[:100]!r}"
    slot, _, number, client, peer_port, digest = words
    if (number, client, peer_port) != (str(asked.number), asked.client, str(port)):
        return f"answer to {number} of {client} at port {peer_port}"
    if digest != asked.sum or padding != b"x" * asked.pad:
        return "the body arrived or came back changed"
    if asked.slot is not None and policy is asked.policy and int(slot) != asked.slot:
        return f"answered by slot {slot}, belongs to {asked.slot}"
    return "the last answer of its connection" if answer.last else ""


class AnswerReader:
    """Splits what arrives into responses with a Content-Length."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Answer]:
        """The responses that are whole now.

        :raise ValueError: if it is none.
        """
        self._held += data
        found = []
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            status, *lines = bytes(self._held[:end]).decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, value in (li.split(": ", 1) for li in lines)}
            size = int(fields["content-length"])
            if len(self._held) < end + 4 + size:
                break
            body = bytes(self._held[end + 4 : end + 4 + size])
            del self._held[: end + 4 + size]
            last = fields.get("connection", "").lower() == "close"
            found.append(Answer(int(status.split(" ")[1]), body, last))
        return found
