"""stickyd(1) in the man macros of roff (man(7)), made of the option tables. Pure."""

import re
from collections.abc import Iterable, Iterator

from stickyd import __version__
from stickyd.cli.command_tables import COMMANDS, RUN, TABLES
from stickyd.cli.option import Group, Option
from stickyd.cli.option_table import DAEMON

_ARGUMENTS = {
    "completion": "bash|zsh|fish",
    "explain": "[options] KEY...",
    "replay": "[options] LOG...",
    "verify": "URL [options]",
}
_SIGNALS = {
    "TERM": "Stop: requests in progress are finished within --graceful-timeout.",
    "INT": "Stop within one second.",
    "HUP": "Load the app anew in new workers; no connection is closed.",
    "USR1": "Reopen the access log.",
    "USR2": "Replace the program of the master in place.",
    "TTIN": "Add a slot.",
    "TTOU": "Remove a slot.",
}
_STATUSES = {
    "0": "The daemon was stopped; the options are right; every request reached its own worker;"
    " the daemon is ready (status).",
    "1": "The daemon cannot start; the app does not load; a request reached another worker;"
    " the daemon is not ready (status).",
    "2": "An option is invalid; the daemon cannot be reached (status, top).",
    "3": "verify: inconclusive.",
}


def man_page() -> str:
    """The source of the page."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    yield '.\\" Made by "make options" from stickyd/cli/option_table.py. Do not edit.'
    yield f'.TH STICKYD 1 "" "stickyd {__version__}" "User Commands"'
    yield ".SH NAME"
    yield "stickyd \\- HTTP server that keeps each client with its own worker process"
    yield ".SH SYNOPSIS"
    for number, command in enumerate(COMMANDS):
        if number:
            yield ".br"
        yield f".B stickyd {command}"
        yield _ARGUMENTS.get(command, "[options]")
    yield from (".br", ".B twistd \\-n stickyd", "[options]")
    yield ".SH DESCRIPTION"
    yield _text(
        "A master process accepts connections, reads the request head, derives an affinity key and"
        " passes the connection to the worker process that serves this key."
        " The workers run a twisted.web, WSGI or ASGI app."
    )
    yield ".SH COMMANDS"
    for command, meaning in COMMANDS.items():
        yield from (".TP", f".B {command}", _text(meaning))
    yield ".SH OPTIONS"
    for group in Group:
        members = [option for option in (*DAEMON, *RUN) if option.group is group]
        if members:
            yield f'.SS "{group.value}"'
            yield from _entries(members)
    for command, table in TABLES.items():
        yield f'.SS "Options of stickyd {command}"'
        yield from _entries(table)
    yield ".SH ENVIRONMENT"
    for option in DAEMON:
        if option.default.environment:
            meaning = f"Default of --{option.name}."
            yield from (".TP", f".B {_text(option.default.environment)}", _text(meaning))
    yield from _definitions("SIGNALS", _SIGNALS)
    yield from _definitions("EXIT STATUS", _STATUSES)
    yield ".SH SEE ALSO"
    yield _text("twistd(1), systemd.socket(5)")


def _definitions(title: str, entries: dict[str, str]) -> Iterator[str]:
    yield f'.SH "{title}"'
    for name, meaning in entries.items():
        yield from (".TP", f".B {name}", _text(meaning))


def _entries(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        yield ".TP"
        yield f".B {_text(option.usage)}"
        yield _text(option.help_line)
        if details := _plain(option.details):
            yield ".br"
            yield _text(details)


def _plain(markdown: str) -> str:
    """Markdown without code marks and without references to other pages."""
    without = re.sub(r"\s*See \[[^\]]*\]\([^)]*\)\.", "", markdown)
    return re.sub(r"`([^`]*)`", r"\1", without).strip()


def _text(text: str) -> str:
    """Text with what roff would interpret escaped."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
