"""The same pages under servers that do not know of affinity: the interactions must fail there.

    python -m tests.slow.recipes --controls

A server of several processes gives each connection to any of them, and so each request of a
user may meet another memory. Behind the same nginx, the same users press the same buttons. With
one process nothing may fail: so it is the number of processes that makes the difference.

Not every page is a control. nginx keeps its connections, and users who press by turns need one:
all requests of FastAPI's page then meet one process, unless the server closes each connection, as
gunicorn does. NiceGUI's page loads itself again until its WebSocket meets the process of its HTML.
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.slow.recipes.environments import python_of
from tests.slow.recipes.pages import read
from tests.slow.recipes.users import PATIENCE as USUAL
from tests.slow.recipes.users import User, users
from tests.slow.recipes.watched import START_SECONDS, lay
from tests.slow.socketio.fronts import accepts, front
from tests.support.daemon import free_port, wait_for

WORKERS = 4
PATIENCE = 2.0
"""Seconds for an interaction where most fail; elsewhere `USUAL`."""
HEAD = (
    "| framework | server | 20 interactions, 3 users | the same with one process |\n"
    + "|---" * 4
    + "|"
)
# The pages name their worker by STICKYD_SLOT, which other servers do not set.
NAMES_WORKERS = """\
import os

def named():
    os.environ["STICKYD_SLOT"] = str(os.getpid())

named()
os.register_at_fork(after_in_child=named)
"""


@attrs.frozen
class Control:
    """A page under another server.

    :ivar typed: what people type; the number of processes is appended.
    :ivar listens: the option that says where; the port is appended.
    :ivar started: what the server logs for each of its processes.
    """

    name: str
    page: str
    group: str
    typed: str
    listens: str
    started: str


GUNICORN = ("gunicorn main:app --workers", "--bind=127.0.0.1:", "Booting worker")
GTHREAD = ("gunicorn main:app --threads 32 --workers", *GUNICORN[1:])
UVICORN = ("uvicorn main:app --workers", "--port=", "Application startup complete")
CONTROLS = (
    Control("Flask", "flask", "light", *GUNICORN),
    Control("Flask-SocketIO", "flask_socketio", "light", *GTHREAD),
    Control("python-socketio", "python_socketio", "light", *UVICORN),
)


@contextlib.contextmanager
def served(control: Control, processes: int) -> Iterator[int]:
    """The server; its port."""
    port = free_port()
    typed = f"{control.typed} {processes}"
    python = python_of(control.group)
    with tempfile.TemporaryDirectory(prefix="stickyd-control-") as name:
        directory = Path(name)
        lay(read(control.page), directory)
        (directory / "sitecustomize.py").write_text(NAMES_WORKERS)
        log = directory / "server.log"
        with open(log, "w") as output:
            process = subprocess.Popen(
                [python, "-m", *typed.split(), f"{control.listens}{port}"],
                cwd=directory,
                env={**os.environ, "PYTHONPATH": name},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(
                lambda: log.read_text().count(control.started) >= processes and accepts(port),
                START_SECONDS,
                typed,
            )
            yield port
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()}") from None
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def failures(crowd: list[User], interactions: int, patience: float) -> int:
    """How many interactions fail; a page that does not come fails in all of its.

    :param patience: seconds in which a page must come to the next count.
    """
    failed = 0
    there = []
    for user in crowd:
        try:
            user.load()
            there.append(user)
        except AssertionError:
            failed += interactions
    for number in range(1, interactions + 1):
        for user in there:
            try:
                failed += not user.press(number, patience)
            except AssertionError:
                failed += 1
    return failed


def failed_under(control: Control, processes: int, number: int, interactions: int) -> int:
    """How many interactions fail under so many processes."""
    with tempfile.TemporaryDirectory() as profile, served(control, processes) as upstream:
        with front("nginx", upstream) as port:
            url = f"http://127.0.0.1:{port}/"
            with users(os.path.join(profile, "profile"), url, number) as crowd:
                return failures(crowd, interactions, PATIENCE if processes > 1 else USUAL)


def check_control(control: Control, number: int, interactions: int) -> tuple[str, bool]:
    """A row; whether interactions failed as they must, and with one process none."""
    one = failed_under(control, 1, number, interactions)
    several = failed_under(control, WORKERS, number, interactions)
    asked = number * interactions
    cells = (control.name, f"`{control.typed} {WORKERS}`")
    cells += (f"{several} of {asked} failed", f"{one} of {asked} failed")
    return "| " + " | ".join(cells) + " |", several > 0 and one == 0
