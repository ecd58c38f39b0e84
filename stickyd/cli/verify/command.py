"""``stickyd verify URL``: sends requests, evaluates the responses, prints a report."""

import os
import sys
from collections.abc import Sequence

from twisted.python import usage

from stickyd.cli.progress import progress_bar
from stickyd.cli.verify.errors import Failure
from stickyd.cli.verify.options import VerifyOptions
from stickyd.cli.verify.report import mix_lines, row_lines
from stickyd.cli.verify.runner import Asker
from stickyd.cli.verify.verdict import Judged, Mix, Status, conclude, judge_rows

_INTERRUPTED = 130


def verify(arguments: Sequence[str]) -> int:
    """Run the command; its exit status, a ``Status`` or 130 if interrupted."""
    options = VerifyOptions()
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as error:
        return _fails(str(error), Status.USAGE)
    try:
        report, status = _verified(options)
    except Failure as failure:
        return _fails(f"{options.url}: {failure}", Status.CANNOT_TELL)
    except KeyboardInterrupt:
        return _fails("interrupted", _INTERRUPTED)
    try:
        print(report, flush=True)
    except BrokenPipeError:
        # The reader closed the pipe; the flush at exit must not raise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _fails(text: str, status: int) -> int:
    sys.stderr.write(f"stickyd verify: {' '.join(text.split())}\n")
    return status


def _verified(options: VerifyOptions) -> tuple[str, int]:
    asker = Asker(options.server, options.question, options.name)
    plain = asker.rows("CRLF")
    bare = asker.rows("LF")
    rows: tuple[Judged, ...] = judge_rows(plain) + judge_rows(bare, reference=plain)
    clients, connections, seed = options["clients"], options["connections"], options["random-seed"]
    requests = options["requests"]
    with progress_bar("random mix", 2 * clients + requests) as told:
        mix: Mix = asker.mix(requests, clients, connections, seed, told)
    status, verdict = conclude(rows, mix)
    lines = [
        f"{options.url} (worker named by {options.name})",
        "",
        *row_lines(rows),
        "",
        *mix_lines(mix, clients, connections, seed),
        f"connections closed by server: {asker.closed}",
        f"verdict: {verdict}",
    ]
    return "\n".join(lines), status
