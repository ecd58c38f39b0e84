"""The control of several programs here: the same app under uvicorn on several workers."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

from tests.support.daemon import ROOT, free_port, wait_for


@contextlib.contextmanager
def uvicorn(
    app: str,
    workers: int,
    python: str = sys.executable,
    environment: dict[str, str] | None = None,
) -> Iterator[int]:
    """uvicorn, once all its workers serve; its port.

    :param python: the interpreter that has the app's libraries.
    """
    port = free_port()
    process = subprocess.Popen(
        [
            *(python, "-m", "uvicorn", app, "--port", str(port)),
            *("--workers", str(workers), "--no-access-log"),
            # Otherwise it waits for every connection that is left.
            *("--timeout-graceful-shutdown", "1"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'apps'}",
            **(environment or {}),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        started = "Application startup complete"
        wait_for(lambda: sum(started in line for line in lines) >= workers, 60, "uvicorn's workers")
        yield port
    except AssertionError:
        print("".join(lines), file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(60)
        reader.join(10)
