"""``stickyd explain``: which slot serves a key or a request, and why; without a server."""

import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, ClassVar

from twisted.python import usage

from stickyd.cli.arguments import options_first
from stickyd.cli.command_tables import EXPLAIN
from stickyd.cli.option import Option
from stickyd.cli.table_options import TableOptions, as_options, flags, parameters
from stickyd.cli.validators import check_balance
from stickyd.http1.cookie_header import cookies
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.net.address import canonical, without_port
from stickyd.routing.client_address import true_client
from stickyd.routing.issued_ids import INSERT, LEARN_COOKIE, LEARN_HEADER
from stickyd.routing.policy import Policy
from stickyd.routing.rendezvous import SlotTable, Table
from stickyd.routing.signed_keys import secret_of, slot_in
from stickyd.routing.source import Asked, ByLoad, Source
from stickyd.routing.trusted_peers import UNIX, Missing


class Refused(Exception):
    """The request is refused before it has a key; the text is one line with status and reason."""


class ExplainOptions(TableOptions):
    """What to explain."""

    synopsis = "Usage: stickyd explain [options] KEY… | --request < REQUEST"
    longdesc = "Print which slot serves a key or a request, and why. Needs no server."
    table: ClassVar[tuple[Option, ...]] = EXPLAIN

    optParameters = parameters(EXPLAIN)
    optFlags = flags(EXPLAIN)

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but keys and options may stand in any order; ``--`` ends options."""
        with_value = {"-w", *(f"--{option.name}" for option in EXPLAIN if option.takes_value)}
        super().parseOptions(options_first(as_options(options), with_value, "--request"))

    def parseArgs(self, *keys: str) -> None:
        """The keys."""
        self["keys"] = keys

    def postOptions(self) -> None:
        """Check everything before anything is printed."""
        if self["request"] and self["keys"]:
            raise usage.UsageError("a request contains its key: give no KEY with --request")
        if not self["request"] and not self["keys"]:
            raise usage.UsageError("which key? For example: stickyd explain 10.10.10.10")
        for option in EXPLAIN:
            if option.takes_value:
                self[option.name] = self.value(option)
        check_balance(self["hash-balance-factor"], self["hash"])
        peer = None if self["peer"] == UNIX else canonical(without_port(self["peer"]))
        if peer is None and self["peer"] != UNIX:
            raise usage.UsageError(f"--peer: {self['peer']!a} is neither an IP address nor unix")
        self["peer"] = peer

    def policy(self) -> Policy:
        """The policy of a daemon with these options."""
        slots = range(1, self["workers"] + 1)
        trusted = self["forwarded-allow-ips"]
        return Policy.build(self["affinity"], trusted, self["hash"], self["seed"], slots)


def explain(options: ExplainOptions) -> Iterator[str]:
    """The explanation, line by line.

    :raise Refused: for a request on standard input that a daemon would refuse.
    """
    policy = options.policy()
    if options["request"]:
        data = sys.stdin.buffer.read()
        yield from explain_request(policy, data, options["peer"], options["hash-balance-factor"])
        return
    for text in options["keys"]:
        host = canonical(without_port(text))
        key = host if host is not None else text
        slot = slot_in(key, secret_of(policy.table.seed))
        if slot not in policy.table.slots:
            slot = None
        yield from _placed(policy.table, text, key, slot, options["hash-balance-factor"])


def explain_request(
    policy: Policy, data: bytes, peer: str | None, percent: int = 0
) -> Iterator[str]:
    """Source by source, which key a raw request has, then the slot of the key.

    :param percent: the load bound, 0 for none.
    :raise Refused: if ``data`` is not a complete, valid request head.
    """
    if not data:
        raise Refused("no response: a connection without data is closed")
    head = read_head(data, Limits())
    if head is None:
        head = Refusal(408, "the head does not end: an empty line is missing")
    if isinstance(head, Refusal):
        raise Refused(f"{head.status} {HTTPStatus(head.status).phrase}: {head.why}")
    yield f"request {shown(head.method.decode())} {shown(head.target.decode())}"
    trusted = "trusted" if peer in policy.trusted else "not trusted"
    yield f"peer    {peer or 'a Unix socket'} ({trusted})"
    client = true_client(head, peer, policy.trusted, policy.forwarded_first)
    yield f"client  {client[0] if client else 'the peer'}, for the app"
    yield from _sources(policy, head, peer, percent)
    yield from _cookie(policy, head, peer)


def _sources(policy: Policy, head: Head, peer: str | None, percent: int) -> Iterator[str]:
    asked = Asked(head, peer, policy.trusted, policy.table)
    width = max(len(source.text) for source in policy.chain)
    for source in policy.chain:
        found = source.look(asked)
        if isinstance(found, Missing):
            more = "; only a running daemon knows" if _may_be_learned(source, head) else ""
            yield f"source  {source.text:{width}}  no key: {shown(found.why)}{more}"
            continue
        if isinstance(found, ByLoad):
            yield f"source  {source.text:{width}}  the least loaded worker, equal ones in turn"
            return
        yield f"source  {source.text:{width}}  {shown(found.text)}"
        yield from _placed(policy.table, shown(found.text), found.text, found.slot, percent)
        return
    yield "no source gives a key: any worker will do, they take turns"


def _cookie(policy: Policy, head: Head, peer: str | None) -> Iterator[str]:
    """Whether the answer sets the cookie of ``insert``."""
    for source in policy.chain:
        if source.kind == INSERT:
            asked = Asked(head, peer, policy.trusted, policy.table)
            if isinstance(source.look(asked), Missing):
                yield f"answer  sets the cookie {source.name}, which names the worker that served"


def _may_be_learned(source: Source, head: Head) -> bool:
    """Whether the table of a daemon could have what this source was asked for."""
    name = source.name.encode("ascii", "replace")
    if source.kind == LEARN_COOKIE:
        return any(cookies(head, name))
    return source.kind == LEARN_HEADER and any(head.values(name.lower()))


def shown(text: str) -> str:
    """A client's text with unprintable characters escaped, for a terminal."""
    return text if text.isprintable() else ascii(text)


def _placed(table: Table, text: str, key: str, named: int | None, percent: int) -> Iterator[str]:
    """Why ``key`` maps to its slot; ``named`` is the slot that the key itself names."""
    data = key.encode("utf-8", "surrogateescape")
    yield f"{text}: worker {named or table.slot_of(data)}"
    what = "client address" if canonical(key) is not None else "text"
    if named is not None:
        yield f"  key     {shown(key)} (made by a worker, see docs/keys.md)"
        yield f"  slot    {named}: the key carries it, with a valid tag; nothing is hashed"
        return
    yield f"  key     {shown(key)} ({what})"
    if isinstance(table, SlotTable):
        bucket = table.bucket_of(data)
        yield f"  bucket  {bucket} of 65536: the first 2 bytes of the key's hash"
        yield "  order   slots by weight in this bucket, the first one serves:"
        for slot in table.order(bucket):
            yield f"          worker {slot}: {table.weight(bucket, slot):016x}"
        if percent:
            yield f"  bound   {percent} % of the average load: this is the first choice. A new key"
            yield "          goes to the first of the order below the bound, and stays there"
    else:
        number = table.hash_of(data)
        yield f"  hash    {number}, modulo {len(table.slots)} = {number % len(table.slots)}"
