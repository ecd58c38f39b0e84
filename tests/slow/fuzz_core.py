"""Fuzzes the compiled core: its answers must be Python's, or it must ask Python.

``python -m tests.slow.fuzz_core --count 10000000 --placements 1000000 --frames 1000000 --seed 1``

Heads are mutated requests of the corpus and plain heads, whole and arriving in pieces, under
several limits. Placements are of every affinity source, from generated and mutated requests, over
several sets of slots, trusted peers and seeds. Frames are written by both, and read by both as
they are and changed by a hostile sender. Ends with status 1 at the first difference.
"""

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter

from stickyd.shm.learned_table import LearnedTable
from stickyd.shm.shared_ids import SharedIds
from tests.corpus.reading import load
from tests.slow.fuzz_heads import DEFAULT, LONGEST, PROCESSES, TIGHT, mutate
from tests.support.core_agreement import NATIVE, PEERS, PLAIN, Heads, Placements

if NATIVE is not None:
    from tests.support import frame_agreement

HEADS_A_BLOCK = 5000
PLACEMENTS_A_BLOCK = 2000
PLACEMENTS_A_POLICY = 50
FRAMES_A_BLOCK = 10_000
PLAIN_SHARE = 0.6

Result = tuple[Counter[str], str | None]

_corpus: list[bytes] = []


def heads(seed: str, count: int) -> Result:
    """So many heads; how often each verdict came, and the first difference."""
    assert NATIVE is not None
    if not _corpus:
        _corpus.extend(case.data for case in load() if len(case.data) <= LONGEST // 2)
    chance = random.Random(seed)
    both = Heads(NATIVE)
    for _ in range(count):
        corpus = PLAIN if chance.random() < PLAIN_SHARE else _corpus
        data = mutate(corpus, chance)
        limits = TIGHT if chance.random() < 0.2 else DEFAULT
        ends = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
        difference, _verdict = both.difference(data, limits, [*ends, len(data)])
        if difference is not None:
            return Counter(), f"seed {seed}, {limits}, {data!r}, cut at {ends}: {difference}"
    return Counter({**both.own, "asked": both.asked}), None


def placements(seed: str, count: int) -> Result:
    """So many placements; how often each source gave the key, and the first difference."""
    assert NATIVE is not None
    chance = random.Random(seed)
    learned = SharedIds(LearnedTable.create(4096, 1e6))
    both = Placements(NATIVE, chance, learned)
    done = 0
    try:
        while done < count:
            for policy in both.policies():
                for _ in range(PLACEMENTS_A_POLICY):
                    data, peer = both.head(policy.table.seed), chance.choice(PEERS)
                    if chance.random() < 0.2:
                        data = mutate([data, *PLAIN], chance)
                    differs = both.difference(policy, data, peer)
                    if differs is not None:
                        return Counter(), f"seed {seed}, {policy}, {data!r} from {peer}: {differs}"
                done += PLACEMENTS_A_POLICY
    finally:
        learned.table.close()
    return Counter({**both.own, "asked": both.asked}), None


def frames(seed: str, count: int) -> Result:
    """So many frames, and as many hostile messages; how many of these are frames."""
    chance = random.Random(seed)
    still = 0
    for _ in range(count):
        frame = frame_agreement.any_frame(chance)
        message = frame.encode()
        changed = frame_agreement.mutate(message, chance)
        difference = (
            frame_agreement.write_difference(frame)
            or frame_agreement.read_difference(message)
            or frame_agreement.read_difference(changed)
        )
        if difference is not None:
            return Counter(), f"seed {seed}: {difference}"
        still += frame_agreement.lane.read_frame(changed) is not None
    return Counter({"written": count, "changed": count, "changed and still frames": still}), None


KINDS = {"heads": heads, "placements": placements, "frames": frames}


def block(arguments: tuple[str, str, int]) -> Result:
    """One block of any kind."""
    kind, seed, count = arguments
    return KINDS[kind](seed, count)


def main() -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=10_000_000, help="heads")
    parser.add_argument("--placements", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if NATIVE is None:
        print("the compiled core is not built: nothing to compare")
        return 0
    for kind, count, size in (
        ("heads", options.count, HEADS_A_BLOCK),
        ("placements", options.placements, PLACEMENTS_A_BLOCK),
        ("frames", options.frames, FRAMES_A_BLOCK),
    ):
        started = time.monotonic()
        blocks = [
            (kind, f"{options.seed}:{kind}:{number}", min(size, count - number * size))
            for number in range(-(-count // size))
        ]
        seen: Counter[str] = Counter()
        # A fork would take the state of the parent's threads along.
        with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            for some, difference in pool.imap(block, blocks, chunksize=4):
                seen += some
                if difference is not None:
                    print(f"DIFFERENCE: {difference}")
                    return 1
        tally = ", ".join(f"{name} {number}" for name, number in sorted(seen.items()))
        seconds = time.monotonic() - started
        print(f"{count} {kind} in {seconds:.0f} s, no difference: {tally}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
