"""Errors of a request; the text of each is one line for the user."""


class Failure(Exception):
    """No response; the text gives the reason."""


class Unreachable(Failure):
    """No connection: unknown host, connection refused, TLS failure."""


class Ended(Failure):
    """The server ended the connection before its answer was whole."""


class TimedOut(Failure):
    """The answer was not whole in time."""


class NotHttp(Failure):
    """The bytes received are not an HTTP response."""


class Nameless(Failure):
    """The response does not name a worker."""
