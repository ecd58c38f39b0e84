"""uvicorn's loggers, set up as uvicorn itself does: apps write to them, too."""

import logging
import os
import sys

import uvicorn
import websockets

_THEIRS = tuple(os.path.join(path, "") for path in [*uvicorn.__path__, *websockets.__path__])


def _is_news(record: logging.LogRecord) -> bool:
    """Not the remarks of uvicorn and websockets on every connection, nor the faults of clients.

    A text that is no UTF-8 (RFC 6455, 8.1) is answered with 1007; its traceback is no use.
    """
    if not record.pathname.startswith(_THEIRS):
        return True
    invalid = str(record.msg).startswith("Invalid UTF-8 sequence received from client")
    return record.levelno >= logging.WARNING and not invalid


def set_up() -> None:
    """To be done before the app is loaded, whose own configuration comes after it."""
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("uvicorn")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    of_protocols = logging.getLogger("uvicorn.error")
    of_protocols.setLevel(logging.INFO)
    of_protocols.addFilter(_is_news)
