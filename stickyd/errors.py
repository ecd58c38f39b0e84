"""Errors that end with one line for the operator."""


class CannotLoad(Exception):
    """The app cannot be loaded.

    The text is one line, followed by the traceback if ``--display-tracebacks`` asks for it.
    """


class StartFailed(Exception):
    """The daemon cannot start; the text is one line that says what to change."""


class CannotUpgrade(Exception):
    """The master's program cannot be replaced; the text is one line that says why."""
