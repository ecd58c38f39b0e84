"""``stickyd status``: prints the figures once."""

import json
import shutil
import sys
from collections.abc import Sequence

from twisted.python import usage

from stickyd.cli.status.figures import Figures, NotOurs, read
from stickyd.cli.status.layout import plain
from stickyd.cli.status.options import StatusOptions
from stickyd.cli.status.source import Source, Unreachable
from stickyd.cli.status.tables import status_lines

READY, NOT_READY, UNREACHABLE = 0, 1, 2
_INTERRUPTED = 130


def status(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    options = StatusOptions()
    try:
        options.parseOptions(list(arguments))
        report, figures = asked(options.source)
    except (usage.UsageError, Unreachable) as error:
        return fails("status", str(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    if options["json"]:
        print(json.dumps(report, indent=1))
    elif sys.stdout.isatty():
        # Here: in pipes, and in health checks, it is not loaded.
        from stickyd.cli.status.screen import show

        show(status_lines(figures, shutil.get_terminal_size().columns))
    else:
        print("\n".join(plain(line) for line in status_lines(figures, None)))
    return READY if figures.ready else NOT_READY


def asked(source: Source) -> tuple[object, Figures]:
    """The report, and its figures.

    :raise Unreachable: if there is no report.
    """
    report = source.fetch()
    try:
        return report, read(report)
    except NotOurs as error:
        raise source.not_ours(str(error)) from None


def fails(command: str, text: str) -> int:
    """Print an error; the exit status."""
    sys.stderr.write(f"stickyd {command}: {' '.join(text.split())}\n")
    return UNREACHABLE
