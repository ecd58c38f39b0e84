"""The ``stickyd`` console command."""

import pwd
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from twisted.python import usage
from twisted.python.util import gidFromString, switchUID, uidFromString

from stickyd import __version__
from stickyd.cli.app_options import KINDS
from stickyd.cli.arguments import options_first
from stickyd.cli.closed_pipe import status_of
from stickyd.cli.command_tables import CHECK, COMMANDS, RUN, TABLES
from stickyd.cli.completion import SHELLS
from stickyd.cli.explain import ExplainOptions, Refused, explain
from stickyd.cli.option import Option
from stickyd.cli.options import Options, with_implied_values
from stickyd.cli.start.app_kind import kind_of
from stickyd.cli.table_options import as_options, flags, parameters
from stickyd.errors import CannotLoad
from stickyd.routing.affinity import parse_chain
from stickyd.routing.chain_warnings import warnings

_USAGE = "\n".join(
    [
        "Usage: stickyd COMMAND [options]",
        "",
        "Commands:",
        *(f"  {name:10}  {meaning}" for name, meaning in COMMANDS.items()),
        "",
        "'stickyd COMMAND --help' shows the options of a command.",
    ]
)


class RunOptions(Options):
    """The options of ``stickyd run``: those of the daemon, and some that are passed to twistd."""

    synopsis = "Usage: stickyd run [options] [APP]"

    table: ClassVar[tuple[Option, ...]] = (*Options.table, *RUN)

    optParameters = parameters(RUN)

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but the app and options may stand in any order."""
        with_value = {
            *(f"--{option.name}" for option in self.table if option.takes_value),
            *(f"-{option.short}" for option in self.table if option.takes_value and option.short),
        }
        words = options_first(with_implied_values(as_options(options)), with_value)
        self.without_app = words[: words.index("--")]
        super().parseOptions(words)

    def parseArgs(self, *names: str) -> None:
        """The app, of a kind that is found out."""
        if len(names) > 1:
            raise usage.UsageError(f"{names[1]!a}: the workers run one app, {names[0]!a}")
        for kind in KINDS if names else ():
            if self[kind] is not None:
                raise usage.UsageError(f"--{kind} and {names[0]!a}: the workers run one app")
        self["app"] = names[0] if names else None

    def postOptions(self) -> None:
        """Check what would make twistd print a traceback."""
        super().postOptions()
        for option, known in (("uid", _user_exists), ("gid", _group_exists)):
            try:
                if self[option] is not None:
                    known(self[option])
            except (KeyError, OverflowError):
                raise usage.UsageError(f"--{option}: there is no {self[option]!r}") from None
        if self["gid"] is not None and self["uid"] is None:
            raise usage.UsageError("--gid alone would keep the privileges of root: give --uid, too")

    def credentials(self) -> tuple[int, int] | None:
        """The ids of user and group that workers will have; None for those of this process."""
        if self["uid"] is None:
            return None
        uid, gid = uidFromString(self["uid"]), self["gid"]
        return uid, pwd.getpwuid(uid).pw_gid if gid is None else gidFromString(gid)


class CheckOptions(RunOptions):
    """The options of ``stickyd check``: those of ``run``, and ``--load``."""

    synopsis = "Usage: stickyd check [--load] [options of 'run']"

    table: ClassVar[tuple[Option, ...]] = (*RunOptions.table, *CHECK)

    optFlags = flags(CHECK)


def _user_exists(text: str) -> None:
    # initgroups(3) wants a user that has a name.
    pwd.getpwuid(uidFromString(text))


def _group_exists(text: str) -> None:
    if not 0 <= gidFromString(text) < 2**32 - 1:
        raise KeyError(text)


def _twistds(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """twistd's own options among ``arguments``, and the others."""
    own: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, _ = argument.partition("=")
        if name not in ("--uid", "--gid"):
            others.append(argument)
        else:
            own += [argument] if equals else [argument, next(rest)]
    return own, others


def _run(arguments: Sequence[str]) -> int:
    # Checked here, too, so that error lines begin with 'stickyd' and not with 'twistd'.
    options = RunOptions()
    options.parseOptions(list(arguments))
    words = _with_app(options)
    from twisted.scripts import twistd

    own, others = _twistds(words)
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", *own, "stickyd", *others]
    twistd.run()
    return 0


