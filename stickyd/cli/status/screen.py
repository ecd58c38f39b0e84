"""Lines on a terminal, by rich: it knows the terminal's colours, and NO_COLOR."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from stickyd.cli.status.layout import Line, cut

STYLES = {
    # Legible on light and on dark backgrounds: no yellow, no cyan, nothing bright or dim.
    "name": "bold",
    "head": "bold underline",
    "good": "bold green",
    "busy": "magenta",
    "bad": "bold red",
}


def text_of(lines: Iterable[Line], width: int) -> Text:
    """The lines, each cut at ``width``."""
    text = Text(no_wrap=True, end="")
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        for segment in cut(line, width):
            text.append(segment.text, STYLES.get(segment.style, ""))
    return text


def console() -> Console:
    """A console on standard output that interprets nothing in texts."""
    return Console(highlight=False, markup=False, emoji=False)


def show(lines: Iterable[Line]) -> None:
    """Print the lines to standard output, a terminal."""
    target = console()
    target.print(text_of(lines, target.width), no_wrap=True, crop=False)
