"""The options of the daemon, for twistd, twist and ``stickyd run`` alike."""

import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from twisted.python import usage

from stickyd import __version__
from stickyd.cli import app_options, validators
from stickyd.cli.option import Option
from stickyd.cli.option_table import BY_NAME, DAEMON
from stickyd.cli.pidfile import accepts_connections, remove_stale_once
from stickyd.cli.table_options import TableOptions, flags, parameters
from stickyd.settings import Json, Settings

# Read together with others: see `Options._settings`.
_APART = frozenset({"class", "wsgi", "asgi", "path", "reload", "reload-dir"})
_IMPLYING = {f"--{o.name}": o.argument.implied for o in DAEMON if o.argument.implied}


class Options(TableOptions):
    """The options of the daemon.

    Once parsed, ``settings`` and ``arguments`` are what the service is made from.
    """

    synopsis = "[options]"
    longdesc = "Keep every client with its own worker process."
    table: ClassVar[tuple[Option, ...]] = DAEMON

    optParameters = parameters(DAEMON)
    optFlags = flags(DAEMON)

    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["reload-dir"] = []
        self["worker-header"] = self["request-id"] = None
        self.arguments: list[str] = []

    def parseArgs(self, *others: str) -> None:
        """Refuse positional arguments."""
        if others:
            raise usage.UsageError(
                f"{others[0]!a} is no option: name the app with --asgi, --wsgi or --class"
            )

    def opt_listen(self, description: str) -> None:
        """See the option table."""
        self["listen"].append(description)

    def opt_reload_dir(self, directory: str) -> None:
        """See the option table."""
        self["reload-dir"].append(directory)

    def opt_worker_header(self, name: str) -> None:
        """See the option table."""
        self["worker-header"] = name

    def opt_request_id(self, name: str) -> None:
        """See the option table."""
        self["request-id"] = name

    def opt_version(self) -> None:
        """Print the version, and whether the compiled core is in use; exit."""
        from stickyd.core.native import CORE

        print(f"stickyd {__version__} ({CORE})")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but an error is one line on stderr and exit status 2."""
        self.arguments = list(sys.argv[1:] if options is None else options)
        try:
            super().parseOptions(_with_implied_values(self.arguments))
        except usage.UsageError as error:
            sys.stderr.write(f"stickyd: {error}\n")
            raise SystemExit(2) from None

    def postOptions(self) -> None:
        """Check everything before a port is bound or a process spawned."""
        validators.check_twistd_log(self.parent, self["log-format"])
        self["listen"] = self["listen"] or [BY_NAME["listen"].default.text]
        for description in self["listen"]:
            validators.check_endpoint(description)
        self.settings = self._settings()
        if self.settings.log.admin:
            validators.check_endpoint(self.settings.log.admin, "--admin")
        # twistd reads the file of --pidfile after this; twist and `stickyd run` have none.
        file = self.parent.get("pidfile") if self.parent is not None else None
        remove_stale_once(file or "", lambda: accepts_connections(self["listen"], self["control"]))

    def _settings(self) -> Settings:
        values: dict[str, Json] = app_options.chosen_app(self)
        for option in DAEMON:
            if option.field and option.name not in _APART:
                values[option.field] = (
                    self.value(option) if option.takes_value else self[option.name]
                )
        return Settings.from_paths(validators.checked_together(values))


def _with_implied_values(arguments: Sequence[str]) -> list[str]:
    """Options whose value may be left out, which getopt(3) cannot express, with their values."""
    result = list(arguments)
    for at, argument in enumerate(result):
        follows = result[at + 1] if at + 1 < len(result) else "-"
        if argument in _IMPLYING and follows.startswith("-"):
            result[at] = f"{argument}={_IMPLYING[argument]}"
    return result
