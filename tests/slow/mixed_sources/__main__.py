"""A mix of all affinity sources on four workers, the table at its bound: none goes astray.

    python -m tests.slow.mixed_sources [--requests 1000000] [--seed 1]

Clients with stickyd's cookie, with sessions that the app has begun, with keys of their own,
with keys that carry their slot, and with nothing but an address, over 64 kept-alive
connections, pipelined up to 8 deep. The app begins some 100,000 sessions, of which the
daemon may know 4096 at a time. Beside it, dictionaries say where each request is due
(tests/slow/mixed_sources/model.py): one with a session that was used lately, at the
session's worker; with one that was not, there or, if the id has been evicted, where its
address goes, and once that has been seen, always there. Each answer is checked for worker,
order, the cookies the app has seen and the cookie that was set.
"""

import argparse
import random
import sys
import time

from tests.slow.mixed_sources.model import CHAIN, MOST, SEED, WORKERS, Model
from tests.slow.pipelining import Crowd
from tests.support.daemon import Daemon, wait_for


def main() -> int:
    """Run; exit status 1 if anything went astray."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    model = Model(chance)
    options = ("--class", "stickyd_mixed_app:Page", "--affinity-scope", "request")
    chain = ("--affinity", CHAIN, "--learn-most", str(MOST), "--seed", str(SEED))
    with Daemon(*options, *chain, workers=WORKERS) as daemon:
        before = daemon.settled_descriptors()
        started = time.monotonic()
        crowd = Crowd(daemon, model, arguments.requests, chance)
        crowd.run()
        took = time.monotonic() - started
        crowd.close()
        wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="no open connection")
        report = daemon.report()
        after = daemon.settled_descriptors()
    workers = report["workers"]
    lost = arguments.requests - crowd.answered
    print(f"{crowd.answered} answers in {took:.0f} s ({crowd.answered / took:.0f} a second)")
    print(f"by kind: {dict(model.kinds)}")
    print(f"at another worker than the model says: {len(crowd.wrong)}, lost: {lost}")
    print(f"sessions found evicted: {model.missed}")
    print(f"moved: {sum(workers['moved'].values())}, refused: {workers['refused'] or 'none'}")
    print(f"descriptors before {list(before.values())}, after {list(after.values())}")
    for line in crowd.wrong[:10]:
        print(line)
    right = not crowd.wrong and not lost and before == after and not workers["refused"]
    # Otherwise the table has not been at its bound.
    full = model.missed > 0 or model.kinds["new session"] <= MOST
    return 0 if right and full else 1


if __name__ == "__main__":
    sys.exit(main())
