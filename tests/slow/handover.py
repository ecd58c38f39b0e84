"""WebSockets that are handed over, by the thousand, under reloads and upgrades; and under kill -9.

    python -m tests.slow.handover [--sockets 1000] [--reloads 20] [--upgrades 5] [--kills 20]

Every socket sends numbered messages, of which some arrive byte by byte, in bursts, or in fragments
with pings in between, and gets numbered messages. Of ASGI and twisted.web:

- `numbers`: no socket is closed, no message is lost, doubled or out of order;
- `cost`: processor time of a handover, by reloads with idle sockets and without;
- `pause`: how long a client waits for the answer that comes from the new worker first;
- `kills`: the old or the new worker is killed in the midst; a socket is closed or goes on
  as it should, and no state is in two workers.

Exit status 1 if anything was not as it should be.
"""

import argparse
import asyncio
import collections
import os
import random
import re
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.test_lifecycle import reload
from tests.integration.test_upgrade import upgrade
from tests.slow.handover_clients import Client, Seen, open_all
from tests.support.daemon import Daemon, wait_for

APPS = {
    "asgi": ("--asgi", "stickyd_handover_apps:app"),
    "twisted.web": ("--class", "stickyd_handover_apps.root"),
}
TICK = "/proc/{}/stat"
HERTZ = os.sysconf("SC_CLK_TCK")


