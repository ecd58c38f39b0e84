"""The event loop of a worker whose app is an asyncio one."""

import asyncio


def install_asyncio(kind: str) -> None:
    """Make Twisted's reactor one on asyncio.

    To be called before anything imports the reactor.

    :param kind: ``asyncio``, ``uvloop``, or ``auto``: uvloop where it is installed.
    :raise ImportError: if uvloop is asked for and not installed.
    """
    from twisted.internet import asyncioreactor

    loop = _new_loop(kind)
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)


def _new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "asyncio":
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        if kind == "uvloop":
            raise
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
