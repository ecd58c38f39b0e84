"""The options of the daemon, for twistd, twist and ``stickyd run`` alike."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from twisted.python import usage

from stickyd import __version__
from stickyd.cli import app_options, validators
from stickyd.cli.option import Option
from stickyd.cli.option_table import BY_NAME, DAEMON
from stickyd.cli.parsers import bind_scheme
from stickyd.cli.pidfile import accepts_connections, remove_stale_once
from stickyd.cli.start.config_file import layer_of_file
from stickyd.cli.start.layers import beside, of_environment
from stickyd.cli.start.other_servers import with_meaning
from stickyd.cli.table_options import TableOptions, flags, parameters, parsed
from stickyd.net.listen_description import tls_in
from stickyd.settings import Json, Settings

RELOAD = frozenset({"reload", "reload-dir", "reload-include", "reload-exclude"})

# Read together with others: see `Options._settings`.
_PAIRS = ("ssl-certfile", "ssl-keyfile")
_APART = frozenset({"class", "wsgi", "asgi", "path", "redirect-http", *_PAIRS}) | RELOAD
_REPEATED = ("listen", "bind", *_PAIRS)
_IMPLYING = {f"--{o.name}": o.argument.implied for o in DAEMON if o.argument.implied}


class Options(TableOptions):
    """The options of the daemon.

    Once parsed, ``settings`` and ``arguments`` are what the service is made from.
    """

    synopsis = "[options]"
    longdesc = "Keep every client with its own worker process."
    table: ClassVar[tuple[Option, ...]] = DAEMON

    optParameters = parameters(DAEMON)
    optFlags = flags(DAEMON)

    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        for name in (*_REPEATED, *(RELOAD - {"reload"})):
            self[name] = []
        self["worker-header"] = self["request-id"] = None
        self.arguments: list[str] = []

    def parseArgs(self, *others: str) -> None:
        """Refuse positional arguments."""
        if others:
            raise usage.UsageError(
                f"{others[0]!a} is no option: name the app with --asgi, --wsgi or --class,"
                " or use 'stickyd run'"
            )

    def opt_listen(self, description: str) -> None:
        """See the option table."""
        self["listen"].append(description)

    def opt_bind(self, address: str) -> None:
        """See the option table."""
        self["bind"].append(address)

    opt_b = opt_bind

    def opt_ssl_certfile(self, path: str) -> None:
        """See the option table."""
        self["ssl-certfile"].append(path)

    def opt_ssl_keyfile(self, path: str) -> None:
        """See the option table."""
        self["ssl-keyfile"].append(path)

    def opt_reload_dir(self, directory: str) -> None:
        """See the option table."""
        self["reload-dir"].append(directory)

    def opt_reload_include(self, pattern: str) -> None:
        """See the option table."""
        self["reload-include"].append(pattern)

    def opt_reload_exclude(self, pattern: str) -> None:
        """See the option table."""
        self["reload-exclude"].append(pattern)

    def opt_worker_header(self, name: str) -> None:
        """See the option table."""
        self["worker-header"] = name

    def opt_request_id(self, name: str) -> None:
        """See the option table."""
        self["request-id"] = name

    def opt_version(self) -> None:
        """Print the version, and whether the compiled core is in use; exit."""
        from stickyd.core.native import CORE

        print(f"stickyd {__version__} ({CORE})")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but an error is one line on stderr and exit status 2."""
        self.arguments = list(sys.argv[1:] if options is None else options)
        try:
            super().parseOptions(with_implied_values(self.arguments))
        except usage.UsageError as error:
            sys.stderr.write(f"stickyd: {with_meaning(str(error))}\n")
            raise SystemExit(2) from None

    def postOptions(self) -> None:
        """Check everything before a port is bound or a process spawned."""
        self._fill_in()
        validators.check_twistd_log(self.parent, self["log-format"])
        addresses = list(self._addresses())
        if not addresses:
            addresses.append((BY_NAME["listen"].default.text, bool(self["ssl-certfile"])))
        redirect = self.value(BY_NAME["redirect-http"])
        self._redirects = (len(addresses),) if redirect else ()
        if redirect:
            addresses.append((str(redirect), False))
        self["listen"] = [description for description, _ in addresses]
        self._over_tls = tuple(at for at, (_, tls) in enumerate(addresses) if tls)
        for description in self["listen"]:
            validators.check_endpoint(description)
        self.settings = self._settings()
        validators.check_certificates(self.settings)
        if self.settings.log.admin:
            validators.check_endpoint(self.settings.log.admin, "--admin")
        # twistd reads the file of --pidfile after this; twist and `stickyd run` have none.
        file = self.parent.get("pidfile") if self.parent is not None else None
        remove_stale_once(file or "", lambda: accepts_connections(self["listen"], self["control"]))

    def _fill_in(self) -> None:
        """Take what the command line does not give from the environment and the file."""
        given = {option.name for option in DAEMON if self[option.name]}
        try:
            variables = of_environment(DAEMON, os.environ)
            if "config" in variables:
                self["config"] = self["config"] or variables["config"].texts[0]
            layers = beside(given, (variables, layer_of_file(self["config"])))
        except ValueError as error:
            raise usage.UsageError(str(error)) from None
        for name, value in layers.items():
            option = BY_NAME[name]
            self.labels[name] = value.label
            if option.argument.repeatable:
                self[name] = list(value.texts)
            elif not option.takes_value:
                self[name] = len(value.texts)
            elif value.texts:
                self[name] = value.texts[0] or option.argument.implied

    def _addresses(self) -> Iterator[tuple[str, bool]]:
        """The endpoint descriptions to listen on, and whether TLS is spoken there."""
        over_tls = bool(self["ssl-certfile"])
        for description in self["listen"]:
            yield self._listen_address(description)
        for address in self["bind"]:
            scheme, _ = bind_scheme(address)
            label = self.labels.get("bind", "--bind")
            description = str(parsed(label, BY_NAME["bind"], address))
            yield description, scheme == "tls" or (not scheme and over_tls)
        alone = [name for name in ("host", "port") if self[name] is not None]
        if not alone:
            return
        if self["listen"] or self["bind"]:
            raise usage.UsageError(f"--{alone[0]} goes with neither --bind nor --listen")
        port, host = self["port"] or BY_NAME["port"].default.text, self["host"] or ""
        parsed(self.labels.get("port", "--port"), BY_NAME["port"], port)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        description = str(parsed(self.labels.get("host", "--host"), BY_NAME["bind"], address))
        yield description, over_tls

    def _listen_address(self, description: str) -> tuple[str, bool]:
        """As of `_addresses`; the certificate of ``ssl:`` is one more of ``--ssl-certfile``."""
        try:
            tls = tls_in(description)
        except ValueError as error:
            raise usage.UsageError(f"--listen: {description!a}: {error}") from None
        if tls is None:
            return description, False
        plain, certificate, key = tls
        certificates, keys = self["ssl-certfile"], self["ssl-keyfile"]
        # Without the option the others have theirs in their own files.
        keys.extend(() if keys else certificates)
        if (certificate, key) not in zip(certificates, keys, strict=False):
            certificates.append(certificate)
            keys.append(key)
        return plain, True

    def _settings(self) -> Settings:
        values: dict[str, Json] = app_options.chosen_app(self)
        values["tls.listeners"] = self._over_tls
        values["tls.redirects"] = self._redirects
        for name in _PAIRS:
            option, label = BY_NAME[name], self.labels.get(name, f"--{name}")
            values[option.field] = [parsed(label, option, each) for each in self[name]]
        for option in DAEMON:
            if option.field and option.name not in _APART:
                values[option.field] = (
                    self.value(option) if option.takes_value else self[option.name]
                )
        return Settings.from_paths(validators.checked_together(values))


def with_implied_values(arguments: Sequence[str]) -> list[str]:
    """Options whose value may be left out, which getopt(3) cannot express, with their values."""
    result = list(arguments)
    for at, argument in enumerate(result):
        follows = result[at + 1] if at + 1 < len(result) else "-"
        if argument in _IMPLYING and follows.startswith("-"):
            result[at] = f"{argument}={_IMPLYING[argument]}"
    return result
