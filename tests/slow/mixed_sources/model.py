"""Where each request is due: dictionaries beside the daemon's table."""

import random
import re
from collections import Counter

import attrs

from stickyd.routing.rendezvous import SlotTable
from stickyd.routing.signed_keys import RANDOM_BYTES, make, secret_of, slot_in

WORKERS = 4
SEED = 1
CHAIN = "insert(STICKYD),learn(hdr(x-session)),hdr(x-user),xff,src"
MOST = 4096
"""Ids that the daemon learns at most."""

RECENT = MOST // 4
"""An id that is among the last so many used has to be known. To be evicted it would have to
be the oldest of 32, among four times as many, that all have been used since."""

OLD = 3 * MOST
"""Sessions of which clients still make requests: the last so many that were begun."""

COOKIES = 20_000
"""Clients with a cookie; the daemon remembers none of them."""

KINDS = {
    "address": 10,
    "user": 10,
    "declared": 10,
    "new cookie": 5,
    "new session": 10,
    "cookie": 20,
    "session": 25,
    "old session": 10,
}
"""Kinds of requests, and how often they are made."""


@attrs.define
class Session:
    """One that the app has begun.

    :ivar slot: where.
    :ivar used: number of its last use, of all uses of sessions.
    :ivar lost: the daemon does not know it any more.
    """

    name: bytes
    slot: int
    used: int
    lost: bool = False


@attrs.frozen
class Due:
    """What an answer has to be.

    :ivar slots: those that may answer.
    """

    number: int
    kind: str
    slots: tuple[int, ...]
    session: Session | None = None


class Model:
    """Clients of every source, and what they know.

    :ivar kinds: answers by kind.
    :ivar missed: answers at a request's next source, since its session was evicted.
    """

    answer = re.compile(
        rb"HTTP/1\.1 (\d+) [^\r\n]*\r\n([^\0]*?)\r\n\r\n"
        rb"worker=(\d+) number=(\d+) cookies=([^\n]*)\n"
    )
    _cookie = re.compile(rb"(?im)^set-cookie: STICKYD=([^;\r\n]*)")
    _session = re.compile(rb"(?im)^x-session: ([^\r\n]*)")

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._table = SlotTable(SEED, range(1, WORKERS + 1))
        self._secret = secret_of(SEED)
        self._cookies: list[tuple[bytes, int]] = []
        self._sessions: list[Session] = []
        self._uses: list[Session] = []
        self.kinds: Counter[str] = Counter()
        self.missed = 0

    # ---- requests

    def request(self, number: int) -> tuple[bytes, Due]:
        """A request of a random kind, and what is due."""
        kind = self._chance.choices(list(KINDS), list(KINDS.values()))[0]
        if (kind == "cookie" and not self._cookies) or ("session" in kind and not self._uses):
            kind = "new session"
        tail = (self._chance.randrange(1, 255) for _ in range(3))
        address = ("10." + ".".join(map(str, tail))).encode()
        here = self._table.slot_of(address)
        lines, due = self._of_kind(kind, number, here)
        path = b"/new" if kind == "new session" else b"/"
        lines += [b"Host: x", b"X-Number: %d" % number, b"X-Forwarded-For: " + address]
        return b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (path, b"\r\n".join(lines)), due

    def _of_kind(self, kind: str, number: int, here: int) -> tuple[list[bytes], Due]:
        """Header lines of a kind of request."""
        match kind:
            case "user":
                user = b"user %d" % self._chance.randrange(50_000)
                return [b"X-User: " + user], Due(number, kind, (self._table.slot_of(user),))
            case "declared":
                slot = self._chance.randint(1, WORKERS)
                key = make(slot, self._chance.randbytes(RANDOM_BYTES), self._secret)
                return [b"X-User: " + key.encode()], Due(number, kind, (slot,))
            case "cookie":
                value, slot = self._chance.choice(self._cookies)
                # What comes later in the chain does not count.
                lines = [b"Cookie: a=1; STICKYD=%b; b=2" % value, b"X-User: %d" % number]
                return lines, Due(number, kind, (slot,))
            case "session":
                last = len(self._uses)
                session = self._uses[self._chance.randrange(max(0, last - RECENT), last)]
                self._use(session)
                due = Due(number, kind, (session.slot,), session)
                return [b"X-Session: " + session.name], due
            case "old session":
                last = len(self._sessions)
                session = self._sessions[self._chance.randrange(max(0, last - OLD), last)]
                return [b"X-Session: " + session.name], self._of_old(session, number, here)
        return [], Due(number, kind, (here,))

    def _of_old(self, session: Session, number: int, here: int) -> Due:
        if session.lost:
            return Due(number, "lost session", (here,), session)
        if len(self._uses) - session.used <= RECENT:
            return Due(number, "old session", (session.slot,), session)
        return Due(number, "old session", (session.slot, here), session)

    def _use(self, session: Session) -> None:
        session.used = len(self._uses)
        self._uses.append(session)

    # ---- answers

    def judge(self, due: Due, match: re.Match[bytes]) -> str | None:
        """What is wrong with an answer; None if nothing is."""
        status, head, slot, number = int(match[1]), match[2], int(match[3]), int(match[4])
        self.kinds[due.kind] += 1
        if (status, number) != (200, due.number) or slot not in due.slots:
            return f"due {due}, got {status} number {number} of {slot}"
        cookies = self._cookie.findall(head)
        if due.kind == "cookie":
            if match[5] != b"a=1; b=2" or cookies:
                return f"due {due}, the app saw {match[5]!r}, was set {cookies}"
        elif match[5] != b"-" or [self._slot_of(cookie) for cookie in cookies] != [slot]:
            return f"due {due}, the app saw {match[5]!r}, was set {cookies}"
        if due.kind == "new cookie":
            self._keep(cookies[0], slot)
        if due.kind == "new session":
            (name,) = self._session.findall(head)
            self._sessions.append(session := Session(name, slot, 0))
            self._use(session)
        elif due.session is not None and due.kind == "old session":
            self._note(due.session, due.slots, slot)
        return None

    def _slot_of(self, cookie: bytes) -> int | None:
        return slot_in(cookie.decode("latin-1"), self._secret)

    def _keep(self, cookie: bytes, slot: int) -> None:
        if len(self._cookies) < COOKIES:
            self._cookies.append((cookie, slot))
        else:
            self._cookies[self._chance.randrange(COOKIES)] = (cookie, slot)

    def _note(self, session: Session, slots: tuple[int, ...], slot: int) -> None:
        """An answer tells whether the session is known, unless both slots are one."""
        if session.lost or len(set(slots)) == 1:
            return
        if slot == session.slot:
            self._use(session)
        else:
            self.missed += 1
            session.lost = True
