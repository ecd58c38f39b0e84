"""The command line of ``stickyd replay``."""

from typing import Any, ClassVar

from twisted.python import usage

from stickyd.cli.arguments import options_first
from stickyd.cli.command_tables import REPLAY
from stickyd.cli.option import Option
from stickyd.cli.table_options import TableOptions, as_options, parameters
from stickyd.routing.policy import Policy


class ReplayOptions(TableOptions):
    """Which logs, and the daemon they are placed by.

    :ivar logs: paths; ``-`` is standard input.
    """

    synopsis = "Usage: stickyd replay [options] LOG…"
    longdesc = (
        "Place the clients of access logs: how even the slots are, which clients are hot, what"
        " another number of slots would move. Needs no server."
    )
    table: ClassVar[tuple[Option, ...]] = REPLAY

    optParameters = parameters(REPLAY)

    logs: tuple[str, ...] = ()

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but logs and options may stand in any order; ``--`` ends options."""
        with_value = {"-w", *(f"--{option.name}" for option in REPLAY)}
        super().parseOptions(options_first(as_options(options), with_value))

    def parseArgs(self, *logs: str) -> None:
        """The logs."""
        self.logs = logs

    def postOptions(self) -> None:
        """Check everything before a file is opened."""
        if not self.logs:
            raise usage.UsageError("which log? For example: stickyd replay access.log")
        for option in REPLAY:
            self[option.name] = self.value(option)
        picture = self["picture"]
        if picture and not picture.endswith(".svg"):
            raise usage.UsageError(f"--picture: {picture!a} does not end in .svg")

    def policy(self) -> Policy:
        """The policy of a daemon with these options."""
        slots = range(1, self["workers"] + 1)
        trusted = self["forwarded-allow-ips"]
        return Policy.build("xff,src", trusted, self["hash"], self["seed"], slots)
