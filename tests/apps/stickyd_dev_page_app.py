"""A page that loads itself again when its WebSocket is closed, under ASGI and twisted.web."""

from dev_version import VERSION
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route, WebSocketRoute
from stickyd_quiet_websocket import Quiet, Sockets
from twisted.web.resource import Resource
from twisted.web.websocket import WebSocketResource

PAGE = f"""<!DOCTYPE html>
<title>page</title><link rel="icon" href="data:,">
<p id="version">{VERSION}</p><p id="socket"></p>
<script>
const socket = new WebSocket(`ws://${{location.host}}/ws`);
socket.onopen = () => document.getElementById("socket").textContent = "open";
socket.onclose = () => location.reload();
</script>
"""


async def page(request):
    return HTMLResponse(PAGE)


async def wait(websocket):
    await websocket.accept()
    async for _ in websocket.iter_text():
        pass


app = Starlette(routes=[Route("/", page), WebSocketRoute("/ws", wait)])


class Page(Resource):
    isLeaf = True

    def render_GET(self, request):
        return PAGE.encode()


def site():
    root = Resource()
    root.putChild(b"", Page())
    root.putChild(b"ws", WebSocketResource(Sockets(Quiet)))
    return root
