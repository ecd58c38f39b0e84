"""Start and memory of heavy apps, with and without a template process: ``--preload``.

    python -m benchmarks.preload [--rounds N] [--only APP ...] [--servers NAME ...]

Each app runs in four workers under each server, in turn. *Start* is from exec to the line that says
that the last worker is ready; *CPU* is what the processes have used by then. *PSS* is the sum over
all processes of the server (/proc/PID/smaps_rollup), when every worker has answered ten requests or
more and 2 s have passed. The packages are installed into benchmarks/.peers/preload, once.
"""

import argparse
import configparser
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.daemon import ROOT, free_port

WORKERS = 4
SETTLE = 2.0
START_MOST = 180.0
REQUESTS, REQUESTS_MOST = 10, 2000
AGREED = 1.2
"""stickyd --preload takes at most so many times the memory of gunicorn --preload."""

PEERS = ROOT / "benchmarks" / ".peers" / "preload"
PACKAGES = (
    "gunicorn==27.0.1",
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "httptools==0.9.0",
    "websockets",
    "fastapi==0.165.0",
    "panel==1.9.4",
    "bokeh==3.9.2",
    "bokeh-fastapi==0.1.8",
    "pandas==3.1.1",
    "gradio==6.31.0",
)

_SMALL = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"hello": "world"}
"""

_PANEL = """
import pandas
import panel
from fastapi import FastAPI
from panel.io.fastapi import add_application

app = FastAPI()


@add_application("/", app=app, title="Table")
def page():
    frame = pandas.DataFrame({"x": range(10), "y": range(10)})
    return panel.Column(panel.pane.DataFrame(frame))
"""

_GRADIO = """
import gradio
from fastapi import FastAPI

with gradio.Blocks() as page:
    state = gradio.State(0)
    said = gradio.HTML("0")
    gradio.Button("Count").click(lambda n: (n + 1, str(n + 1)), state, [state, said])

app = gradio.mount_gradio_app(FastAPI(), page, path="/")
"""

# The answers say who has made them.
_PID = """

def with_pid(inner):
    import os

    async def outer(scope, receive, send):
        async def sent(message):
            if message["type"] == "http.response.start":
                pid = (b"x-pid", b"%d" % os.getpid())
                message = {**message, "headers": [*message["headers"], pid]}
            await send(message)

        await inner(scope, receive, sent if scope["type"] == "http" else send)

    return outer


