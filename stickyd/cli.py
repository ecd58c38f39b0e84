"""The ``stickyd`` console command."""

import sys
from collections.abc import Callable, Sequence

from twisted.python import usage

from stickyd.explain import ExplainOptions, Refused, explain
from stickyd.options import Options

_USAGE = """Usage: stickyd COMMAND [options]

Commands:
  run      Run the daemon in the foreground; the options of 'twistd -n stickyd'.
  explain  Say which slot serves a key, and why. Needs no server.
  verify   Ask any server whether every request reaches its client's own worker.

'stickyd COMMAND --help' tells the options of a command."""


def _run(arguments: Sequence[str]) -> int:
    # Checked here too, so that a wrong option says 'stickyd' and not 'twistd'.
    Options().parseOptions(list(arguments))
    from twisted.scripts import twistd

    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "stickyd", *arguments]
    twistd.run()
    return 0


def _explain(arguments: Sequence[str]) -> int:
    options = ExplainOptions()
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as error:
        sys.stderr.write(f"stickyd explain: {error}\n")
        return 2
    try:
        print("\n".join(explain(options)))
    except Refused as refused:
        print(refused)
        return 1
    return 0


def _verify(arguments: Sequence[str]) -> int:
    from stickyd.verify.command import verify

    return verify(arguments)


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": _run,
    "explain": _explain,
    "verify": _verify,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0
    if arguments[0] == "--version":
        Options().opt_version()
    command = _COMMANDS.get(arguments[0])
    if command is None:
        sys.stderr.write(f"stickyd: no command {arguments[0]!r} (try: stickyd --help)\n")
        return 2
    return command(arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