def _with_app(options: RunOptions) -> list[str]:
    """The options on the command line; the app by the option of its kind.

    If that cannot be told, an error is one line on stderr and exit status 1.
    """
    if options["app"] is None:
        return options.without_app
    from stickyd.master.supervisor.spawn import apps_environment

    settings = options.settings
    environment = apps_environment(settings.app)
    try:
        kind = kind_of(settings, options["app"], options.credentials(), environment)
    except CannotLoad as error:
        sys.stderr.write(f"stickyd: {error}\n")
        raise SystemExit(1) from None
    return [*options.without_app, f"--{kind}={options['app']}"]


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


def _check(arguments: Sequence[str]) -> int:
    # The service, too: an import that fails is found here.
    import stickyd.master.service  # noqa: F401
    from stickyd.master.upgrade import refusal_of_format

    options = list(arguments)
    # Given by a master that is about to be replaced by this program (USR2).
    format_of_master = options.pop(0) if options and options[0].startswith("--format=") else None
    refusal = refusal_of_format(format_of_master)
    if refusal:
        print(f"stickyd: {refusal}")
        return 3
    checked = CheckOptions()
    checked.parseOptions(options)
    if checked["app"] is not None and checked["load"]:
        words = _with_app(checked)
        checked = CheckOptions()
        checked.parseOptions(words)
    routing = checked.settings.routing
    proxies = routing.proxy.protocol != "off"
    for line in warnings(parse_chain(routing.affinity), routing.scope, routing.trusted, proxies):
        sys.stderr.write(f"stickyd: warning: {line}\n")
    right = f"stickyd {__version__}: the options are right"
    unchecked = ["whether the ports are free"]
    if checked["load"]:
        why = _load(checked)
        if why:
            sys.stderr.write(f"stickyd: {why}\n")
            return 1
        right += ", and the app loads"
    elif names := _named(checked):
        unchecked.insert(0, f"whether {' and '.join(names)} can be loaded (--load)")
    print(f"{right}; not checked: {', '.join(unchecked)}")
    return 0


def _named(options: CheckOptions) -> list[str]:
    """The app and the options that name something that workers import, as given."""
    settings = options.settings
    kind, name = settings.app.kind, settings.app.name
    named = [f"--{kind} {name}"] if kind in ("class", "wsgi", "asgi") else []
    if options["app"] is not None:
        named = [options["app"]]
    on_retire = settings.app.on_retire
    return [*named, f"--on-retire {on_retire}"] if on_retire else named


def _load(options: CheckOptions) -> str:
    """Load the app as the user of the daemon; the reason of a failure, or ""."""
    from twisted.internet import reactor

    from stickyd.master.load_check import load_once

    credentials = options.credentials()
    if credentials is not None:
        try:
            switchUID(*credentials)
        except OSError as error:
            return f"--uid: cannot switch to {options['uid']}: {error.strerror}"
    return load_once(reactor, options.settings)


def _completion(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        sys.stderr.write("stickyd completion: which shell? bash, zsh or fish\n")
        return 2
    tables = {**dict.fromkeys(COMMANDS, ()), **TABLES}
    tables |= {"run": RunOptions.table, "check": CheckOptions.table}
    sys.stdout.write(SHELLS[arguments[0]](tables))
    return 0


def _verify(arguments: Sequence[str]) -> int:
    from stickyd.cli.verify.command import verify

    return verify(arguments)


def _replay(arguments: Sequence[str]) -> int:
    from stickyd.cli.replay.command import replay

    return replay(arguments)


def _status(arguments: Sequence[str]) -> int:
    from stickyd.cli.status.command import status

    return status(arguments)


def _top(arguments: Sequence[str]) -> int:
    from stickyd.cli.status.top import top

    return top(arguments)


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": _run,
    "explain": _explain,
    "check": _check,
    "completion": _completion,
    "replay": _replay,
    "status": _status,
    "top": _top,
    "verify": _verify,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    return status_of(lambda: _command(given))


def _command(arguments: Sequence[str]) -> int:
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
