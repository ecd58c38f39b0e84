"""Say which slot serves a key, and why, without a server."""

from collections.abc import Iterator
from typing import Any

from twisted.python import usage

from stickyd.options import read_seed
from stickyd.routing.address import canonical, without_port
from stickyd.routing.policy import HASHES
from stickyd.routing.selection import SlotTable


class ExplainOptions(usage.Options):
    """What to explain."""

    synopsis = "KEY… [--workers N] [--seed INT|@FILE] [--hash rendezvous|sticky-session]"

    optParameters = [
        ["workers", "w", "2", "number of slots"],
        ["seed", None, None, "as for the daemon [default: $STICKYD_SEED, else 1]"],
        ["hash", None, "rendezvous", "rendezvous or sticky-session"],
    ]

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but keys and options may stand in any order."""
        arguments = list(options or [])
        names = {"--workers", "-w", "--seed", "--hash"}
        flags: list[str] = []
        keys: list[str] = []
        while arguments:
            argument = arguments.pop(0)
            if argument in names and arguments:
                flags += [argument, arguments.pop(0)]
            elif argument.startswith("-"):
                flags.append(argument)
            else:
                keys.append(argument)
        super().parseOptions([*flags, *keys])

    def parseArgs(self, *keys: str) -> None:
        """The keys."""
        self["keys"] = keys

    def postOptions(self) -> None:
        """Check before anything is printed."""
        if not self["keys"]:
            raise usage.UsageError("which key? For example: stickyd explain 10.10.10.10")
        if self["hash"] not in HASHES:
            raise usage.UsageError(f"--hash: {self['hash']!r} is none of {', '.join(HASHES)}")
        try:
            self["workers"] = int(self["workers"])
            self["seed"] = read_seed(self["seed"])
        except ValueError as error:
            raise usage.UsageError(str(error)) from None
        if not 1 <= self["workers"] <= 512:
            raise usage.UsageError("--workers is not within 1 to 512")


def explain(options: ExplainOptions) -> Iterator[str]:
    """The explanation, line by line."""
    table = HASHES[options["hash"]](options["seed"], range(1, options["workers"] + 1))
    for text in options["keys"]:
        host = canonical(without_port(text))
        key = host if host is not None else text
        data = key.encode("utf-8", "surrogateescape")
        yield f"{text}: worker {table.slot_of(data)}"
        what = "client address" if host is not None else "text"
        yield f"  key     {key} ({what})"
        if isinstance(table, SlotTable):
            bucket = table.bucket_of(data)
            yield f"  bucket  {bucket} of 65536: the first 2 bytes of the key's hash"
            yield "  order   slots by weight in this bucket, the first one serves:"
            for slot in table.order(bucket):
                yield f"          worker {slot}: {table.weight(bucket, slot):016x}"
        else:
            number = table.hash_of(data)
            yield f"  hash    {number}, modulo {len(table.slots)} = {number % len(table.slots)}"
