"""The picture of ``stickyd replay``: requests by slot, as SVG. Pure."""

from collections.abc import Sequence

from stickyd.cli.replay.tally import Tally

_WIDTH = 640
_BAR = 22
_GAP = 6
_LEFT = 56
_RIGHT = 150
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.b{fill:#3b6ea5}.h{fill:#c4632a}"
    ".m{stroke:#222;stroke-dasharray:3 3}.g{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.b{fill:#7aa7d6}.h{fill:#e39a66}"
    ".m{stroke:#ddd}.g{fill:#181818}}"
)


def picture(tally: Tally, slots: Sequence[int]) -> str:
    """A bar for each slot, its most frequent client in another colour, and the mean as a line."""
    total = max(tally.total, 1)
    mean = total / len(slots)
    widest = max(mean, *(tally.requests[slot] for slot in slots))
    scale = (_WIDTH - _LEFT - _RIGHT) / widest
    hottest: dict[int, int] = {}
    for key, count in tally.hot.most(1000):
        hottest.setdefault(tally.slot_of(key), count)
    height = 44 + len(slots) * (_BAR + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="t">',
        f'<title id="t">Requests by slot: {tally.total} on {len(slots)} slots</title>',
        f"<style>{_STYLE}</style>",
        '<rect class="g" width="100%" height="100%"/>',
        '<text x="8" y="20">requests by slot; orange: the most frequent client of the slot</text>',
    ]
    for at, slot in enumerate(slots):
        y = 34 + at * (_BAR + _GAP)
        requests = tally.requests[slot]
        hot = min(hottest.get(slot, 0), requests)
        parts += [
            f'<text x="8" y="{y + 16}">slot {slot}</text>',
            f'<rect class="b" x="{_LEFT}" y="{y}" width="{requests * scale:.1f}" height="{_BAR}"/>',
            f'<rect class="h" x="{_LEFT}" y="{y}" width="{hot * scale:.1f}" height="{_BAR}"/>',
            f'<text x="{_LEFT + requests * scale + 6:.1f}" y="{y + 16}">'
            f"{requests} ({100 * requests / total:.1f} %)</text>",
        ]
    x = _LEFT + mean * scale
    parts.append(f'<line class="m" x1="{x:.1f}" x2="{x:.1f}" y1="30" y2="{height - 6}"/>')
    return "\n".join([*parts, "</svg>", ""])
