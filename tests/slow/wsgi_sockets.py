"""WebSockets of unmodified WSGI frameworks: flask-sock, and Flask-SocketIO in its threading mode.

    python -m tests.slow.wsgi_sockets [--clients 20] [--messages 50]

Each client has an address, and so a worker, of its own. Those of flask-sock send messages of up to
100 KB and read them again; those of Socket.IO begin with polling and upgrade, or use a WebSocket
from the start, and get an answer to each of their messages from the worker that has them. Then
the workers are replaced (HUP): every WebSocket is to end with 1012, or to connect again. Exit
status 1 if a message is lost or wrong, a worker is another one, or a traceback is in the log.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from typing import Any

import socketio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.integration.test_lifecycle import reload
from tests.support.daemon import Daemon, wait_for
from tests.support.lasting import code_of, over, together

SOCK = ("--wsgi", "stickyd_flask_sock_app:app")
SOCKETIO = ("--wsgi", "stickyd_flask_socketio_app:app", "--affinity", "socketio,xff,src")
COMMON = ("--affinity-scope", "request", "--threads", "8", "--graceful-timeout", "2")


def checked(clients: int, messages: int) -> list[str]:
    """What went wrong with flask-sock."""
    wrong: list[str] = []

    def talk(websocket: ClientConnection) -> int:
        slot = websocket.recv(30)
        for number in range(messages):
            message = f"{slot} {number} " + "x" * (number * 2000)
            websocket.send(message)
            if websocket.recv(30) != message:
                wrong.append(f"flask-sock: message {number}")
        return int(slot)

    with Daemon(*SOCK, *COMMON) as daemon, contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(over(daemon, f"10.50.0.{number}", "/echo"))
            for number in range(clients)
        ]
        slots = together([lambda each=each: talk(each) for each in sockets])
        if set(slots) != {1, 2}:
            wrong.append(f"flask-sock: workers {slots}")
        sockets.pop().close()
        reload(daemon)
        codes = together([lambda each=each: code_of(each) for each in sockets])
        if set(codes) != {1012}:
            wrong.append(f"flask-sock: close codes {codes}")
        wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="the end of all")
        print(f"flask-sock: {clients} WebSockets, {clients * messages} messages, {codes[:3]}")
    return wrong


async def client(daemon: Daemon, number: int, messages: int, transports: list[str]) -> list[str]:
    """What went wrong with one client of Flask-SocketIO."""
    wrong = []
    sio = socketio.AsyncClient(reconnection=False)
    room, heard = f"room {number}", []
    sio.on("said", lambda text: heard.append(text))
    await sio.connect(
        f"http://127.0.0.1:{daemon.port}",
        headers={"X-Forwarded-For": f"10.50.1.{number}"},
        auth={"room": room},
        transports=transports,
        wait_timeout=30,
    )
    slots = set()
    for count in range(messages):
        slots.add(await sio.call("say", (room, f"{number} {count}"), timeout=30))
    if sio.transport() != "websocket":
        wrong.append(f"Socket.IO: client {number} uses {sio.transport()}")
    if len(slots) != 1:
        wrong.append(f"Socket.IO: client {number} was served by {slots}")
    async with asyncio.timeout(30):
        while len(heard) < messages:
            await asyncio.sleep(0.05)
    if heard != [f"{number} {count}" for count in range(messages)]:
        wrong.append(f"Socket.IO: client {number} has heard {heard}")
    await sio.disconnect()
    return wrong


async def socketio_clients(daemon: Daemon, clients: int, messages: int) -> list[str]:
    kinds: list[list[str]] = [["polling", "websocket"], ["websocket"]]
    calls: list[Any] = [
        client(daemon, number, messages, kinds[number % 2]) for number in range(clients)
    ]
    return [line for lines in await asyncio.gather(*calls) for line in lines]


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--messages", type=int, default=50)
    arguments = parser.parse_args()
    wrong = checked(arguments.clients, arguments.messages)
    os.environ.pop("REDIS_URL", None)
    with Daemon(*SOCKETIO, *COMMON) as daemon:
        found = asyncio.run(socketio_clients(daemon, arguments.clients, arguments.messages))
        wrong += found
        with contextlib.suppress(ConnectionClosed):
            wait_for(lambda: daemon.report()["workers"]["requests"] > 0, what="requests")
        report = daemon.report()["workers"]
        print(f"Flask-SocketIO: {arguments.clients} clients, {report['pinned']} WebSockets")
        if report["pinned"] != arguments.clients:
            wrong.append(f"Socket.IO: {report['pinned']} WebSockets")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
