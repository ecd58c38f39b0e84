"""The event loop of a worker whose app is an asyncio one."""

import asyncio


def install_asyncio() -> None:
    """Make Twisted's reactor one on asyncio: on uvloop where it is installed.

    To be called before anything imports the reactor.
    """
    from twisted.internet import asyncioreactor

    loop = _new_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
