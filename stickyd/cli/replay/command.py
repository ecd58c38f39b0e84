"""``stickyd replay LOG``: reads the logs, adds up, prints the report."""

import os
import sys
from collections.abc import Sequence

from twisted.python import usage

from stickyd.cli.explain import shown
from stickyd.cli.progress import progress_bar
from stickyd.cli.replay.log_formats import FORMATS, NAMES, json_entries, recognised
from stickyd.cli.replay.options import ReplayOptions
from stickyd.cli.replay.picture import picture
from stickyd.cli.replay.placing import Placing
from stickyd.cli.replay.reading import LogFile
from stickyd.cli.replay.report import report
from stickyd.cli.replay.tally import Tally

_SAMPLE = 1 << 16
_INTERRUPTED = 130


class _Unreadable(Exception):
    """A log that cannot be read; the text is one line."""


def replay(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    options = ReplayOptions()
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as error:
        return _fails(str(error), 2)
    slots = range(1, options["workers"] + 1)
    tally = Tally(Placing(options.policy()))
    skipped, name = 0, ""
    try:
        for path in options.logs:
            left_out, name = _read(path, options, tally)
            skipped += left_out
        if not tally.total:
            return _fails("no line of the log names a client", 1)
        if options["picture"]:
            with open(options["picture"], "w") as file:
                file.write(picture(tally, slots))
    except (_Unreadable, OSError) as error:
        return _fails(str(error), 1)
    except KeyboardInterrupt:
        return _fails("interrupted", _INTERRUPTED)
    try:
        print("\n".join(report(tally, slots, options["top"], skipped, name)), flush=True)
    except BrokenPipeError:
        # The reader closed the pipe; the flush at exit must not raise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fails(text: str, status: int) -> int:
    sys.stderr.write(f"stickyd replay: {' '.join(text.split())}\n")
    return status


def _read(path: str, options: ReplayOptions, tally: Tally) -> tuple[int, str]:
    """Add a log; the lines left out, and the name of the format."""
    try:
        log = LogFile(path)
    except OSError as error:
        raise _Unreadable(f"{path}: {error.strerror}") from error
    name, skipped = options["format"], 0
    try:
        with progress_bar(shown(os.path.basename(path)), log.size) as advance:
            for block in log.blocks(advance):
                if name == "auto":
                    name = _recognised(path, block)
                lines = block.count(b"\n") + (not block.endswith(b"\n"))
                skipped += lines - _add(tally, name, block, options)
    except (OSError, EOFError) as error:
        raise _Unreadable(f"{path}: {error}") from error
    finally:
        log.close()
    return skipped, name


def _recognised(path: str, block: bytes) -> str:
    end = block.rfind(b"\n", 0, _SAMPLE)
    name = recognised(block[: end if end > 0 else _SAMPLE])
    if not name:
        raise _Unreadable(f"{path}: unknown format; --format says which: {', '.join(NAMES)}")
    return name


def _add(tally: Tally, name: str, block: bytes, options: ReplayOptions) -> int:
    if name != "json":
        return tally.add(FORMATS[name].count(block))
    fields = options["client-field"] or "", options["connection-field"] or ""
    return tally.add_entries(json_entries(block, *fields))
