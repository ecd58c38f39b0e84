"""What the compiled module is built from. Used by setup.py, so it imports nothing of ours."""

from hashlib import blake2b
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUFFIXES = frozenset({".pyx", ".pxi", ".pxd", ".h"})


def files() -> list[Path]:
    """Cython sources and C headers, in the order of their names."""
    return sorted(path for path in HERE.iterdir() if path.suffix in SUFFIXES)


def digest() -> str:
    """Tells these sources from others: 16 hexadecimal digits."""
    total = blake2b(digest_size=8)
    for path in files():
        total.update(b"%s\0%d\0" % (path.name.encode(), path.stat().st_size) + path.read_bytes())
    return total.hexdigest()
