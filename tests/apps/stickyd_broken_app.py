"""Apps that do not load, or do not start, each with a cause of its own."""


class Cause(Exception):
    pass


def _deep():
    raise Cause("the first\ncause")


def resource():
    try:
        _deep()
    except Cause as cause:
        raise RuntimeError("does not load") from cause


def asgi():
    return resource()


async def lifespan_raises(scope, receive, send):
    await receive()
    _deep()


async def lifespan_fails(scope, receive, send):
    await receive()
    message = "Traceback (most recent call last):\n  told by the app\nOSError: no database\n"
    await send({"type": "lifespan.startup.failed", "message": message})


def long():
    raise RuntimeError("x" * 200_000)


async def starts(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    print("the app starts")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("the app ends")
    await send({"type": "lifespan.shutdown.complete"})


def retired(retiring):
    print("the app is told of its end")
