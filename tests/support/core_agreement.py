"""How far the compiled core and Python agree: inputs for both, and how their answers differ.

Used by `tests.unit.core.test_head`, `tests.unit.core.test_placer` and `tests.slow.fuzz_core`.
"""

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stickyd.core.native import Core, Native, load
from stickyd.core.placer import placer
from stickyd.core.sources import digest
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, connection_options, read_head
from stickyd.http1.limits import Limits
from stickyd.routing.affinity import parse_chain
from stickyd.routing.issued_ids import LEARNS, learned_key
from stickyd.routing.policy import Policy
from stickyd.routing.signed_keys import make, secret_of
from stickyd.shm.shared_ids import SharedIds

if TYPE_CHECKING:
    from stickyd.core._native import Placer

BUILT: Core = load(None, digest())
"""The compiled core if it is built, whatever the suite runs with."""

NATIVE: Native | None = BUILT.native

BROWSER = (
    b"GET /news/today?page=2&sort=new HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"Connection: keep-alive\r\n"
    b"Cache-Control: max-age=0\r\n"
    b'sec-ch-ua: "Chromium";v="124", "Not-A.Brand";v="99"\r\n'
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Accept-Language: de-DE,de;q=0.9\r\n"
    b"Cookie: theme=dark; sid=0123456789abcdef\r\n"
    b"X-Forwarded-For: 203.0.113.7\r\n"
    b"\r\n"
)
PLAIN = [
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nX-Forwarded-For: 10.10.10.10\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a\r\n\r\n",
    b"POST /a?b=c HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /x HTTP/1.1\r\nhost:a\r\nConnection: close , x\r\nX_Y: z\r\nE:\r\nT: \ta\tb \t\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: \r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: b\r\n\r\nGET /c HTTP/1.1\r\nHost: d\r\nConnection: a\r\n\r\n",
    BROWSER,
]
"""Heads that the compiled reader reads itself."""

Verdict = Head | Refusal | None


class _Unusual(Exception):
    """The compiled reader has asked Python."""


def _ask(data: bytes, limits: Limits, scanned: int) -> Verdict:
    raise _Unusual


class Heads:
    """The compiled reader beside Python's.

    :ivar own: how many verdicts were its own: heads, and incomplete ones.
    :ivar asked: how often it would have asked Python.
    """

    def __init__(self, native: Native) -> None:
        self._read = native.HeadReader(Head, connection_options, _ask).read
        self.own = {"head": 0, "incomplete": 0}
        self.asked = 0

    def difference(
        self, data: bytes, limits: Limits, ends: Iterable[int]
    ) -> tuple[str | None, Verdict]:
        """How the two differ while ``data`` arrives in pieces that end at ``ends``; last verdict.

        Python's verdict decides whether another piece is looked at.
        """
        scanned, expected = 0, None
        for end in ends:
            piece = data[:end]
            expected = read_head(piece, limits, scanned)
            try:
                got = self._read(piece, limits, scanned)
            except _Unusual:
                self.asked += 1
            else:
                if not _same(got, expected):
                    return f"{end} bytes, {scanned} seen: {got}; Python: {expected}", expected
                self.own["incomplete" if got is None else "head"] += 1
            if expected is not None:
                break
            scanned = end
        return None, expected


def _same(got: Verdict, expected: Verdict) -> bool:
    """Equal in types too."""
    if got is None or expected is None or isinstance(expected, Refusal):
        return got is expected
    return (
        got == expected
        and [type(part) for part in got] == [type(part) for part in expected]
        and [type(field) for field in got.fields] == [tuple] * len(expected.fields)
    )


# ---- placements

CHAINS = [
    *("xff,src", "src", "xff", "forwarded,src", "forwarded,xff,src", "xff,forwarded"),
    *("hdr(X-Key),xff,src", "cookie(sid),xff,src", "url_param(sid),src", "socketio", "sockjs"),
    *("socketio,cookie(sid),src", "hdr( X-Forwarded-For ),src", "cookie(sid),hdr(Cookie)"),
    *(
        "insert(sid),xff,src",
        "learn(hdr(X-Key)),learn(cookie(sid)),src",
        "learn(cookie(a)),insert(b)",
    ),
    *("learn(hdr(x-forwarded-for)),learn(cookie(sid)),insert(sid),least", "least"),
    *("url_param(a b),url_param(\u00fc),url_param(a=b),sockjs", "hdr(host),hdr(x-key)"),
]
TRUSTED = ["127.0.0.1,::1", "*", "", "10.0.0.0/8,fd00::/8", "0.0.0.0/0", "::/0", "::ffff:1.2.3.4"]
PEERS = [None, "127.0.0.1", "10.0.0.9", "203.0.113.7", "::1", "fd00::9", "2001:db8::7", "fe80::1%a"]
SLOTS = [range(1, 3), range(1, 5), (7,), (65535, 2, 300), range(1, 65)]
SEEDS = [1, 7, 2**128 - 1]

