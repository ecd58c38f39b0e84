"""The metrics of ``/metrics``, made of facts. Pure; docs/metrics.md explains each."""

from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from stickyd.master.admin.processes import Usage
from stickyd.master.facts import Facts
from stickyd.stats import Histogram, WorkerCounters

_BY_SLOT = (
    ("adopted_connections", "adopted", "Connections taken out of the inbox"),
    ("arrived_connections", "arrived", "Adopted connections that another slot sent"),
    ("passed_connections", "passed", "Connections passed to the slot's other worker"),
    ("returned_connections", "returned", "Connections put back when a worker retired"),
    ("misrouted_requests", "misrouted", "Requests served though their key names another slot"),
    ("lost_connections", "lost", "Connections that ended while a response was pending"),
    ("upgraded_connections", "pinned", "Connections that an app took over (Upgrade)"),
    ("handed_websockets", "handed", "WebSockets handed over to another worker"),
    ("eased_connections", "eased", "Idle connections closed at --max-connections"),
)
_OF_MASTER = (
    ("accepted_connections", "accepted", "Connections accepted"),
    ("vanished_connections", "vanished", "Connections that ended before they were handed off"),
    ("silent_connections", "silent", "Connections closed before a byte arrived"),
    ("rescued_connections", "rescued", "Idle connections of killed workers, put into an inbox"),
    ("released_connections", "released", "Busy connections of killed workers, closed"),
    ("program_replacements", "upgrades", "Replacements of the master's program (USR2)"),
)
_OF_BOTH = (
    ("shed_connections", "shed", "Connections refused because a limit was reached"),
    ("displaced_keys", "displaced", "Keys placed away from their first choice"),
    ("forgotten_keys", "forgotten", "Known keys evicted by newer ones"),
)
_TIMES = (
    ("queue_duration", "queued", "From the hand-off until a worker takes the connection up"),
    (
        "first_byte_duration",
        "first_bytes",
        "From the complete request to the response's first byte",
    ),
    ("request_duration", "durations", "From the complete request to the complete response"),
)
TERM_BY_HAND = "told to end by hand"


def metrics_of(facts: Facts, usage: Iterable[Usage]) -> Iterator[Metric]:
    """All metrics of the daemon."""
    yield InfoMetricFamily(
        "stickyd_build",
        "Version, and the core that the master uses",
        {"version": facts.version, "core": facts.core},
    )
    yield from _requests(facts)
    yield from _connections(facts)
    yield from _refusals(facts)
    yield from _workers(facts)
    yield from _processes(usage)


def _requests(facts: Facts) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "stickyd_requests",
        "Requests given to the app, by slot and source of the key",
        labels=("slot", "source"),
    )
    for slot, counters in sorted(facts.totals.items()):
        by_source: dict[str, int] = {}
        numbers = zip(facts.sources, counters.requests_by.values(), strict=True)
        for at, (source, count) in enumerate(numbers):
            # Sources of the chain always, others once they have occurred.
            if count or (at and source != "other"):
                by_source[source] = by_source.get(source, 0) + count
        for source, count in by_source.items():
            requests.add_metric((str(slot), source), count)
    yield requests
    for name, field, text in _TIMES:
        times = HistogramMetricFamily(f"stickyd_{name}_seconds", text, labels=("slot",))
        for slot, counters in sorted(facts.totals.items()):
            histogram: Histogram = getattr(counters, field)
            times.add_metric((str(slot),), _buckets(histogram), histogram.seconds)
        yield times


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    total = 0
    bounds = [str(bound) for bound in histogram.bounds]
    for bound, count in zip([*bounds, "+Inf"], histogram.values(), strict=True):
        total += count
        buckets.append((bound, total))
    return buckets


