"""The command lines of ``stickyd status`` and ``stickyd top``."""

import os
from typing import ClassVar

from twisted.python import usage

from stickyd.cli.command_tables import STATUS, TOP
from stickyd.cli.option import Option
from stickyd.cli.start.config_file import layer_of_file
from stickyd.cli.start.layers import of_environment
from stickyd.cli.status.source import Source, source_of
from stickyd.cli.table_options import TableOptions, flags, parameters, parsed

_WAYS = ("control", "admin")


class TopOptions(TableOptions):
    """Which daemon.

    :ivar source: where its report is.
    """

    synopsis = "Usage: stickyd top [options]"
    longdesc = (
        "Show the slots of a running daemon, refreshed each second. Keys: q quits, up and down"
        " scroll."
    )
    table: ClassVar[tuple[Option, ...]] = TOP
    optParameters = parameters(TOP)
    optFlags = flags(TOP)

    source: Source

    def postOptions(self) -> None:
        """Find out where the report is.

        The first of command line, environment and file that names an address decides.
        """
        named = [option for option in self.table if option.name in (*_WAYS, "config")]
        try:
            variables = of_environment(named, os.environ)
            if "config" in variables:
                self["config"] = self["config"] or variables["config"].texts[0]
            given = {name: self[name] for name in _WAYS if self[name]}
            if not given:
                for layer in (variables, layer_of_file(self["config"])):
                    found = {name: layer[name] for name in _WAYS if name in layer}
                    if found:
                        given = {name: value.texts[0] for name, value in found.items()}
                        self.labels = {name: value.label for name, value in found.items()}
                        break
            self.source = self._source(given)
        except ValueError as error:
            raise usage.UsageError(str(error)) from None

    def _source(self, given: dict[str, str]) -> Source:
        if not given:
            raise usage.UsageError(
                "which daemon? Give --control PATH or --admin ADDR, with what it was started with"
            )
        # Both lead to the same report; the socket needs no HTTP.
        name = next(name for name in _WAYS if name in given)
        option = next(option for option in self.table if option.name == name)
        label = self.labels.get(name, f"--{name}")
        try:
            return source_of(name, given[name], str(parsed(label, option, given[name])))
        except ValueError as error:
            raise usage.UsageError(f"{label}: {error}") from None


class StatusOptions(TopOptions):
    """Which daemon, and in which form."""

    synopsis = "Usage: stickyd status [options]"
    longdesc = (
        "Print the slots of a running daemon. Exit status: 0 it is ready, 1 it is not ready,"
        " 2 it cannot be reached, or wrong usage."
    )
    table: ClassVar[tuple[Option, ...]] = STATUS
    optParameters = parameters(STATUS)
    optFlags = flags(STATUS)
