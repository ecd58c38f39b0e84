"""The report of ``stickyd replay``, as lines. Pure."""

from collections.abc import Iterator, Sequence

from stickyd.cli.explain import shown
from stickyd.cli.replay.tally import Tally


def report(
    tally: Tally, slots: Sequence[int], hot: int, skipped: int, format_name: str
) -> Iterator[str]:
    """The lines.

    :param hot: how many of the most frequent keys to list.
    :param skipped: lines of the log that did not fit the format.
    """
    total = tally.total
    about = "" if tally.exact else "about "
    yield f"{total} requests of {about}{tally.distinct()} clients ({format_name} format)"
    if skipped:
        yield f"{skipped} lines do not fit the format and were left out"
    yield ""
    yield from _slots(tally, slots)
    yield ""
    yield from _hot(tally, hot)
    yield ""
    yield from _resize(tally, len(slots))
    yield from _connections(tally)
    if tally.logged:
        yield (
            f"served elsewhere, as the log says: {tally.elsewhere} of {tally.logged} requests"
            f" ({_percent(tally.elsewhere, tally.logged)})"
        )


def _slots(tally: Tally, slots: Sequence[int]) -> Iterator[str]:
    head = f"{'slot':>4}  {'requests':>10}  {'share':>6}"
    yield head + (f"  {'clients':>8}" if tally.exact else "")
    for slot in slots:
        requests = tally.requests[slot]
        line = f"{slot:>4}  {requests:>10}  {_percent(requests, tally.total):>6}"
        yield line + (f"  {tally.clients[slot]:>8}" if tally.exact else "")
    busiest = max(tally.requests[slot] for slot in slots)
    mean = tally.total / len(slots)
    if mean:
        yield f"the busiest slot has {busiest / mean:.2f} times the mean"


def _hot(tally: Tally, number: int) -> Iterator[str]:
    error = tally.hot.error
    bound = f"; each may have up to {error} more" if error else ""
    yield f"most frequent clients{bound}:"
    for key, count in tally.hot.most(number):
        share = _percent(count, tally.total)
        yield f"  {count:>10}  {share:>6}  slot {tally.slot_of(key):<3}  {shown(key)}"


def _resize(tally: Tally, slots: int) -> Iterator[str]:
    for moved, clients, number in (
        (tally.fewer, tally.fewer_clients, slots - 1),
        (tally.more, tally.more_clients, slots + 1),
    ):
        if number:
            line = f"with {number} slots: {_percent(moved, tally.total)} of the requests"
            if tally.exact:
                line += f" and {clients} of {tally.distinct()} clients"
            yield f"{line} would move"


def _connections(tally: Tally) -> Iterator[str]:
    misroutes = tally.misroutes
    if not misroutes.requests:
        yield "connection scope: the log has no column that names the connection to the worker"
        return
    yield (
        f"connection scope: {misroutes.misrouted} of {misroutes.requests} requests"
        f" ({_percent(misroutes.misrouted, misroutes.requests)}) on {misroutes.connections}"
        " connections would reach the wrong slot"
    )
    if misroutes.misrouted:
        yield "  --affinity-scope request moves them to theirs"
    if misroutes.forgotten:
        yield f"  {misroutes.forgotten} connections were forgotten meanwhile, so it may be more"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
