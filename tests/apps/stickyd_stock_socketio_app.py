"""python-socketio with ids of its own, and a page that speaks with it.

Nothing here knows of stickyd. SOCKETIO_CLIENT is npm's socket.io.min.js; `interact` in the
page is what tests/slow/browsers calls, and the page's query says by which transports.
"""

import os
from collections import Counter

import socketio

PAGE = """<!doctype html><title>page</title><script src="/client.js"></script><script>
// What is wrong: state that was lost, and errors. Who served each interaction that was right.
async function interact(times) {
  const told = {wrong: [], workers: []};
  const transports = location.search.slice(1).split(",");
  const socket = io({transports, reconnection: false});
  socket.on("connect_error", (error) => told.wrong.push(`connecting: ${error}`));
  socket.on("disconnect", (why) => told.wrong.push(`disconnected: ${why}`));
  for (let number = 1; number <= times; number++) {
    try {
      const [count, worker] = await socket.timeout(20000).emitWithAck("add");
      if (count !== number) told.wrong.push(`interaction ${number} was counted as ${count}`);
      else told.workers.push(worker);
    } catch (error) {
      told.wrong.push(`interaction ${number}: ${error}`);
      break;
    }
  }
  told.transport = socket.io.engine && socket.io.engine.transport.name;
  if (told.transport !== transports[transports.length - 1]) {
    told.wrong.push(`the transport is ${told.transport}`);
  }
  socket.off("disconnect");
  socket.disconnect();
  return told;
}
</script>"""

sio = socketio.AsyncServer(async_mode="asgi")
ADDED: Counter[str] = Counter()


@sio.event
async def connect(sid, environ, auth):
    ADDED[sid] = 0


@sio.event
async def add(sid):
    ADDED[sid] += 1
    return [ADDED[sid], os.getpid()]


async def page(scope, receive, send):
    if scope["type"] != "http":
        return
    with open(os.environ["SOCKETIO_CLIENT"], "rb") as file:
        client = file.read()
    body, kind = {
        "/": (PAGE.encode(), b"text/html"),
        "/client.js": (client, b"text/javascript"),
    }.get(scope["path"], (b"", b"text/plain"))
    head = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200 if body else 404, "headers": head})
    await send({"type": "http.response.body", "body": body})


app = socketio.ASGIApp(sio, page)