app = with_pid(app)
"""

APPS = {"FastAPI, small": _SMALL + _PID, "Panel, pandas": _PANEL + _PID, "Gradio": _GRADIO + _PID}

_UVICORN_WORKER = ("-k", "uvicorn.workers.UvicornWorker", "--workers", str(WORKERS))
# Without --asgi it imports the app once more, to find out its kind.
_APP = ("--asgi", "main:app", "--affinity-scope", "request")
SERVERS: dict[str, tuple[str, ...]] = {
    "stickyd": ("-m", "stickyd", "run", *_APP),
    "stickyd --preload": ("-m", "stickyd", "run", *_APP, "--preload"),
    "uvicorn --workers": ("-m", "uvicorn", "main:app"),
    "gunicorn": ("-m", "gunicorn", "main:app", *_UVICORN_WORKER),
    "gunicorn --preload": ("-m", "gunicorn", "main:app", *_UVICORN_WORKER, "--preload"),
}
_MINE, _THEIRS = "stickyd --preload", "gunicorn --preload"

STARTED = "Application startup complete"
"""uvicorn says it in each worker."""


def python() -> str:
    """The interpreter that has the packages, and what stickyd needs."""
    found, stamp = PEERS / "venv" / "bin" / "python", PEERS / "installed"
    if not stamp.exists() or stamp.read_text() != "\n".join(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", PEERS / "venv"], check=True)
        pip = [found, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        ours = configparser.ConfigParser()
        ours.read(ROOT / "setup.cfg")
        needed = ours["options"]["install_requires"].split("\n")
        subprocess.run([*pip, *PACKAGES, *filter(None, needed)], check=True)
        stamp.write_text("\n".join(PACKAGES))
    return str(found)


def tree(root: int) -> list[int]:
    """A process and those below it."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def pss(pid: int) -> int:
    """Bytes of memory; what is shared counts in parts (proc_pid_smaps(5))."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Pss")


def used(root: int) -> float:
    """Seconds of CPU that a process and those below it have used, ended ones included."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def command(server: str, port: int) -> list[str]:
    """The arguments of a server behind the interpreter."""
    words = list(SERVERS[server])
    if "gunicorn" in words:
        return [*words, "--bind", f"127.0.0.1:{port}", "--log-level", "info"]
    return [*words, "--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS)]


@contextlib.contextmanager
def running(server: str, source: str) -> Iterator[tuple[subprocess.Popen[str], int, float]]:
    """A server that is ready: its process, port, and seconds that it took."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="stickyd-preload-") as directory:
        Path(directory, "main.py").write_text(source)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRADIO_ANALYTICS_ENABLED": "0"}
        environment["PYTHONWARNINGS"] = "ignore"
        began = time.monotonic()
        process = subprocess.Popen(
            [python(), *command(server, port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=environment,
        )
        lines: list[str] = []
        ready = threading.Event()
        took: list[float] = []

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                started = sum(STARTED in each for each in lines) == WORKERS
                if not took and (started or " is ready: " in line):
                    took.append(time.monotonic() - began)
                    ready.set()
            ready.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            if not ready.wait(START_MOST) or not took:
                raise RuntimeError(f"{server} is not ready:\n" + "".join(lines))
            yield process, port, took[0]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join(5)


def ask(port: int) -> None:
    """Requests of many clients at a time, until every worker has answered ten."""
    answered: Counter[str] = Counter()

    def one(number: int) -> None:
        headers = {"X-Forwarded-For": f"10.0.{number % 250}.1", "Connection": "close"}
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            answer.read()
            answered[answer.headers["x-pid"]] += 1

    with ThreadPoolExecutor(2 * WORKERS) as pool:
        for first in range(0, REQUESTS_MOST, 20):
            list(pool.map(one, range(first, first + 20)))
            if len(answered) == WORKERS and min(answered.values()) >= REQUESTS:
                return
    raise RuntimeError(f"not every worker answers: {answered}")


def measure(server: str, source: str) -> dict[str, float]:
    """Seconds to start, and memory in MiB: of all, and of each process."""
    with running(server, source) as (process, port, took):
        cpu = used(process.pid)
        ask(port)
        time.sleep(SETTLE)
        sizes = [pss(pid) / 2**20 for pid in tree(process.pid)]
    return {"start": took, "cpu": cpu, "pss": sum(sizes), "processes": len(sizes)}


def main() -> None:
    """Measure, and print a table in Markdown, and the ratio that was agreed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(APPS))
    parser.add_argument("--servers", nargs="*", default=list(SERVERS))
    chosen = parser.parse_args()
    failed = False
    print("| app | server | start, s | CPU, s | PSS, MiB | processes |\n|---|---|---|---|---|---|")
    for app in chosen.only:
        rounds: dict[str, list[dict[str, float]]] = {server: [] for server in chosen.servers}
        for _ in range(chosen.rounds):
            for server in chosen.servers:
                rounds[server].append(measure(server, APPS[app]))
        medians = {
            server: {name: statistics.median(each[name] for each in found) for name in found[0]}
            for server, found in rounds.items()
        }
        for server, found in medians.items():
            row = (app, server, f"{found['start']:.1f}", f"{found['cpu']:.1f}")
            row += (f"{found['pss']:.0f}", f"{found['processes']:.0f}")
            print(f"| {' | '.join(row)} |", flush=True)
        if {_MINE, _THEIRS} <= set(medians):
            ratio = medians[_MINE]["pss"] / medians[_THEIRS]["pss"]
            failed |= ratio > AGREED
            print(json.dumps({"app": app, "ratio": round(ratio, 2), "agreed": AGREED}), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
