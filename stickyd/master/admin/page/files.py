"""The files of the live page, which the package has beside this module."""

import hashlib
from importlib.resources import files

TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Their names and media types."""


class PageFiles:
    """The files, read once.

    :ivar contents: by name.
    :ivar digest: of all, so that a page of another version loads itself anew.
    """

    def __init__(self) -> None:
        folder = files(__package__)
        self.contents = {name: folder.joinpath(name).read_bytes() for name in TYPES}
        whole = b"".join(self.contents.values())
        self.digest = hashlib.sha256(whole).hexdigest()[:16]
