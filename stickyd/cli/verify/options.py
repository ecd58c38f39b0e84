"""The command line of ``stickyd verify``."""

import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from twisted.python import usage

from stickyd import __version__
from stickyd.cli.converters import seconds, token, whole
from stickyd.cli.verify.connection import Server
from stickyd.cli.verify.response import WorkerName
from stickyd.cli.verify.scenarios import Question
from stickyd.cli.verify.tls import client_context

_VISIBLE = re.compile(r"[!-~]+")
# Fields that every request has already, or that would change its framing.
_TAKEN = ("host", "connection", "content-length", "transfer-encoding")
_PORTS = {"http": 80, "https": 443}


class VerifyOptions(usage.Options):
    """What to ask of which server.

    Once read, ``url`` is what was given, in printable ASCII, and ``server``,
    ``question`` and ``name`` are what it and the options mean.
    """

    synopsis = "Usage: stickyd verify URL [options]"
    longdesc = (
        "Ask a server the verification's four rows and a random mix of clients over kept-alive"
        " connections. Exit status: 0 every request reached its own worker, 1 some did not,"
        " 2 wrong usage, 3 cannot tell."
    )

    optParameters = [
        ["requests", None, "400", "requests of the random mix"],
        ["clients", None, "40", "clients of the random mix"],
        ["connections", None, "8", "kept-alive connections of the random mix"],
        ["timeout", None, "5", "seconds for connecting, and for each answer"],
        ["worker-header", None, None, "response header that names the worker"],
        [
            "pattern",
            None,
            None,
            "its first group, searched in head and body of the response, names the worker"
            r" [default: From worker (\S+)]",
        ],
        ["path", None, None, "path to ask for [default: the URL's]"],
        ["host", None, None, "Host header to send [default: the URL's]"],
        ["client-header", None, "X-Forwarded-For", "request header that names the client"],
        ["random-seed", None, "1", "the same number gives the same random mix"],
        ["cafile", None, None, "PEM file of the authorities to trust [default: the platform's]"],
    ]

    url: str
    server: Server
    question: Question
    name: WorkerName

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"stickyd {__version__}")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """As the parent, but the URL may stand before, between or behind the options."""
        arguments = list(options or [])
        names = {f"--{parameter[0]}" for parameter in self.optParameters}
        flags: list[str] = []
        others: list[str] = []
        while arguments:
            argument = arguments.pop(0)
            if argument in names and arguments:
                flags += [argument, arguments.pop(0)]
            elif argument.startswith("-"):
                flags.append(argument)
            else:
                others.append(argument)
        super().parseOptions([*flags, "--", *others])

    def parseArgs(self, *urls: str) -> None:
        """The URL."""
        self["urls"] = urls

    def postOptions(self) -> None:
        """Check before anything is asked."""
        if len(self["urls"]) != 1:
            raise usage.UsageError("which URL? For example: stickyd verify http://localhost:3000/")
        for option, least, most in (
            ("requests", 1, 1_000_000),
            ("clients", 2, 10_000),
            ("connections", 1, 500),
            ("random-seed", 0, 2**63),
        ):
            self[option] = whole(f"--{option}", self[option], least, most)
        self["timeout"] = seconds("--timeout", self["timeout"], 3600)
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
            return WorkerName(header=token("--worker-header", header))
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
            # What goes over the wire, and what a certificate names.
            host = (url.hostname or "").encode("idna").decode("ascii")
            port = _PORTS[url.scheme] if url.port is None else url.port
        except ValueError as error:
            raise usage.UsageError(f"{url.geturl()!a}: {error}") from None
        if not host or not _VISIBLE.fullmatch(host):
            raise usage.UsageError(f"{url.geturl()!a} has no host")
        if url.scheme == "http":
            if self["cafile"] is not None:
                raise usage.UsageError("--cafile is for https:// URLs")
            return Server(host, port, self["timeout"])
        try:
            context = client_context(self["cafile"])
        except (OSError, ValueError) as error:
            raise usage.UsageError(f"--cafile: {self['cafile']!a}: {_why(error)}") from None
        return Server(host, port, self["timeout"], context)

    def _question(self, url: SplitResult) -> Question:
        path = self["path"]
        if path is None:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        if not path.startswith("/") or not _VISIBLE.fullmatch(path):
            raise usage.UsageError(f"--path: {path!a} is not a path (percent-encode what is odd)")
        host = url.netloc.encode("idna").decode("ascii") if self["host"] is None else self["host"]
        if not _VISIBLE.fullmatch(host):
            raise usage.UsageError(f"--host: {host!a} is not a host")
        header = token("--client-header", self["client-header"])
        if header.lower() in _TAKEN:
            raise usage.UsageError(f"--client-header: {header} has its own meaning")
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
