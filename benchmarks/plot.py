"""The results as a picture: ``python -m benchmarks.plot RESULTS.json PICTURE.png``.

Runs in the Python of benchmarks/.peers, which has matplotlib but not the project. The ground is
opaque, so that it reads on light pages and on dark ones.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

GROUND, INK, QUIET, MINE, OTHERS = "#fbfaf7", "#22262b", "#8a9099", "#c2410c", "#5b7894"
UNITS = {
    "cost": "CPU µs a request",
    "master": "CPU µs of the master a connection",
    "memory": "bytes a connection",
    "p99": "p99, µs",
}


def bars(axes: Any, result: dict[str, Any]) -> None:
    """One contest: the median of each, with least and most."""
    quantity = result["quantity"]
    rows = [
        (name, [each[quantity] for each in rounds])
        for name, rounds in result["figures"].items()
        if rounds
    ]
    middles = [statistics.median(figures) for _, figures in rows]
    below = [m - min(f) for m, (_, f) in zip(middles, rows, strict=True)]
    above = [max(f) - m for m, (_, f) in zip(middles, rows, strict=True)]
    colours = [MINE if name == result["subject"] else OTHERS for name, _ in rows]
    places = range(len(rows))
    axes.barh(places, middles, color=colours, height=0.62)
    axes.errorbar(
        middles, places, xerr=[below, above], fmt="none", ecolor=INK, elinewidth=1, capsize=2
    )
    reach = max(m + a for m, a in zip(middles, above, strict=True))
    for at, (middle, up) in enumerate(zip(middles, above, strict=True)):
        axes.text(middle + up + reach * 0.02, at, f"{middle:,.0f}", va="center", fontsize=8)
    axes.set_xlim(0, reach * 1.18)
    axes.set_yticks(list(places), [name for name, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(UNITS[quantity], fontsize=8)


def main() -> None:
    """Draw all contests below each other, two in a row."""
    results = json.loads(Path(sys.argv[1]).read_text())
    plt.rcParams.update({"text.color": INK, "axes.labelcolor": INK, "ytick.color": INK})
    rows = (len(results) + 1) // 2
    heights = [
        max(len(r["figures"]) for r in results[at : at + 2]) + 2.6
        for at in range(0, len(results), 2)
    ]
    figure, grid = plt.subplots(
        rows,
        2,
        figsize=(12, sum(heights) * 0.3),
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
        layout="constrained",
        facecolor=GROUND,
    )
    for axes, result in zip(grid.flat, results, strict=False):
        bars(axes, result)
        axes.set_title(result["title"], fontsize=9, loc="left", weight="bold", wrap=True)
        axes.set_facecolor(GROUND)
        axes.tick_params(axis="x", labelsize=8, colors=QUIET)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(QUIET)
    for axes in list(grid.flat)[len(results) :]:
        axes.set_visible(False)
    figure.savefig(sys.argv[2], dpi=110, facecolor=GROUND)


if __name__ == "__main__":
    main()