_HOPS = [
    *("10.10.10.10", "203.0.113.7", "198.51.100.1:80", "10.0.0.1", "127.0.0.1", "2001:db8::7"),
    *("[fd00::1]:443", "[2001:db8::7]", "::ffff:1.2.3.4", "::", "0.0.0.0", "255.255.255.255"),
    *("1.2.3.04", "256.1.1.1", "1.2.3", "unknown", "", "1.2.3.4:", "[::1", "::1%eth0", "1.2.3.4 5"),
    *("2001:DB8:0:0:0:0:0:7", "::1.2.3.4", "1::2:0:0:3", "[1.2.3.4]", "[::1]:123456", "a" * 60),
]
_SEPARATORS = [",", ", ", " , ", ",\t", ",,"]
_TOKENS = [
    "sid",
    "sid",
    "sid",
    "a",
    "b",
    "sid=",
    "=",
    "x" * 200,
    "%41",
    "+",
    "",
    "a%20b",
    "a=b",
    "x.y",
    "theme",
]
_TEXTS = ["alice", "\xc3\xbc", "\xff\xfe", *("x" * size for size in (108, 109, 128, 129, 300))]
_NAMES = ["X-Forwarded-For", "x-forwarded-FOR", "X-Key", "Cookie", "Cookie"]
_CARRIED = [1, 2, 3, 7, 300, 65535]
_TRANSPORTS = ["xhr", "websocket", "xhr_send", "info", "jsonp_sen", ""]


class Placements:
    """Compiled placers beside their policies.

    :param learned: the table of learned ids of the policies, which gets some.
    :ivar own: how many answers were the compiled core's own, by the source of the key.
    :ivar asked: how often it would have asked the policy.
    """

    def __init__(
        self, native: Native, chance: random.Random, learned: SharedIds | None = None
    ) -> None:
        self._native = native
        self._chance = chance
        self._learned = learned
        if learned is not None:
            for chain in CHAINS:
                for source in parse_chain(chain):
                    if source.kind in LEARNS:
                        for number, text in enumerate((*_TOKENS, *_TEXTS, *_HOPS)):
                            value = text.encode("latin-1")
                            key = learned_key(source.kind, source.name, value)
                            learned.learn(key, _CARRIED[number % len(_CARRIED)])
        self._policy: Policy | None = None
        self._placer: Placer | None = None
        self.own: dict[str, int] = {}
        self.asked = 0

    def policies(self) -> list[Policy]:
        """One of each chain, with the rest at random."""
        pick = self._chance.choice
        return [
            Policy.build(
                chain,
                pick(TRUSTED),
                "rendezvous",
                pick(SEEDS),
                pick(SLOTS),
                learned=self._learned,
            )
            for chain in CHAINS
        ]

    def head(self, seed: int) -> bytes:
        """A valid head that has something for some sources.

        :param seed: of the ids in it that carry a slot.
        """
        chance = self._chance
        lines = [f"GET {self._target(seed)} HTTP/1.1", "Host: a"]
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            name = chance.choice(_NAMES)
            value = self._hops() if name.lower().startswith("x-f") else self._value(seed)
            if name == "Cookie":
                pairs = [
                    f"{chance.choice(_TOKENS)}{chance.choice(('=', '=', ' = ', ''))}"
                    f"{self._value(seed)}"
                    for _ in range(chance.randint(0, 3))
                ]
                value = chance.choice(("; ", ";", " ;\t")).join(pairs)
            lines.append(f"{name}: {value}")
        if chance.random() < 0.1:
            lines.append("Forwarded: for=203.0.113.7")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _hops(self) -> str:
        count = self._chance.choice((1, 1, 1, 2, 2, 3, 6))
        return self._chance.choice(_SEPARATORS).join(self._chance.choices(_HOPS, k=count))

    def _value(self, seed: int) -> str:
        chance = self._chance
        if chance.random() < 0.4:
            text = make(chance.choice(_CARRIED), chance.randbytes(12), secret_of(seed))
            if chance.random() < 0.3:
                at = chance.randrange(len(text))
                text = text[:at] + chance.choice("A_-9.\xff") + text[at + 1 :]
            return text
        return chance.choice((*_TOKENS, *_TEXTS))

    def _target(self, seed: int) -> str:
        chance = self._chance
        path = chance.choice(("/", "/a", "/socket.io/", "//", "/?"))
        if chance.random() < 0.3:
            session = self._visible(self._value(seed))
            server = chance.choice(("000", "123", "12", "abcd"))
            path = f"{path}/{server}/{session}/{chance.choice(_TRANSPORTS)}"
        pairs = [
            chance.choice(_TOKENS)
            + chance.choice(("=", "=", ""))
            + self._visible(self._value(seed))
            for _ in range(chance.choice((0, 0, 1, 1, 2, 4)))
        ]
        return path + ("?" + "&".join(pairs) if pairs else "")

    @staticmethod
    def _visible(text: str) -> str:
        return "".join(char for char in text if "!" <= char <= "~" and char != "#")

    def difference(self, policy: Policy, data: bytes, peer: str | None) -> str | None:
        """How the compiled placement differs from the policy's; None if it does not."""
        if policy is not self._policy:
            self._policy, self._placer = policy, placer(policy, self._native)
        head, compiled = read_head(data, Limits()), self._placer
        assert compiled is not None
        got = compiled.place(data, peer)
        if got is None:
            self.asked += 1
            return None
        if not isinstance(head, Head):
            return f"placed {got}, though Python says {head}"
        placement = policy.place(head, peer)
        key = placement.key
        if key is None:
            expected: tuple[int, int, int | None] = 0, 0, None
        else:
            assert placement.slot is not None
            source = [member.text for member in policy.chain].index(key.source)
            digest = policy.table.digest_of(key.text.encode("utf-8", "surrogateescape"))  # type: ignore[union-attr]
            expected = placement.slot, source, None if key.slot is not None else digest
        reason = placement.reason
        self.own[reason] = self.own.get(reason, 0) + 1
        return None if got == expected else f"{got}; Python: {expected}, {key}"
