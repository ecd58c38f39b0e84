"""Twisted's command-line parser (`usage.Options`) over our option tables."""

import os
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from twisted.python import usage

from stickyd import __version__
from stickyd.cli.option import Group, Option
from stickyd.cli.parsers import Value

_INDENT = 6
_WIDEST = 100


def parameters(options: Iterable[Option]) -> list[list[str | None]]:
    """The ``optParameters`` of options that take a value; others have methods."""
    return [
        [option.name, option.short or None, None, option.help_line]
        for option in options
        if option.takes_value and not option.argument.repeatable and not option.argument.implied
    ]


def flags(options: Iterable[Option]) -> list[list[str | None]]:
    """The ``optFlags`` of options that take no value."""
    return [[option.name, None, option.help_line] for option in options if not option.takes_value]


class TableOptions(usage.Options):
    """Options with grouped help; what is not given is None."""

    table: ClassVar[tuple[Option, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.labels: dict[str, str] = {}
        """Where the values of options are from that are not on the command line."""

    def parseOptions(self, options: Any = None) -> None:
        """Parse ``options``, by default those of the process.

        :raise usage.UsageError: with one line that says what to change.
        """
        super().parseOptions(options)

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"stickyd {__version__}")
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """The help below the synopsis, at most ``width`` columns wide."""
        columns = min(width or int(os.environ.get("COLUMNS", "80")), _WIDEST)
        lines = list(_help(self.table, max(columns, 40)))
        if description := getattr(self, "longdesc", ""):
            lines = ["", *textwrap.wrap(description, columns), *lines]
        return "\n".join([*lines, ""])

    def value(self, option: Option) -> Value | None:
        """The parsed value: given, from the environment, or the default; None without any.

        :raise usage.UsageError: with one line that names the option or the variable.
        """
        label, text = self.labels.get(option.name, f"--{option.name}"), self[option.name]
        if (
            text is None
            and option.default.environment
            and os.environ.get(option.default.environment)
        ):
            label, text = f"${option.default.environment}", os.environ[option.default.environment]
        if text is None:
            text = option.default_text or None
        if text is None:
            return None
        return parsed(label, option, text)


def parsed(label: str, option: Option, text: str) -> Value:
    """The value of ``text``.

    :raise usage.UsageError: with one line that begins with ``label``.
    """
    try:
        return option.argument.parse(text)
    except ValueError as error:
        raise usage.UsageError(f"{label}: {error}") from None


def as_options(arguments: Any) -> list[str]:
    """What ``parseOptions`` is given, as a list."""
    return [str(argument) for argument in arguments or []]


def _help(table: Iterable[Option], width: int) -> Iterator[str]:
    options = tuple(table)
    for group in Group:
        members = [option for option in options if option.group is group]
        if members:
            yield from ("", f"{group.value}:")
        for option in members:
            yield from _entry(option.usage, option.help_line, width)
    yield from ("", "Help:")
    yield from _entry("--version", "print the version and exit", width)
    yield from _entry("--help", "print this help and exit", width)


def _entry(usage_of_option: str, meaning: str, width: int) -> Iterator[str]:
    yield f"  {usage_of_option}"
    indent = " " * _INDENT
    # No line ends in "[default:".
    for line in textwrap.wrap(
        meaning.replace("[default: ", "[default:\0"),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    ):
        yield line.replace("\0", " ")
