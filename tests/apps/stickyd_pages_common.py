"""What the same pages of several frameworks share (tests/integration/test_framework_pages.py)."""

import hashlib
import json
import threading

from stickyd import keys

GO = threading.Event()
DONE = []
GONE = []


def job():
    """Work behind an answer: waits until it is told to go on, and leaves a key of its slot."""
    assert GO.wait(20)
    DONE.append(keys.new_key())


def state():
    return json.dumps({"done": DONE, "gone": len(GONE)}).encode()


def blocks(count):
    for number in range(count):
        yield bytes([number % 251]) * 65536


def event(number):
    return b"data: %d\n\n" % number


def told(name, file):
    """Of an uploaded file."""
    sha, size = hashlib.sha256(), 0
    while part := file.read(1 << 20):
        sha.update(part)
        size += len(part)
    return f"{name} {size} {sha.hexdigest()}".encode()