async def away(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a thread, while the clients go on."""
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)


def settled(daemon: Daemon) -> None:
    """Wait until every slot has one worker, which serves."""
    wait_for(
        lambda: (
            all(s["state"] == "ready" and not s.get("retiring") for s in slots(daemon))
            and len(daemon.family()) == 1 + len(slots(daemon))
        ),
        60,
        "the end of old workers",
    )


def slots(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.report()["slots"]
    return found


# ---- numbers


async def numbers(app: str, sockets: int, reloads: int, upgrades: int) -> bool:
    seen = Seen()
    with Daemon(*APPS[app], environment={"TICK_EVERY": "1"}) as daemon:
        clients = await open_all(daemon.port, sockets, seen)
        # Long enough to measure answers without a handover.
        await asyncio.sleep(3)
        calm = seen.waits.copy()
        seen.waits.clear()
        events = [reload] * reloads + [upgrade] * upgrades
        random.Random(6).shuffle(events)
        for event in events:
            await away(event, daemon)
            if event is reload:
                # Each of them is a handover of its own.
                await away(settled, daemon)
            # The pace of the scenario.
            await asyncio.sleep(0.5)
        await asyncio.gather(*(client.finish() for client in clients))
        handed = daemon.report()["workers"]["handed"]
        done = collections.Counter(event.__name__ for event in events)
    waits = seen.waits
    kinds = collections.Counter(re.sub(r"\d+", "N", each) for each in seen.wrong)
    print(
        f"{app}: {sockets} WebSockets, {done['reload']} HUPs, {done['upgrade']} USR2: "
        f"{seen.answers} answers, {seen.ticks} ticks; {handed} handovers; "
        f"closed {len(seen.closed)}, wrong {len(seen.wrong)}"
    )
    print(f"  answers in ms, before: {times_of(calm)}; then: {times_of(waits)}", flush=True)
    if seen.wrong or seen.closed:
        print(kinds.most_common(5), collections.Counter(seen.closed), seen.wrong[:5])
    return not seen.wrong and not seen.closed and handed == sockets * done["reload"]


def times_of(waits: list[float]) -> str:
    cut = statistics.quantiles(waits, n=100)
    return f"p50 {cut[49] * 1e3:.1f}, p99 {cut[98] * 1e3:.1f}, most {max(waits) * 1e3:.0f}"


# ---- cost


def busy(daemon: Daemon) -> float:
    """Seconds of processor time of all processes, those that have ended included."""
    ticks = 0
    for pid in daemon.family():
        fields = Path(TICK.format(pid)).read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11 : 15 if pid == daemon.process.pid else 13]))
    return ticks / HERTZ


async def cost(app: str, sockets: int, times: int = 5) -> None:
    with Daemon(*APPS[app]) as daemon:
        used = []
        for count in (0, sockets):
            seen = Seen()
            clients = await open_all(daemon.port, count, seen, "/ws", every=0)
            each = []
            for _ in range(times):
                before = busy(daemon)
                await away(reload, daemon)
                await away(settled, daemon)
                each.append(busy(daemon) - before)
            used.append(statistics.median(each))
            for client in clients:
                client.ending = True
                client.transport.close()
        handed = daemon.report()["workers"]["handed"]
    assert handed == sockets * times, handed
    micro = (used[1] - used[0]) / sockets * 1e6
    print(f"{app}: {micro:.0f} µs of processor time a handover ({sockets} at a time)", flush=True)


async def pause(app: str, times: int = 10) -> None:
    """Of one WebSocket that asks again as soon as it is answered."""
    seen = Seen()
    with Daemon(*APPS[app], workers=1) as daemon:
        (client,) = await open_all(daemon.port, 1, seen, "/ws", every=0.001)
        calm, longest = [], []
        for _ in range(times):
            # Long enough to measure answers without a handover.
            await asyncio.sleep(1)
            calm += seen.waits[-200:]
            moves = client.moves
            await away(reload, daemon)
            while client.moves == moves:
                # The client itself goes on meanwhile.
                await asyncio.sleep(0.01)
            await away(settled, daemon)
            longest.append(seen.pauses[-1])
        await client.finish()
    assert not seen.wrong, seen.wrong
    print(
        f"{app}: answers of one WebSocket in ms: median {statistics.median(calm) * 1e3:.1f}, "
        f"the first after a handover {statistics.median(longest) * 1e3:.1f}, "
        f"at most {max(longest) * 1e3:.1f} of {times}",
        flush=True,
    )


# ---- kills


async def kills(app: str, sockets: int, times: int) -> bool:
    good, closed, handed = True, 0, 0
    chance = random.Random(18)
    for number in range(times):
        seen = Seen()
        daemon = Daemon(*APPS[app], workers=1)
        notes = Path(daemon.directory.name) / "notes"
        daemon._environment |= {"HANDOVER_NOTES": str(notes), "TICK_EVERY": "0.2"}
        with daemon:
            clients = await open_all(daemon.port, sockets, seen, every=0.2)
            old = daemon.pids()[1]
            daemon.process.send_signal(signal.SIGHUP)
            # In the midst: when some have told their state.
            await away(wait_for, lambda at=notes: at.exists() and b"told" in at.read_bytes())
            # At another instant each time.
            await asyncio.sleep(chance.random() * 0.15)
            new = [pid for pid in daemon.family()[1:] if pid != old]
            victim = old if number % 2 else new[0]
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
            # What would come too much, or to two clients, comes within this time.
            await asyncio.sleep(2)
            await asyncio.gather(*(client.finish() for client in clients))
            lines = notes.read_text().splitlines()
        closed += len(seen.closed)
        handed += seen.moves
        twice = in_two(lines, clients)
        if twice or seen.wrong:
            good = False
            print(f"  kill {number} of {'old' if number % 2 else 'new'}: {twice[:3]}", end=" ")
            print(seen.wrong[:3])
    print(
        f"{app}: {times} kills within the handover of {sockets} WebSockets: {handed} handed over, "
        f"{closed} closed, {'none' if good else 'SOME'} in two workers or wrong",
        flush=True,
    )
    return good and closed > 0


def in_two(lines: list[str], clients: list[Client]) -> list[str]:
    """What the apps have noted that cannot be: a state taken that nobody has told, or twice."""
    wrong = []
    told: dict[str, int] = collections.defaultdict(int)
    took: dict[str, int] = collections.defaultdict(int)
    for line in lines:
        what, number, pid = line.split()
        if what == "told":
            told[number] += 1
        else:
            took[number] += 1
            if took[number] > told[number]:
                wrong.append(f"{number} taken by {pid}, told {told[number]} times")
    return wrong


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow.handover")
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--upgrades", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--app", choices=APPS, action="append")
    options = parser.parse_args()
    good = True
    began = time.monotonic()
    for app in options.app or APPS:
        if options.reloads + options.upgrades:
            many = options.sockets, options.reloads, options.upgrades
            good &= asyncio.run(numbers(app, *many))
            asyncio.run(cost(app, options.sockets))
            asyncio.run(pause(app))
        if options.kills:
            good &= asyncio.run(kills(app, 200, options.kills))
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
