"""A page whose thread still waits for its queue when the process ends.

Kernels of marimo do so, in a thread of concurrent.futures, which Python joins at the end.
"""

from concurrent.futures import ThreadPoolExecutor
from queue import Queue

from twisted.internet import reactor

pool = ThreadPoolExecutor(1, thread_name_prefix="kernel")
queue: Queue[bytes] = Queue()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/reactor":
        # It is joined before the reactor has stopped.
        reactor.callInThread(queue.get)
    else:
        pool.submit(queue.get)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"waits\n"})
