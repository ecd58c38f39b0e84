"""What ``--hash-balance-factor`` costs a placement: ``python -m benchmarks.bounded_loads``.

Microseconds of processor time, the least of several rounds, at 4 and 64 slots.
"""

import time
from timeit import repeat

from stickyd.routing.policy import Placement
from stickyd.routing.rendezvous import SlotTable
from stickyd.routing.source import Key
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import MasterCounters

KEYS = 400
ROUNDS = 15


def measure(slots: int) -> dict[str, float]:
    """Microseconds by what is measured."""
    board = Scoreboard.create(slots)
    table = SlotTable(1, range(1, slots + 1))
    for slot in table.slots:
        board.hand_out(slot)
    texts = (f"key {number}" for number in range(10**9))

    def new(slot: int | None = None) -> Placement:
        while True:
            text = next(texts)
            first = table.slot_of(text.encode())
            if slot in (None, first):
                return Placement(first, Key("xff", text))

    def best(name: str, balance: LoadBalancer, slot: int | None = None) -> list[Placement]:
        placed: list[Placement] = []
        for _ in range(ROUNDS):
            keys = [new(slot) for _ in range(KEYS)]
            counted(name, lambda keys=keys: [balance.place(key) for key in keys], KEYS)
            placed += keys
        return placed

    def counted(name: str, code: object, times: int, rounds: int = 1) -> None:
        took = min(repeat(code, number=1, repeat=rounds, timer=time.process_time)) / times * 1e6
        found[name] = min(found.get(name, took), took)

    found: dict[str, float] = {}
    balance = LoadBalancer(table, 10_000, board, board.row(0), MasterCounters())
    placed = best("a new key, at its first choice", balance)
    for _ in range(100 * slots):
        board.row(0).counter(1).placed()
    best("a new key, displaced", LoadBalancer(table, 101, board, board.row(0), MasterCounters()), 1)
    counted("a known key", lambda: [balance.place(key) for key in placed], len(placed), ROUNDS)
    looks = range(200)
    counted("a look at the loads", lambda: [board.loads(table.slots) for _ in looks], 200, ROUNDS)
    board.close()
    return found


def main() -> None:
    """Print the table."""
    few, many = measure(4), measure(64)
    print(f"{'µs':32}{'4 slots':>8}{'64 slots':>10}")
    for name in few:
        print(f"{name:32}{few[name]:8.1f}{many[name]:10.1f}")


if __name__ == "__main__":
    main()
