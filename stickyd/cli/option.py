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
    TLS = "TLS"
    AFFINITY = "Affinity"
    LIMITS = "Limits"
    LIFECYCLE = "Life of workers"
    LOGGING = "Logging"
    CONFIGURATION = "Configuration"
    DEVELOPMENT = "Development"
    COMMAND = "Options"


@attrs.frozen
class Argument:
    """The value that an option takes.

    :ivar metavar: its placeholder in help; "" for a flag, which takes none.
    :ivar implied: the value of an option that is given without one; "" if it must have one.
    """

    metavar: str = ""
    parse: Parser = any_text
    implied: str = ""
    repeatable: bool = False


@attrs.frozen
class Default:
    """The value of an option that is not given.

    :ivar text: as on the command line; "" for the default of the setting.
    :ivar computed: description of a default that is computed at start.
    :ivar environment: variable that replaces the default.
    """

    text: str = ""
    computed: str = ""
    environment: str = ""


@attrs.frozen
class Option:
    """One option.

    :ivar help: the meaning in one line, without the default.
    :ivar field: path of the value in `stickyd.settings.Settings`, "" if it is not there.
    :ivar details: what else the reference says, in Markdown.
    """

    name: str
    group: Group
    help: str
    argument: Argument = Argument()
    field: str = ""
    default: Default = Default()
    short: str = ""
    details: str = ""

    @property
    def takes_value(self) -> bool:
        """Whether it is not a flag."""
        return bool(self.argument.metavar)

    @property
    def usage(self) -> str:
        """The option as help shows it: ``-w, --workers N``."""
        value = (
            f" [{self.argument.metavar}]"
            if self.argument.implied
            else f" {self.argument.metavar}"
            if self.argument.metavar
            else ""
        )
        return f"{f'-{self.short}, ' if self.short else ''}--{self.name}{value}"

    @property
    def default_text(self) -> str:
        """The text that is parsed if neither command line nor environment give one; or ""."""
        if (
            self.default.text
            or self.default.computed
            or not self.field
            or not self.argument.metavar
        ):
            return self.default.text
        value: object = attrgetter(self.field)(_DEFAULTS)
        if isinstance(value, tuple):
            return ""
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{value:g}" if isinstance(value, float) else str(value)

    @property
    def shown_default(self) -> str:
        """The default as documentation shows it; "" if the option is off or has none."""
        value = self.default.computed or self.default_text
        if not self.default.environment:
            return value
        return f"${self.default.environment}, else {value}"

    @property
    def help_line(self) -> str:
        """Meaning and default."""
        shown = f" [default: {self.shown_default}]" if self.shown_default else ""
        again = "; may be repeated" if self.argument.repeatable else ""
        return f"{self.help}{again}{shown}"
