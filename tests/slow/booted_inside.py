"""What must hold under a real systemd; runs inside the system that `tests.slow.booted` boots."""

import json
import os
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path

from tests.support.daemon import Reader, read_all, request, wait_for

PORT = 3000
RESULT = Path("/srv/probe/result")
DROP_IN = Path("/etc/systemd/system/stickyd.service.d/test.conf")
# systemd refuses a sixth start within 10 s, which a fast machine gets to (systemd.unit(5)).
NO_START_LIMIT = "[Unit]\nStartLimitIntervalSec=0\n"

# So that a signal can make the master hang, as a bug would.
HANG = "import signal, time\nsignal.signal(signal.SIGWINCH, lambda *_: time.sleep(3600))\n"
APP = """
import json, os, pathlib
from twisted.web.resource import Resource
class App(Resource):
    isLeaf = True
    def render_GET(self, request):
        return json.dumps({
            "pid": os.getpid(), "uids": os.getresuid(), "groups": os.getgroups(),
            "seed": os.environ.get("STICKYD_SEED"),
            "status": pathlib.Path("/proc/self/status").read_text(),
            "environment": sorted(os.environ),
        }).encode()
"""


def systemctl(*arguments: str) -> str:
    ended = subprocess.run(["systemctl", *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended
    return ended.stdout.strip()


def show(name: str, unit: str = "stickyd.service") -> str:
    return systemctl("show", "--value", "-p", name, unit)


def journal() -> str:
    command = ["journalctl", "-u", "stickyd", "-o", "cat", "--no-pager"]
    return subprocess.run(command, capture_output=True, text=True).stdout


def ask() -> dict:
    with socket.create_connection(("127.0.0.1", PORT), 20) as sock:
        sock.sendall(request("10.10.10.10"))
        return json.loads(Reader(sock).response().body)


def settled(status: str) -> None:
    wait_for(lambda: show("StatusText") == status, 30, f"status {status!r}")


def a_connection_starts_it() -> None:
    systemctl("start", "stickyd.socket")
    assert show("ActiveState") == "inactive"
    ask()
    wait_for(lambda: show("ActiveState") == "active", 30, "active")
    settled("2 of 2 workers ready, generation 1")


def it_has_the_secret_seed_and_few_rights() -> None:
    about = ask()
    assert 0 not in about["uids"], about["uids"]
    assert int(about["seed"]) > 2**64, about["seed"]
    assert "NOTIFY_SOCKET" not in about["environment"]
    status = dict(line.split(":\t", 1) for line in about["status"].splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1", status["NoNewPrivs"]
    assert status["Seccomp"] == "2", status["Seccomp"]
    assert int(status["CapBnd"], 16) == 0, status["CapBnd"]
    log = journal()
    assert "seed 1 is public" not in log, log
    assert "runs as root" not in log, log
    assert "Traceback" not in log, log
    assert "cache" not in log, log


def the_control_socket_answers() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("/run/stickyd/control")
        assert json.loads(read_all(sock))["generation"] == 1


def reload_replaces_the_workers() -> None:
    before, master = ask()["pid"], show("MainPID")
    systemctl("reload", "stickyd")
    settled("2 of 2 workers ready, generation 2")
    assert show("ActiveState") == "active"
    assert ask()["pid"] != before
    assert show("MainPID") == master


def a_worker_that_dies_is_replaced() -> None:
    before, master = ask()["pid"], show("MainPID")
    os.kill(before, 9)
    wait_for(lambda: ask()["pid"] != before, 30, "a replacement")
    settled("2 of 2 workers ready, generation 2")
    assert show("MainPID") == master


def restart_refuses_nobody() -> None:
    counts: dict[str, int] = {}
    over = threading.Event()

    def on_and_on() -> None:
        while not over.is_set():
            try:
                what = "answered" if "pid" in ask() else "?"
            except Exception as error:
                what = repr(error)
            counts[what] = counts.get(what, 0) + 1

    clients = [threading.Thread(target=on_and_on) for _ in range(4)]
    for client in clients:
        client.start()
    for _ in range(5):
        systemctl("restart", "stickyd")
    over.set()
    for client in clients:
        client.join()
    assert list(counts) == ["answered"], counts
    assert show("NRestarts") == "0"


def a_killed_master_is_started_again() -> None:
    master = show("MainPID")
    os.kill(int(master), 9)
    ask()
    assert show("MainPID") not in (master, "0")
    assert show("NRestarts") == "1"


def a_hanging_master_is_started_again() -> None:
    settled("2 of 2 workers ready, generation 1")
    master = show("MainPID")
    os.kill(int(master), 28)
    wait_for(lambda: show("NRestarts") == "2", 60, "the watchdog")
    ask()
    assert show("MainPID") not in (master, "0")
    # What it was doing is in the journal.
    wait_for(lambda: "sitecustomize.py" in journal(), what="a stack")


def stop_leaves_nothing() -> None:
    settled("2 of 2 workers ready, generation 1")
    systemctl("stop", "stickyd.service")
    assert show("Result") == "success", show("Result")
    assert not os.path.exists("/run/stickyd")
    assert show("ActiveState", "stickyd.socket") == "active"


def wrong_options_are_not_tried_again() -> None:
    DROP_IN.write_text(f"{NO_START_LIMIT}[Service]\nEnvironment=STICKYD_OPTIONS=--workers=none\n")
    Path("/etc/default/stickyd").unlink()
    systemctl("daemon-reload")
    tries = journal().count("--workers")
    failed = subprocess.run(["systemctl", "start", "stickyd.service"], capture_output=True)
    assert failed.returncode
    assert show("ActiveState") == "failed"
    assert journal().count("--workers") == tries + 1


CHECKS = {
    check.__name__: check
    for check in (
        a_connection_starts_it,
        it_has_the_secret_seed_and_few_rights,
        the_control_socket_answers,
        reload_replaces_the_workers,
        a_worker_that_dies_is_replaced,
        restart_refuses_nobody,
        a_killed_master_is_started_again,
        a_hanging_master_is_started_again,
        stop_leaves_nothing,
        wrong_options_are_not_tried_again,
    )
}


def main() -> int:
    """One line of JSON for each check; later ones go on from where earlier ones leave it."""
    os.makedirs("/srv/stickyd", exist_ok=True)
    Path("/srv/stickyd/probed.py").write_text(APP)
    os.makedirs("/srv/hang", exist_ok=True)
    Path("/srv/hang/sitecustomize.py").write_text(HANG)
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(
        f"{NO_START_LIMIT}[Service]\nEnvironment=PYTHONPATH=/srv/hang\n"
        "WatchdogSec=4\nTimeoutAbortSec=5\n"
    )
    with open("/etc/default/stickyd", "a") as default:
        default.write('STICKYD_OPTIONS="-w 2 --class probed:App"\n')
    systemctl("daemon-reload")
    with RESULT.open("a") as result:
        for name, check in CHECKS.items():
            said = "ok"
            try:
                check()
            except Exception:
                said = f"{traceback.format_exc()}\n{journal()}"
            result.write(json.dumps({"check": name, "said": said}) + "\n")
            result.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
