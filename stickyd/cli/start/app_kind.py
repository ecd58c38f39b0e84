"""Asks a process of its own what an app is: the daemon imports no app."""

import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
from typing import Any

from stickyd.errors import CannotLoad
from stickyd.settings import Settings


def kind_of(
    settings: Settings,
    name: str,
    credentials: tuple[int, int] | None,
    environment: dict[str, str],
) -> str:
    """The kind of an app: ``asgi``, ``wsgi`` or ``class``.

    It is imported in a process that then ends; what it prints is shown if that fails.

    :param name: ``pkg.mod:name``.
    :param credentials: ids of user and group of the process; None for those of this one.
    :raise CannotLoad: with one line that says why the kind is not known.
    """
    origin, limit = settings.app.origin, settings.lifecycle.start_timeout
    reading, writing = os.pipe()
    words = [name, origin.directory, "factory" if origin.factory else ""]
    with tempfile.TemporaryFile() as printed, open(reading, "rb") as answer:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "stickyd.helper.app_kind", str(writing), *words],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[writing],
                # A group of its own: what the app starts ends with it.
                start_new_session=True,
                **_user(credentials),
            )
        except PermissionError as error:
            raise CannotLoad(f"--uid: cannot switch: {error.strerror}") from None
        finally:
            os.close(writing)
        with process:
            try:
                process.wait(limit or None)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise CannotLoad(f"{name} has not loaded within {limit:g} s") from None
        told = answer.read()
        found: dict[str, str] = json.loads(told) if told else {}
        if "kind" not in found:
            printed.seek(0)
            sys.stderr.write(printed.read().decode("utf-8", "backslashreplace"))
            ended = f"{name}: the process that imported it ended with {process.returncode}"
            raise CannotLoad(found.get("why", ended))
        return found["kind"]


def _user(credentials: tuple[int, int] | None) -> dict[str, Any]:
    if credentials is None:
        return {}
    uid, gid = credentials
    # As `switchUID` of Twisted does.
    groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    return {"user": uid, "group": gid, "extra_groups": groups}
