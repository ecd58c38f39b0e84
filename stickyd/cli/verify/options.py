"""The command line of ``stickyd verify``."""

import re
import ssl
from typing import Any, ClassVar
from urllib.parse import SplitResult, urlsplit

from twisted.python import usage

from stickyd.cli.arguments import options_first
from stickyd.cli.command_tables import VERIFY
from stickyd.cli.option import Option
from stickyd.cli.table_options import TableOptions, as_options, parameters
from stickyd.cli.verify.connection import Server
from stickyd.cli.verify.response import WorkerName
from stickyd.cli.verify.scenarios import Question
from stickyd.cli.verify.tls import client_context, present

_VISIBLE = re.compile(r"[!-~]+")
# Fields that every request has, or that would change its framing.
_TAKEN = ("host", "connection", "content-length", "transfer-encoding")
_PORTS = {"http": 80, "https": 443}


class VerifyOptions(TableOptions):
    """The server to test, and the requests to send.

    :ivar url: the URL as given, in printable ASCII.
    """

    synopsis = "Usage: stickyd verify URL [options]"
    longdesc = (
        "Send the four rows of the verification and a random mix of clients over persistent"
        " connections. Exit status: 0 every request reached its client's own worker, 1 some did"
        " not, 2 wrong usage, 3 inconclusive."
    )

    table: ClassVar[tuple[Option, ...]] = VERIFY
    optParameters = parameters(VERIFY)

    url: str
    server: Server
    question: Question
    name: WorkerName

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but URL and options may stand in any order."""
        with_value = {f"--{option.name}" for option in VERIFY}
        super().parseOptions(options_first(as_options(options), with_value))

    def parseArgs(self, *urls: str) -> None:
        """The URL."""
        self["urls"] = urls

    def postOptions(self) -> None:
        """Check everything before a connection is opened."""
        if len(self["urls"]) != 1:
            raise usage.UsageError("which URL? For example: stickyd verify http://localhost:3000/")
        for option in VERIFY:
            self[option.name] = self.value(option)
        self.name = self._name()
        self.url = ascii(self["urls"][0])[1:-1]
        url = _split(self["urls"][0])
        self.server = self._server(url)
        self.question = self._question(url)

    def _name(self) -> WorkerName:
        header, pattern = self["worker-header"], self["pattern"]
        if header is not None and pattern is not None:
            raise usage.UsageError("either --worker-header or --pattern, not both")
        if header is not None:
            return WorkerName(header=header)
        if pattern is None:
            return WorkerName()
        try:
            compiled = re.compile(pattern.encode("utf-8", "surrogateescape"))
        except re.error as error:
            raise usage.UsageError(f"--pattern: {error}") from None
        if not compiled.groups:
            raise usage.UsageError("--pattern: has no group to name the worker, as in 'pid: (.+)'")
        return WorkerName(pattern=compiled)

    def _server(self, url: SplitResult) -> Server:
        try:
            # The form used in DNS queries and in certificates.
            host = (url.hostname or "").encode("idna").decode("ascii")
            port = _PORTS[url.scheme] if url.port is None else url.port
        except ValueError as error:
            raise usage.UsageError(f"{url.geturl()!a}: {error}") from None
        if not host or not _VISIBLE.fullmatch(host):
            raise usage.UsageError(f"{url.geturl()!a} has no host")
        if url.scheme == "http":
            for name in ("cafile", "ssl-certfile", "ssl-keyfile"):
                if self[name] is not None:
                    raise usage.UsageError(f"--{name} is for https:// URLs")
            return Server(host, port, self["timeout"])
        try:
            context = client_context(self["cafile"])
        except (OSError, ValueError) as error:
            raise usage.UsageError(f"--cafile: {self['cafile']!a}: {_why(error)}") from None
        self._present(context)
        return Server(host, port, self["timeout"], context)

    def _present(self, context: ssl.SSLContext) -> None:
        certfile, keyfile = self["ssl-certfile"], self["ssl-keyfile"]
        if certfile is None:
            if keyfile is not None:
                raise usage.UsageError("--ssl-keyfile is for --ssl-certfile")
            return
        try:
            present(context, certfile, keyfile)
        except (OSError, ValueError) as error:
            files = ", ".join(ascii(name) for name in (certfile, keyfile) if name is not None)
            # OpenSSL has no reason for a file that lacks what is looked for.
            plain = isinstance(error, ssl.SSLError) and not error.reason
            why = "no certificate and key that can be used" if plain else _why(error)
            raise usage.UsageError(f"--ssl-certfile: {files}: {why}") from None

    def _question(self, url: SplitResult) -> Question:
        path = self["path"]
        if path is None:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        if not path.startswith("/") or not _VISIBLE.fullmatch(path):
            raise usage.UsageError(f"--path: {path!a} is not a path (percent-encode it)")
        host = url.netloc.encode("idna").decode("ascii") if self["host"] is None else self["host"]
        if not _VISIBLE.fullmatch(host):
            raise usage.UsageError(f"--host: {host!a} is not a host")
        header = self["client-header"]
        if header.lower() in _TAKEN:
            raise usage.UsageError(f"--client-header: {header} cannot name the client")
        return Question(path, host, header)


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise usage.UsageError(f"{text!a}: {error}") from None
    if url.scheme not in _PORTS:
        raise usage.UsageError(f"{text!a} is not an http:// or https:// URL")
    if "@" in url.netloc:
        raise usage.UsageError("user and password in a URL are not supported")
    return url


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
