"""The results as pictures: ``python -m benchmarks.plot RESULTS.json DIRECTORY``.

Writes benchmarks-light.svg and benchmarks-dark.svg. Each panel is a workload: CPU time a request
as a multiple of a reference contestant's, which is the line at 1, on a logarithmic axis. Runs in
the Python of benchmarks/.peers, which has matplotlib but not the project.
"""

import json
import statistics
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FixedLocator, NullLocator

REFERENCES = {
    "p1": "nginx + twisted.web",
    "p2": "nginx + twisted.web",
    "p2-low": "nginx + twisted.web",
    "p3": "nginx + twisted.web",
    "p4": "nginx + twisted.web",
    "p5": "floor in C",
    "p6": "uvicorn, bare",
    "p6-mix": "nginx + uvicorn",
}
"""Whose figure is 1, by workload; others are not drawn."""

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


class Theme(NamedTuple):
    """Colours. Blue and orange of Okabe and Ito's palette, which colour-blind readers tell apart.

    The project's own marks differ from the others' in shape, too.
    """

    ground: str
    ink: str
    quiet: str
    grid: str
    mine: str
    other: str
    reference: str


THEMES = {
    "light": Theme("#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#0072b2", "#6e7781", "#b34700"),
    "dark": Theme("#0d1117", "#f0f6fc", "#9198a1", "#30363d", "#56b4e9", "#9198a1", "#f0a04b"),
}


def rows_of(result: dict[str, Any]) -> list[tuple[str, float, float, float, float]]:
    """Of each contestant: name, median ratio, least, most, and the median figure itself."""
    quantity = result["quantity"]
    figures = {name: rounds for name, rounds in result["figures"].items() if rounds}
    reference = figures[REFERENCES[result["name"]]]
    rows = []
    for name, rounds in figures.items():
        ratios = [a[quantity] / b[quantity] for a, b in zip(rounds, reference, strict=True)]
        middle = statistics.median(each[quantity] for each in rounds)
        rows.append((name, statistics.median(ratios), min(ratios), max(ratios), middle))
    return rows


def drawable(result: dict[str, Any]) -> bool:
    """Whether there is a reference, and anyone to compare with it."""
    reference = REFERENCES.get(result["name"])
    figures = result["figures"]
    return bool(reference and figures.get(reference) and sum(map(bool, figures.values())) > 1)


def micro(value: float) -> str:
    """Microseconds, with the digits that mean something."""
    return f"{value:,.0f} µs" if value >= 100 else f"{value:.1f} µs"


def panel(axes: Any, result: dict[str, Any], theme: Theme) -> None:
    """One workload: a mark for each contestant, its range, its name and its figures."""
    rows = rows_of(result)
    reference = REFERENCES[result["name"]]
    low, high = min(row[2] for row in rows), max(row[3] for row in rows)
    axes.set_xscale("log")
    low, high = min(low, 0.45), max(high, 2.2)
    axes.set_xlim(low / 1.12, high * 1.12)
    axes.axvline(1, color=theme.reference, linewidth=1.2, zorder=1)
    for at, (name, ratio, least, most, middle) in enumerate(rows):
        own = name.startswith("stickyd")
        colour = theme.mine if own else theme.other
        if name == reference:
            colour = theme.reference
        axes.plot([least, most], [at, at], color=colour, linewidth=1.6, alpha=0.55, zorder=2)
        filled = name != "stickyd, Python core"
        axes.plot(
            [ratio],
            [at],
            marker="D" if own else "o",
            markersize=6.5,
            color=colour,
            markerfacecolor=colour if filled else theme.ground,
            markeredgewidth=1.5,
            zorder=3,
        )
        weight = "bold" if name == result["subject"] else "normal"
        # In a column beside the axes, where neither lines nor other marks cross them.
        for place, text in ((1.12, f"{ratio:.2f}"), (1.30, micro(middle))):
            axes.text(
                place,
                at,
                text,
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=8.5,
                color=theme.mine if own else theme.ink,
                weight=weight,
            )
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=9)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        own = row[0].startswith("stickyd")
        label.set_color(theme.mine if own else theme.ink)
        label.set_weight("bold" if row[0] == result["subject"] else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x", color=theme.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=8, colors=theme.quiet, length=0)
    axes.tick_params(axis="y", length=0)
    what = "the master's CPU time" if result["quantity"] == "master" else "CPU time a request"
    axes.set_xlabel(f"{what}, {reference} = 1", fontsize=8.5, color=theme.quiet, loc="left")
    axes.set_title(
        textwrap.fill(result["title"].replace("kept-alive connections", "kept alive"), 64),
        fontsize=9.5,
        loc="left",
        weight="bold",
        color=theme.ink,
        x=0,
    )
    axes.set_facecolor(theme.ground)
    for side in axes.spines.values():
        side.set_visible(False)


def draw(results: list[dict[str, Any]], theme: Theme, path: Path) -> None:
    """All workloads below each other, two in a row."""
    lines = (len(results) + 1) // 2
    heights = [
        max(len(each["figures"]) for each in results[at : at + 2]) + 2.9
        for at in range(0, len(results), 2)
    ]
    figure, grid = plt.subplots(
        lines,
        2,
        figsize=(13.5, sum(heights) * 0.27 + 0.6),
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
        facecolor=theme.ground,
    )
    figure.get_layout_engine().set(w_pad=0.22, h_pad=0.1)
    for axes, result in zip(grid.flat, results, strict=False):
        panel(axes, result, theme)
    for axes in list(grid.flat)[len(results) :]:
        axes.set_visible(False)
    figure.suptitle(
        "Lower is better. Marks and the first figure: median of the rounds' ratios; lines: least to"
        " most. The second figure: median.",
        fontsize=9.5,
        color=theme.quiet,
        x=0.01,
        ha="left",
    )
    # Without a date the same results give the same file.
    figure.savefig(path, facecolor=theme.ground, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Draw both themes."""
    results = [each for each in json.loads(Path(sys.argv[1]).read_text()) if drawable(each)]
    if not results:
        raise SystemExit("no picture: no kept result has the contestant that it is compared with")
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "stickyd"})
    plt.rcParams["font.sans-serif"] = ["DejaVu Sans", "Verdana", "Arial", "sans-serif"]
    for name, theme in THEMES.items():
        draw(results, theme, Path(sys.argv[2]) / f"benchmarks-{name}.svg")


if __name__ == "__main__":
    main()
