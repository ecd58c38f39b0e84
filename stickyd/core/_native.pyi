"""The compiled head reader and placer."""

from collections.abc import Callable
from mmap import mmap

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head
from stickyd.http1.limits import Limits

BUILT_FROM: str

class HeadReader:
    def __init__(
        self,
        head: type[Head],
        options: Callable[[bytes], frozenset[bytes]],
        python: Callable[[bytes, Limits, int], Head | Refusal | None],
    ) -> None: ...
    def read(self, data: bytes, limits: Limits, scanned: int = 0) -> Head | Refusal | None: ...

class Placer:
    def __init__(
        self,
        hash_key: tuple[bytes, bytes],
        tag_key: tuple[bytes, bytes],
        slots: list[int],
        chain: list[tuple[str, bytes, bytes]],
        everyone: bool,
        unix_peers: bool,
        networks: list[tuple[bytes, bytes]],
        learned: mmap | None = None,
    ) -> None: ...
    def place(self, data: bytes, peer: str | None) -> tuple[int, int, int | None] | None: ...
    def hands_out_news(self, fields: bytes, slot: int) -> bool: ...

def digest_of(key: bytes, person: bytes, digest_size: int, message: bytes) -> int: ...
def find_learned(memory: mmap | bytearray, prefix: bytes, id: bytes, now: int) -> int: ...
def without_cookie(value: bytes, name: bytes) -> bytes | None: ...
def stored_cookie(value: bytes, name: bytes) -> bytes | None: ...
