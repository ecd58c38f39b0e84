"""Asks a process of its own what an app is: the daemon imports no app."""

import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
from typing import Any

from twisted.python import usage
from twisted.python.util import gidFromString, uidFromString

from stickyd.cli.options import Options


def with_kind(options: Options, name: str, environment: dict[str, str]) -> str:
    """The option that names an app, such as ``--asgi=pkg.mod:app``.

    The app is imported as the user of the workers, in a process that then ends; what it prints is
    shown if that fails.

    :param options: as given, with ``--app-dir``, ``--start-timeout`` and ``--uid``.
    :param name: ``pkg.mod:name``.
    :raise usage.UsageError: with one line that says why the kind is not known.
    """
    settings = options.settings
    limit = settings.lifecycle.start_timeout
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as printed, open(reading, "rb") as answer:
        try:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "stickyd.helper.app_kind", str(writing), name),
                    *(
                        settings.app.origin.directory,
                        "factory" if settings.app.origin.factory else "",
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[writing],
                # A group of its own: what the app starts ends with it.
                start_new_session=True,
                **_user(options),
            )
        except PermissionError as error:
            raise usage.UsageError(f"--uid: cannot switch: {error.strerror}") from None
        finally:
            os.close(writing)
        with process:
            try:
                process.wait(limit or None)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise usage.UsageError(f"{name} has not loaded within {limit:g} s") from None
        told = answer.read()
        found: dict[str, str] = json.loads(told) if told else {}
        if "kind" not in found:
            printed.seek(0)
            sys.stderr.write(printed.read().decode("utf-8", "backslashreplace"))
            ended = f"{name}: the process that imported it ended with {process.returncode}"
            raise usage.UsageError(found.get("why", ended))
        return f"--{found['kind']}={name}"


def _user(options: Options) -> dict[str, Any]:
    """The credentials that workers will have."""
    if options.get("uid") is None:
        return {}
    uid = uidFromString(options["uid"])
    gid = pwd.getpwuid(uid).pw_gid if options["gid"] is None else gidFromString(options["gid"])
    # As `switchUID` of Twisted does.
    groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    return {"user": uid, "group": gid, "extra_groups": groups}
