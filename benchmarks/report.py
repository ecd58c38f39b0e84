"""Tables of results, for a terminal and for docs/benchmarks.md. No I/O."""

from collections.abc import Sequence

from benchmarks.perf import Profile
from benchmarks.result import QUANTITIES, Result, Verdict, middle, ratio

BEGIN = "<!-- results: written by make bench -->"
END = "<!-- end of results -->"
PICTURES = """<picture>
  <source media="(prefers-color-scheme: dark)" srcset="benchmarks-dark.svg">
  <img alt="CPU time per request by workload, compared with nginx" src="benchmarks-light.svg">
</picture>"""

PROFILE = """Samples of all processes of stickyd while the load runs
(`python -m benchmarks.profile`). Kernel time is named by its system call; what the kernel does for
no system call (interrupts, packets that others send, page faults) is a row of its own. CPU µs: the
share of what a request costs in the same run. Below 1 %: the last row."""

Table = list[list[str]]


def number(value: float) -> str:
    """With the digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def contestants(result: Result) -> Table:
    """A row for each contestant, the heads first."""
    subject = result.figures.get(result.subject)
    head = ["contestant", QUANTITIES[result.quantity], "spread", "ratio to the first"]
    head += [QUANTITIES[each] for each in result.shown]
    if result.checks:
        head += ["misrouted", "workers"]
    rows = [head]
    for name, rounds in result.figures.items():
        if not rounds:
            continue
        typical, least, most = middle(rounds, result.quantity)
        row = [name, number(typical), f"{number(least)}–{number(most)}"]
        row.append(str(ratio(rounds, subject, result.quantity)) if subject else "")
        row += [number(middle(rounds, each)[0]) for each in result.shown]
        if result.checks:
            check = result.checks[name]
            row += [f"{check['misrouted']} of {check['asked']}", str(check["workers"])]
        rows.append(row)
    return rows


def targets(results: Sequence[Result]) -> Table:
    """A row for each target."""
    rows = [["workload", "ratio", "target", "reached (least–most)", ""]]
    for result in results:
        rows += [_row(result, verdict) for verdict in result.verdicts()]
        exact = [result.checks[name] for name in result.exact if name in result.checks]
        if exact:
            wrong = sum(check["misrouted"] + check["wrong"] for check in exact)
            asked = f"{wrong} of {sum(check['asked'] for check in exact):,}"
            what = "stickyd's wrong or misrouted answers"
            rows.append([result.name, what, "0", asked, "missed" if wrong else "met"])
    return rows


def _row(result: Result, verdict: Verdict) -> list[str]:
    target = verdict.target
    became = {None: "not measured", True: "met", False: "missed"}[verdict.reached]
    reached = str(verdict.ratio) if verdict.ratio else "–"
    about = target.about() if target.other else f"{target.subject}: {QUANTITIES[result.quantity]}"
    return [result.name, about, target.says(), reached, became]


def profile(found: Profile) -> Table:
    """A row for each part of the time of a contestant's processes, the largest first."""
    rows = [["part", "share", "of that the master", "CPU µs a request"]]
    for part in found.parts:
        micro = number(part.share * found.cost)
        rows.append([part.name, f"{part.share:.1%}", f"{part.master:.1%}", micro])
    return rows


def plain(table: Table) -> str:
    """Columns for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(table: Table) -> str:
    """The same for the docs."""
    rows = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([rows[0], "|" + "---|" * len(table[0]), *rows[1:]])


def terminal(result: Result) -> str:
    """Everything about one contest."""
    parts = [result.title, plain(contestants(result))]
    if result.note:
        parts.append(result.note)
    parts += [f"WRONG: {name}: {what}" for name, what in result.wrongs()]
    if len(verdicts := targets([result])) > 1:
        parts += ["", plain(verdicts)]
    return "\n".join(parts) + "\n"


def section(
    results: Sequence[Result], profiles: Sequence[Profile], taken: str, machine: str
) -> str:
    """What stands between the markers of docs/benchmarks.md."""
    rounds = max(len(rounds) for result in results for rounds in result.figures.values())
    parts = [
        f"Taken {taken} on {machine}; medians of up to {rounds} rounds.",
        PICTURES,
        "### Targets",
        markdown(targets(results)),
    ]
    if profiles:
        parts += ["### Profile of what is left", PROFILE]
        for each in profiles:
            parts += [f"**{each.title}**, {each.samples:,} samples:", markdown(profile(each))]
    for result in results:
        parts += [f"### {result.title}", markdown(contestants(result))]
        how = f"{result.seconds} s a round." if result.seconds else ""
        parts.append(" ".join(filter(None, [how, result.note])))
        parts += [f"**{name}: {what}.**" for name, what in result.wrongs()]
    return "\n\n".join(filter(None, parts))


def between_markers(document: str, text: str) -> str:
    """The document with its section replaced.

    :raise ValueError: the markers are missing.
    """
    before, found, rest = document.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError("docs/benchmarks.md has lost its markers")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
