"""The description of one command-line option: name, default, meaning. Pure."""

import enum
from operator import attrgetter

import attrs

from stickyd.cli.parsers import Parser, any_text
from stickyd.settings import Settings

_DEFAULTS = Settings()


class Group(enum.Enum):
    """The sections of the help, in order."""

    APP = "App"
    LISTENING = "Listening"
    AFFINITY = "Affinity"
    LIMITS = "Limits"
    LIFECYCLE = "Life of workers"
    LOGGING = "Logging"
    DEVELOPMENT = "Development"
    COMMAND = "Options"


@attrs.frozen
class Option:
    """One option.

    :ivar help: the meaning in one line, without the default.
    :ivar metavar: placeholder of the value; "" for a flag.
    :ivar field: path of the value in `stickyd.settings.Settings`, "" if it is not there.
    :ivar default: text of the default; "" to take it from ``field``.
    :ivar computed: description of a default that is computed at start.
    :ivar environment: variable that replaces the default.
    :ivar implied: value of an option that is given without one.
    :ivar details: what else the reference says, in Markdown.
    """

    name: str
    group: Group
    help: str
    metavar: str = ""
    parse: Parser = any_text
    field: str = ""
    default: str = ""
    computed: str = ""
    environment: str = ""
    short: str = ""
    implied: str = ""
    repeatable: bool = False
    details: str = ""

    @property
    def usage(self) -> str:
        """The option as help shows it: ``-w, --workers N``."""
        value = f" [{self.metavar}]" if self.implied else f" {self.metavar}" if self.metavar else ""
        return f"{f'-{self.short}, ' if self.short else ''}--{self.name}{value}"

    @property
    def default_text(self) -> str:
        """The text that is parsed if neither command line nor environment give one; or ""."""
        if self.default or self.computed or not self.field or not self.metavar:
            return self.default
        value: object = attrgetter(self.field)(_DEFAULTS)
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{value:g}" if isinstance(value, float) else str(value)

    @property
    def shown_default(self) -> str:
        """The default as documentation shows it; "" if the option is off or has none."""
        value = self.computed or self.default_text
        if not self.environment:
            return value
        return f"${self.environment}, else {value}"

    @property
    def help_line(self) -> str:
        """Meaning and default."""
        shown = f" [default: {self.shown_default}]" if self.shown_default else ""
        again = "; may be repeated" if self.repeatable else ""
        return f"{self.help}{again}{shown}"
