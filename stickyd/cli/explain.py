"""Say which slot serves a key or a request, and why, without a server."""

import os
import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from twisted.python import usage

from stickyd.cli.validators import read_factor, read_seed
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.net.address import canonical, without_port
from stickyd.routing.affinity import AffinityError, Asked, parse_chain
from stickyd.routing.client_address import true_client
from stickyd.routing.policy import HASHES, Policy
from stickyd.routing.rendezvous import SlotTable, Table
from stickyd.routing.signed_keys import secret_of, slot_in
from stickyd.routing.trusted_peers import (
    UNIX,
    Missing,
    TrustedPeers,
    TrustError,
)
from stickyd.settings import RoutingSettings


class Refused(Exception):
    """The request is refused before it has a key; the text is one line with status and reason."""


class ExplainOptions(usage.Options):
    """What to explain."""

    synopsis = (
        "Usage: stickyd explain KEY… | --request < REQUEST\n"
        "  [--workers N] [--seed INT|@FILE] [--hash rendezvous|sticky-session]\n"
        "  [--hash-balance-factor PERCENT]\n"
        "  [--affinity SPEC] [--peer ADDR] [--forwarded-allow-ips LIST]"
    )

    optParameters: list[list[str | None]] = [
        ["workers", "w", "2", "number of slots"],
        ["seed", None, None, "as for the daemon [default: $STICKYD_SEED, else 1]"],
        ["hash", None, "rendezvous", "rendezvous or sticky-session"],
        ["hash-balance-factor", None, "0", "as for the daemon"],
        ["affinity", None, RoutingSettings().affinity, "sources of the affinity key, in order"],
        ["peer", None, "127.0.0.1", "address the request comes from, or unix"],
        ["forwarded-allow-ips", None, None, "as for the daemon"],
    ]
    optFlags = [["request", None, "read a request from standard input (the same: - as KEY)"]]

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but keys and options may stand in any order; ``--`` ends options."""
        arguments = list(options or [])
        names = {"-w", *(f"--{parameter[0]}" for parameter in self.optParameters)}
        flags: list[str] = []
        keys: list[str] = []
        while arguments:
            argument = arguments.pop(0)
            if argument == "--":
                keys += arguments
                break
            if argument in names and arguments:
                flags += [argument, arguments.pop(0)]
            elif argument == "-":
                flags.append("--request")
            elif argument.startswith("-"):
                flags.append(argument)
            else:
                keys.append(argument)
        super().parseOptions([*flags, "--", *keys])

    def parseArgs(self, *keys: str) -> None:
        """The keys."""
        self["keys"] = keys

    def postOptions(self) -> None:
        """Check before anything is printed."""
        if self["request"] and self["keys"]:
            raise usage.UsageError("a request has its key in it: give no KEY with --request")
        if not self["request"] and not self["keys"]:
            raise usage.UsageError("which key? For example: stickyd explain 10.10.10.10")
        if self["hash"] not in HASHES:
            raise usage.UsageError(f"--hash: {self['hash']!r} is none of {', '.join(HASHES)}")
        try:
            self["percent"] = read_factor(self["hash-balance-factor"], self["hash"])
        except ValueError as error:
            raise usage.UsageError(f"--hash-balance-factor: {error}") from None
        trusted = self["forwarded-allow-ips"]
        if trusted is None:
            trusted = os.environ.get("FORWARDED_ALLOW_IPS") or RoutingSettings().trusted
        self["forwarded-allow-ips"] = trusted
        try:
            self["workers"] = int(self["workers"])
            self["seed"] = read_seed(self["seed"])
        except ValueError as error:
            raise usage.UsageError(str(error)) from None
        try:
            parse_chain(self["affinity"])
            TrustedPeers.parse(trusted)
        except AffinityError as error:
            raise usage.UsageError(f"--affinity: {error}") from None
        except TrustError as error:
            raise usage.UsageError(f"--forwarded-allow-ips: {error}") from None
        if not 1 <= self["workers"] <= 512:
            raise usage.UsageError("--workers is not within 1 to 512")
        peer = None if self["peer"] == UNIX else canonical(without_port(self["peer"]))
        if peer is None and self["peer"] != UNIX:
            raise usage.UsageError(f"--peer: {self['peer']!r} is neither an IP address nor unix")
        self["peer"] = peer

    def policy(self) -> Policy:
        """The decision of a daemon with these options."""
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
        yield from explain_request(policy, data, options["peer"], options["percent"])
        return
    for text in options["keys"]:
        host = canonical(without_port(text))
        key = host if host is not None else text
        slot = slot_in(key, secret_of(policy.table.seed))
        if slot not in policy.table.slots:
            slot = None
        yield from _placed(policy.table, text, key, slot, options["percent"])


def explain_request(
    policy: Policy, data: bytes, peer: str | None, percent: int = 0
) -> Iterator[str]:
    """Source by source, which key a raw request has, then where that leads.

    :param percent: the load bound, 0 for none.
    :raise Refused: if it has none because it is no whole request head.
    """
    if not data:
        raise Refused("no answer: a connection on which nothing comes is closed in silence")
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


def _sources(policy: Policy, head: Head, peer: str | None, percent: int) -> Iterator[str]:
    asked = Asked(head, peer, policy.trusted, policy.table)
    width = max(len(source.text) for source in policy.chain)
    for source in policy.chain:
        found = source.look(asked)
        if isinstance(found, Missing):
            yield f"source  {source.text:{width}}  no key: {shown(found.why)}"
            continue
        yield f"source  {source.text:{width}}  {shown(found.text)}"
        yield from _placed(policy.table, shown(found.text), found.text, found.slot, percent)
        return
    yield "no source gives a key: any worker will do, they take turns"


def shown(text: str) -> str:
    """A client's text, with what a terminal should not get to see escaped."""
    return text if text.isprintable() else ascii(text)


def _placed(table: Table, text: str, key: str, named: int | None, percent: int) -> Iterator[str]:
    """Why ``key`` leads to its slot; ``named`` is the slot it carries, if it does."""
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
