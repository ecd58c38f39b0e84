"""Documentation made of the option tables.

``python -m stickyd.cli.render options`` prints docs/options.md, ``readme`` the table of the
README, ``man`` the man page; ``--write`` writes all of them into the current directory.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stickyd.cli.command_tables import CHECK, RUN, TABLES
from stickyd.cli.man_page import man_page
from stickyd.cli.option import Group, Option
from stickyd.cli.option_table import DAEMON
from stickyd.cli.parsers import OneOf, OnOff, Seconds, Whole

BEGIN = "<!-- options:begin -->"
END = "<!-- options:end -->"
"""The table stands between these in the README; ``make options`` replaces it."""


def readme() -> str:
    """The table of the README: a line for each option."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    rows += [_row(option, option.help) for option in (*DAEMON, *RUN)]
    return "\n".join(rows) + "\n"


def in_readme(text: str) -> str:
    """The README's text with the table between the two markers replaced.

    :raise ValueError: if a marker is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{readme()}\n{END}{after}"


def reference() -> str:
    """docs/options.md: every option in full."""
    return "\n".join([*_reference(), ""])


def _reference() -> Iterator[str]:
    yield "# Options"
    yield ""
    yield "<!-- Made by `make options` from stickyd/cli/option_table.py. Do not edit. -->"
    yield ""
    yield "`twistd -n stickyd`, `twist stickyd` and `stickyd run` have the same options."
    yield "For an invalid option they print one line on stderr and exit with status 2."
    yield "A variable of the environment replaces the default; the command line overrides it."
    for group in Group:
        members = [option for option in (*DAEMON, *RUN) if option.group is group]
        if members:
            yield from ("", f"## {group.value}")
        for option in members:
            yield from _section(option)
    for command, table in TABLES.items():
        yield from ("", f"## stickyd {command}", "")
        yield "Beside the options of `stickyd run`:" if table is CHECK else "Its own options:"
        yield from ("", "| option | default | meaning |", "|---|---|---|")
        for option in table:
            yield _row(option, ". ".join(filter(None, [option.help, option.details.rstrip(".")])))


def _section(option: Option) -> Iterator[str]:
    yield from ("", f"### {_usage(option)}", "")
    yield f"{_sentence(option.help)}{' ' + option.details if option.details else ''}"
    if facts := list(_facts(option)):
        yield ""
        yield from (f"- {fact}" for fact in facts)


def _facts(option: Option) -> Iterator[str]:
    if option in RUN:
        yield "Of `stickyd run` and `stickyd check`; twistd has its own option of this name"
    if option.shown_default or not option.takes_value:
        yield f"Default: {_code(option.shown_default) or 'off'}"
    if isinstance(option.argument.parse, Whole | Seconds | OneOf | OnOff):
        yield f"Values: {option.argument.parse}"
    if option.default.environment:
        yield f"Environment: `{option.default.environment}`"
    if option.argument.repeatable:
        yield "May be repeated"


def _usage(option: Option) -> str:
    usage = option.usage.replace("|", "\\|")
    short, comma, long = usage.rpartition(", ")
    return f"`{short}`, `{long}`" if comma else f"`{usage}`"


def _row(option: Option, meaning: str) -> str:
    absent = "none" if option.takes_value and not option.argument.implied else "off"
    return f"| {_usage(option)} | {_code(option.shown_default) or absent} | {_cell(meaning)} |"


def _code(text: str) -> str:
    """Literal values in backticks; descriptions as they are."""
    if text.startswith("$"):
        variable, _, rest = text.partition(", else ")
        return f"`{variable}`, else {_code(rest)}"
    return f"`{text}`" if text and (" " not in text or "\\" in text) else text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}.".replace("*", "\\*")


_PAGES: dict[str, Callable[[], str]] = {"options": reference, "readme": readme, "man": man_page}


def write(root: Path) -> None:
    """Write all pages into a working directory of the project."""
    (root / "docs" / "options.md").write_text(reference())
    (root / "man").mkdir(exist_ok=True)
    (root / "man" / "stickyd.1").write_text(man_page())
    page = root / "README.md"
    page.write_text(in_readme(page.read_text()))


def main(arguments: Sequence[str]) -> int:
    """Print a page, or write all of them; the exit status."""
    if list(arguments) == ["--write"]:
        write(Path())
        return 0
    if len(arguments) != 1 or arguments[0] not in _PAGES:
        print(f"usage: python -m stickyd.cli.render {'|'.join(_PAGES)}|--write", file=sys.stderr)
        return 2
    print(_PAGES[arguments[0]](), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
