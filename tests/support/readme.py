"""The README's two commands and what it pipes into the demo.

``python3 -m tests.support.readme`` runs ``make run`` as a new user would, sends the rows to it
and ends it: exit status 1 if an answer is wrong. It needs Python and make, and nothing that is
installed beforehand.
"""

import re
import shlex
import subprocess
import sys
from typing import NamedTuple

from tests.support.daemon import ROOT, SEED, Reader, connected, read_all, workers_in

_COMMAND = re.compile(r"^    cat (.+) \| (nc .+)$", re.MULTILINE)
_ROW = re.compile(r"^\| `([\w ]+)` \| [\d, ]+ \| ([\d, *]+) \| [\d, *]+ \|$", re.MULTILINE)


class Row(NamedTuple):
    """One command of the README.

    :ivar files: of tests/seed, in the order in which they are sent.
    :ivar netcat: the words of the command behind the pipe.
    :ivar workers: which must answer, by the README's table for connection scope.
    """

    files: list[str]
    netcat: list[str]
    workers: list[int]

    def data(self, ending: str = "") -> bytes:
        """What is sent; ``ending`` is that of other files of the same requests (``.crlf``)."""
        return b"".join((SEED / f"{name}{ending}").read_bytes() for name in self.files)


def rows() -> list[Row]:
    """Every row that the README sends.

    :raise KeyError: if its table does not have a row that it sends.
    """
    text = (ROOT / "README.md").read_text()
    table = {names: [int(n) for n in re.findall(r"\d", seen)] for names, seen in _ROW.findall(text)}
    return [Row(f.split(), shlex.split(nc), table[f]) for f, nc in _COMMAND.findall(text)]


def answers(port: int, row: Row, half_close: bool, ending: str = "") -> list[int]:
    """The workers that answer a row.

    Netcats differ in whether they half-close when their input ends, so both must do.
    """
    with connected(port) as sock:
        sock.sendall(row.data(ending))
        if half_close:
            sock.shutdown(1)
            return workers_in(read_all(sock))
        reader = Reader(sock)
        return [reader.response().worker for _ in row.files]


def wrong_answers(port: int) -> list[str]:
    """What is wrong with the answers, a line for each."""
    found = []
    for row in rows():
        for ending in ("", ".crlf"):
            for half_close in (False, True):
                seen = answers(port, row, half_close, ending)
                if seen != row.workers:
                    found.append(f"{' '.join(row.files)}{ending}: workers {seen}")
    return found


def main() -> int:
    """Run from the command line."""
    command = ["make", "run"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                print(line, end="", flush=True)
                if " is ready: " in line:
                    break
            else:
                print("make run ended before the daemon was ready", file=sys.stderr)
                return 1
            wrong = wrong_answers(3000)
        finally:
            running.terminate()
            print(running.stdout.read(), end="")
    print("\n".join(wrong) or "make run: every row of the README is answered as its table says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
