"""``python -m stickyd.worker.template FD``: imports the app once, and forks workers from it.

``FD`` is its end of a channel to the master (`stickyd.ipc.fork_channel`). It has no reactor, which
the workers could not share, and one thread, unless the app starts more.
"""

import gc
import os
import signal
import socket
import sys
from typing import NoReturn

from twisted.logger import Logger

from stickyd.errors import CannotLoad
from stickyd.ipc.control_channel import loop_among
from stickyd.ipc.fork_channel import Message, receive_message, send_message
from stickyd.logs.record import tag_among
from stickyd.net.own_descriptors import open_descriptors
from stickyd.process import HELD_BACK, ignore_signals, import_from_directory, unblock_signals
from stickyd.settings import Settings
from stickyd.worker.apps.loader import preload_app
from stickyd.worker.importer import with_traceback
from stickyd.worker.process import ProcessLog, install_reactor, prepare, run
from stickyd.worker.runtime.later_reactor import Places, stand_in
from stickyd.worker.template import leftovers
from stickyd.worker.template.fork import fork_away, try_fork
from stickyd.worker.template.warm import import_what_libraries_need, import_what_workers_need

_log = Logger("stickyd")

_SIGNALS = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}


class Template:
    """What is imported, and how workers come from it."""

    def __init__(self, channel: socket.socket, log: ProcessLog) -> None:
        self._channel = channel
        self._log = log

    def load(self, settings: Settings) -> None:
        """Import the app.

        :raise CannotLoad: with one line that says why.
        """
        if settings.app.origin.directory:
            import_from_directory(settings.app.origin.directory)
        import_what_workers_need(settings.app.kind)
        later = stand_in()
        before, handlers = open_descriptors(), _handlers()
        preload_app(settings)
        import_what_libraries_need()
        self._places = Places(later)
        # Workers install their own later than one does that imports the app.
        self._handlers = {
            number: handler
            for number, handler in _handlers().items()
            if handler != handlers.get(number)
        }
        try_fork()
        opened = leftovers.files(sorted(open_descriptors() - before))
        lines = leftovers.of_threads(leftovers.threads()), leftovers.of_files(opened)
        for line in filter(None, lines):
            _log.warn("--preload: {line}", line=line)
        # No collection of a worker looks at these objects, which would unshare their memory.
        gc.collect()
        gc.freeze()

    def fork(self, request: Message, descriptors: list[int]) -> int | None:
        """Fork a worker, and answer the master.

        :return: in the worker its end of the control channel; None in this process.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        answer: Message
        try:
            pid = fork_away()
            answer = {"pid": pid}
        except OSError as error:
            pid, answer = -1, {"error": str(error)}
        if pid == 0:
            return self._begin(request, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        unblock_signals()
        send_message(self._channel, answer)
        return None

    def _begin(self, request: Message, channel: int, output: int) -> int:
        """Become a process as one that the master has spawned."""
        self._channel.close()
        # It leads a group of its own, as do the processes that the app starts.
        os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        sys.argv[1:] = [str(channel), *request["options"]]
        self._log.mark(tag_among(sys.argv))
        _seed_again()
        self._places.clear()
        return channel

    def run(self, channel: int) -> None:
        """In a worker: run."""
        installed = install_reactor(loop_among(sys.argv))
        self._places.put(installed[0])
        run(channel, self._log, installed, self._handlers)


def _handlers() -> dict[int, object]:
    """The signal handlers that Python knows."""
    found = {int(number): signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in found.items() if handler is not None}


def _seed_again() -> None:
    """Otherwise the global generator of all workers has the same state; `random` does it itself."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def main() -> None:
    """Serve the master until it closes the channel; in a worker, until that has ended."""
    log = prepare(tag_among(sys.argv))
    # Those of the master's process group; SIGTERM ends this process.
    ignore_signals(HELD_BACK - {signal.SIGTERM})
    unblock_signals()
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    first = receive_message(channel)
    if first is None:
        return
    settings = Settings.from_text(first[0]["settings"])
    template = Template(channel, log)
    try:
        template.load(settings)
    except CannotLoad as error:
        told = with_traceback(error) if settings.app.display_tracebacks else error
        send_message(channel, {"cannot_load": str(told)})
        _end()
    send_message(channel, {})
    while (received := receive_message(channel)) is not None:
        of_worker = template.fork(*received)
        if of_worker is not None:
            template.run(of_worker)
            return
    _end()


def _end() -> NoReturn:
    """End without the app's handlers (`atexit`): its workers may still use what they remove."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
