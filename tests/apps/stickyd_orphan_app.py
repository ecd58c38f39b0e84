"""An app that starts processes."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from twisted.web.resource import Resource

KEPT = []

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"


def pool(method):
    executor = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))
    KEPT.append(executor)
    pids = {executor.submit(os.getpid).result()}
    for _ in range(2):
        executor.submit(time.sleep, 0.01)
    pids |= set(executor._processes)
    return sorted(pids)


def child(*command, **how):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **how)
    KEPT.append(process)
    return process.pid


class App(Resource):
    isLeaf = True

    def render_GET(self, request):
        return json.dumps(getattr(self, request.path.decode().strip("/") or "own")()).encode()

    def own(self):
        return [os.getpid()]

    def all(self):
        shell = child("sh", "-c", "sleep 1000 & echo $!; wait", stdout=subprocess.PIPE)
        below = int(KEPT[-1].stdout.readline())
        return [*pool("fork"), *pool("spawn"), child("sleep", "1000"), shell, below]

    def stubborn(self):
        # Longer than any test: only SIGKILL ends it.
        code = f"{STUBBORN}; time.sleep(1000)"
        pid = child(sys.executable, "-c", code, stdout=subprocess.PIPE)
        KEPT[-1].stdout.readline()
        return [pid]

    def detached(self):
        return [child("sleep", "1000", start_new_session=True)]

    def adopted(self):
        """Processes whose own parents have ended, in sessions of their own."""
        ended = [subprocess.run(["sh", "-c", "setsid true & exit 0"]) for _ in range(3)]
        return [each.returncode for each in ended]

    def terminated(self):
        """The exit code of a forked process that is told to end."""
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
        process.start()
        process.terminate()
        process.join(20)
        code = process.exitcode
        process.kill()
        process.join()
        return [code]
