"""The report as text. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from stickyd.cli.verify.response import shown
from stickyd.cli.verify.statistics import wilson
from stickyd.cli.verify.verdict import Judged, Mix

_HEADINGS = ("row", "expected", "seen", "verdict")
_LISTED = 10


def _names(names: Iterable[str]) -> str:
    return " ".join(map(shown, names)) or "-"


def percent(rate: float) -> str:
    """A rate, 0 to 1, as a table shows it: what is not nothing must not look like nothing."""
    return f"{rate:.4%}" if 0 < rate < 0.001 else f"{rate:.1%}"


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines with columns as wide as their widest cell, the last one ragged."""
    cells = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def row_lines(rows: Iterable[Judged]) -> Iterator[str]:
    """The four rows in both line endings, a line each, under a heading."""
    cells = [_HEADINGS]
    for judged in rows:
        name = f"{judged.row.name} {judged.row.ending}"
        cells.append((name, _names(judged.expected), _names(judged.row.seen), judged.verdict))
    return table(cells)


def mix_lines(mix: Mix, clients: int, connections: int, seed: int) -> Iterator[str]:
    """What the random mix measured."""
    yield (
        f"random mix: {mix.asked} requests of {clients} clients over {connections} connections"
        f" (random seed {seed})"
    )
    yield from ("  " + line for line in table(_mix_rows(mix)))


def _mix_rows(mix: Mix) -> Iterator[tuple[str, str]]:
    listed = sorted(mix.seen.items(), key=lambda item: (-item[1], item[0]))
    workers = ", ".join(f"{shown(name)} ({count} answers)" for name, count in listed[:_LISTED])
    if len(listed) > _LISTED:
        workers += f" and {len(listed) - _LISTED} more"
    yield "workers seen", workers or "-"
    yield "clients with two homes", f"{mix.unstable} of {len(mix.homes)}"
    if mix.asked:
        low, high = wilson(mix.misrouted, mix.asked)
        yield (
            "misrouted",
            f"{mix.misrouted} of {mix.asked} = {percent(mix.misrouted / mix.asked)}"
            f" (95 % confidence: {percent(low)} to {percent(high)})",
        )
        yield (
            "put to the test",
            f"{mix.tested} followed another home's client on a kept-alive connection",
        )
    if mix.problem:
        yield "ended early", mix.problem