def _connections(facts: Facts) -> Iterator[Metric]:
    for name, field, text in _BY_SLOT:
        yield _by_slot(facts, name, text, {s: getattr(c, field) for s, c in facts.totals.items()})
    moved = {slot: sum(counters.moved.values()) for slot, counters in facts.totals.items()}
    yield _by_slot(facts, "moved_connections", "Connections sent to another slot", moved)
    for name, field, text in _OF_MASTER:
        yield CounterMetricFamily(f"stickyd_{name}", text, getattr(facts.master, field))
    for name, field, text in _OF_BOTH:
        number = getattr(facts.master, field)
        number += sum(getattr(counters, field) for counters in facts.totals.values())
        yield CounterMetricFamily(f"stickyd_{name}", text, number)
    handed_off = CounterMetricFamily(
        "stickyd_handed_off_connections",
        "Connections put into an inbox by the master, by slot and source of the key",
        labels=("slot", "source"),
    )
    for slot, by in sorted(facts.master.handed_off.items()):
        for source, count in sorted(by.items()):
            handed_off.add_metric((str(slot), source), count)
    yield handed_off
    yield GaugeMetricFamily("stickyd_open_connections", "Client connections now", facts.open)
    yield GaugeMetricFamily("stickyd_max_connections", "--max-connections", facts.most)
    yield GaugeMetricFamily(
        "stickyd_pending_heads", "Connections whose first head is not complete", facts.heads
    )
    if facts.idle is not None:
        yield GaugeMetricFamily(
            "stickyd_idle_connections", "Connections without a request", facts.idle
        )
    if facts.certificates:
        expiry = GaugeMetricFamily(
            "stickyd_certificate_expiry_timestamp_seconds",
            "When a certificate expires (--ssl-certfile)",
            labels=("file",),
        )
        for source, expires in sorted(facts.certificates.items()):
            expiry.add_metric((source,), expires)
        yield expiry
    open_now = GaugeMetricFamily(
        "stickyd_slot_open_connections", "Connections of the slot's workers", labels=("slot",)
    )
    upgraded = GaugeMetricFamily(
        "stickyd_open_websockets", "Connections that an app has taken over", labels=("slot",)
    )
    for each in facts.slots:
        counters = facts.totals.get(each.number, WorkerCounters())
        open_now.add_metric((str(each.number),), counters.open)
        upgraded.add_metric((str(each.number),), counters.upgraded)
    yield open_now
    yield upgraded


def _by_slot(facts: Facts, name: str, text: str, values: dict[int, int]) -> Metric:
    family = CounterMetricFamily(f"stickyd_{name}", text, labels=("slot",))
    for slot, value in sorted(values.items()):
        family.add_metric((str(slot),), value)
    return family


def _refusals(facts: Facts) -> Iterator[Metric]:
    refused = CounterMetricFamily(
        "stickyd_refused_requests",
        "Requests refused, by the process that refused them and the status",
        labels=("process", "status"),
    )
    for status, count in sorted(facts.master.refused.items(), key=str):
        refused.add_metric(("master", str(status)), count)
    workers: dict[str, int] = {}
    for counters in facts.totals.values():
        for name, count in counters.refused.as_json().items():
            workers[name] = workers.get(name, 0) + count
    for name, count in sorted(workers.items()):
        refused.add_metric(("worker", name), count)
    yield refused
    dropped = CounterMetricFamily(
        "stickyd_dropped_log_lines", "Log lines that found no room", labels=("log",)
    )
    dropped.add_metric(("daemon",), facts.master.log_dropped)
    access = sum(counters.log_dropped for counters in facts.totals.values())
    dropped.add_metric(("access",), access)
    yield dropped


def _workers(facts: Facts) -> Iterator[Metric]:
    yield GaugeMetricFamily("stickyd_generation", "Successful reloads, plus 1", facts.generation)
    yield GaugeMetricFamily(
        "stickyd_slot_table_version", "Version of the slot table", facts.table_version
    )
    restarts = CounterMetricFamily(
        "stickyd_worker_restarts",
        "Workers that took the place of another, by reason",
        labels=("reason",),
    )
    for reason in sorted({"crash", "reload", *facts.master.restarts}):
        label = "SIGTERM" if reason == TERM_BY_HAND else reason
        restarts.add_metric((label,), facts.master.restarts[reason])
    yield restarts
    ready = GaugeMetricFamily(
        "stickyd_slot_ready", "Whether a worker serves the slot", labels=("slot",)
    )
    waiting = GaugeMetricFamily(
        "stickyd_slot_waiting_connections",
        "Connections that wait for space in the inbox",
        labels=("slot",),
    )
    load = GaugeMetricFamily(
        "stickyd_slot_load",
        "Connections in the inbox and requests being answered (--hash-balance-factor)",
        labels=("slot",),
    )
    for slot in facts.slots:
        labels = (str(slot.number),)
        ready.add_metric(labels, slot.ready)
        waiting.add_metric(labels, slot.waiting)
        if slot.load is not None:
            load.add_metric(labels, slot.load)
    yield ready
    yield waiting
    if load.samples:
        yield load


def _processes(usage: Iterable[Usage]) -> Iterator[Metric]:
    labels = ("process", "slot")
    memory = GaugeMetricFamily(
        "stickyd_process_resident_memory_bytes", "Resident memory", labels=labels
    )
    cpu = CounterMetricFamily(
        "stickyd_process_cpu_seconds",
        "CPU time, user and system, of all processes that the slot has had",
        labels=labels,
    )
    for each in usage:
        values = ("worker", str(each.slot)) if each.slot else ("master", "")
        memory.add_metric(values, each.memory)
        cpu.add_metric(values, each.cpu)
    yield memory
    yield cpu
