"""What --child-exit calls, and its faults."""

import os
from pathlib import Path

LIFE = Path(os.environ.get("LIFE", "."))
NOTHING = None


def exited(pid, slot, status):
    with open(LIFE / "ends", "a") as file:
        file.write(f"{pid} {slot} {status} {os.getpid()}\n")
    if (LIFE / "fails").exists():
        raise RuntimeError("told to fail")
    if (LIFE / "ends-itself").exists():
        os._exit(3)
