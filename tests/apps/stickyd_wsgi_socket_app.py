"""A WSGI app that takes its connection out of the environment and speaks WebSocket by hand.

/ws echoes; /lazy does, as a generator; /raises and /stops end as libraries end for other servers;
/flood sends until it fails; /lingers closes and goes on until /release; /leaves returns, but for a
thread that reads; any other path answers as usual.
"""

import base64
import hashlib
import os
import struct
import threading

SLOT = os.environ.get("STICKYD_SLOT", "-")
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE = 1, 2, 8
FAILED = []
RELEASED = threading.Event()


def handshake(environ):
    key = environ["HTTP_SEC_WEBSOCKET_KEY"] + GUID
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


def frame(opcode, payload):
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def exactly(sock, size):
    parts = []
    while size:
        data = sock.recv(min(size, 65536))
        if not data:
            raise ConnectionError("the client has gone")
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def message(sock):
    """Opcode and payload of a message in one frame."""
    first, size = exactly(sock, 2)
    size &= 127
    if size == 126:
        (size,) = struct.unpack("!H", exactly(sock, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", exactly(sock, 8))
    mask = exactly(sock, 4) * (size // 4 + 1)
    data = exactly(sock, size)
    bare = int.from_bytes(data, "big") ^ int.from_bytes(mask[:size], "big")
    return first & 15, bare.to_bytes(size, "big")


def echo(environ):
    sock = environ["werkzeug.socket"]
    sock.send(handshake(environ))
    sock.send(frame(TEXT, f"worker {SLOT}".encode()))
    while True:
        opcode, data = message(sock)
        sock.send(frame(opcode, data))
        if opcode == CLOSE:
            return


def flood(environ):
    sock = environ["werkzeug.socket"]
    sock.sendall(handshake(environ))
    try:
        while True:
            sock.send(frame(BINARY, bytes(65536)))
    except OSError as error:
        FAILED.append(type(error).__name__)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/ws":
        echo(environ)
    elif path == "/lazy":
        return lazily(environ, start_response)
    elif path == "/raises":
        echo(environ)
        raise ConnectionError
    elif path == "/stops":
        echo(environ)
        raise StopIteration
    elif path == "/fails":
        environ["werkzeug.socket"].send(handshake(environ))
        raise ValueError("an app's fault")
    elif path == "/flood":
        flood(environ)
    elif path == "/lingers":
        sock = environ["werkzeug.socket"]
        sock.send(handshake(environ) + frame(CLOSE, (4000).to_bytes(2, "big")))
        sock.close()
        RELEASED.wait()
    elif path == "/leaves":
        sock = environ["werkzeug.socket"]
        sock.send(handshake(environ))
        # As a library's thread that reads on.
        threading.Thread(target=sock.recv, args=(1000,)).start()
    elif path == "/release":
        RELEASED.set()
    # Such answers are for servers whose socket is theirs still.
    body = f"From worker {SLOT} {'werkzeug.socket' in environ} {FAILED}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def lazily(environ, start_response):
    echo(environ)
    write = start_response("200 OK", [])
    write(b"nobody reads this")
    yield b"nor this"
