"""What can go wrong on the way to an answer; the text of each is one line for the user."""


class Failure(Exception):
    """No answer, and why."""


class Unreachable(Failure):
    """No connection: no such name, nobody listening, TLS refused."""


class Ended(Failure):
    """The server ended the connection before its answer was whole."""


class TimedOut(Failure):
    """The answer was not whole in time."""


class NotHttp(Failure):
    """What came is not an HTTP response."""


class Nameless(Failure):
    """An answer came, but it does not name a worker."""
