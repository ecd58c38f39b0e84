"""Run the cases; see the package."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.slow.websocket_cases import __doc__ as about
from tests.slow.websocket_cases import closing, deflate, framing, utf8, volume
from tests.slow.websocket_cases.frames import Breach, close
from tests.slow.websocket_cases.judging import FAILED, LAX, OK, Case, Verdict
from tests.slow.websocket_cases.wire import Connection
from tests.support.daemon import Daemon

SERVERS = {
    "twisted.web": ("--class", "stickyd_websocket_echo_apps.root"),
    "ASGI": ("--asgi", "stickyd_websocket_echo_apps:app"),
}
GROUPS = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "closing",
    9: "volume",
    10: "the rest",
    12: "compression",
    13: "its parameters",
}
NOT_OFFERED = "not offered"


def all_cases() -> Iterator[Case]:
    """In the order of their groups."""
    for module in (framing, utf8, closing, volume, deflate):
        yield from module.cases()


def judged(port: int, case: Case) -> Verdict:
    """Run one case."""
    try:
        connection = Connection(port, case.offer)
    except (Breach, OSError) as error:
        return FAILED, f"{type(error).__name__}: {error}"
    if case.offer and not connection.agreed.deflate:
        connection.converse([close()], 0)
        return NOT_OFFERED, ""
    return case.judge(connection.converse(case.say(connection.agreed), case.chop))


def run(server: str, chosen: list[Case], everything: bool) -> dict[int, Counter[str]]:
    """Run the cases against one server, tell what is not ok; verdicts by group."""
    counts: dict[int, Counter[str]] = {group: Counter() for group in GROUPS}
    with Daemon(*SERVERS[server], workers=1) as daemon:
        before = daemon.settled_descriptors()
        for case in chosen:
            started = time.monotonic()
            verdict, reason = judged(daemon.port, case)
            took = time.monotonic() - started
            counts[case.group][verdict] += 1
            if everything or verdict not in (OK, NOT_OFFERED):
                line = f"{server} {case.number} {case.what}: {verdict} {reason} ({took:.2f} s)"
                print(line, flush=True)
        after = daemon.settled_descriptors()
        if after != before:
            print(f"{server}: descriptors {before} before, {after} after")
            counts[10][FAILED] += 1
        # What clients do wrong is no fault of the app's, and no matter for tracebacks.
        traces = sum("Traceback" in line for line in daemon.log)
        if traces:
            print(f"{server}: {traces} tracebacks in the log")
            print("\n".join(line for line in daemon.log if "Error: " in line)[:1000])
            counts[10][FAILED] += traces
            daemon.log[:] = [line for line in daemon.log if "Traceback" not in line]
    return counts


def main() -> int:
    """Run; exit status 1 if a case failed."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", choices=SERVERS, action="append")
    parser.add_argument("--case", default="", help="only those whose number begins so")
    parser.add_argument("--all", action="store_true", help="tell of those that are ok, too")
    arguments = parser.parse_args()
    chosen = [case for case in all_cases() if case.number.startswith(arguments.case)]
    servers = arguments.server or list(SERVERS)
    found = {server: run(server, chosen, arguments.all) for server in servers}
    verdicts = (OK, LAX, FAILED, NOT_OFFERED)
    print(f"\n| group | {' | '.join(f'{s}: {v}' for s in servers for v in verdicts)} |")
    print("|---|" + "---|" * len(servers) * len(verdicts))
    for group, what in GROUPS.items():
        row = [str(found[s][group][v]) for s in servers for v in verdicts]
        print(f"| {group} {what} | {' | '.join(row)} |")
    wrong = sum(counts[FAILED] for server in found.values() for counts in server.values())
    print("FAULT" if wrong else "pass", f"{len(chosen)} cases a server, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
