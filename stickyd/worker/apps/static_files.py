"""The files of a directory."""

from typing import Any

from twisted.web.resource import IResource
from twisted.web.static import File

_SHOWN = (".well-known",)


class Files(File):
    """Like `twisted.web.static.File`, except that it

    - lists no directory: one without an index page is 404,
    - has no names that begin with a dot (``.git``, ``.env``) but ``.well-known`` (RFC 8615),
    - answers names that no file can have with 404.
    """

    def directoryListing(self) -> IResource:
        """Instead of a listing."""
        return self.childNotFound

    def getChild(self, path: bytes, request: Any) -> IResource:
        """The file called ``path`` in this directory."""
        try:
            name = path.decode("utf-8")
        except UnicodeDecodeError:
            return self.childNotFound
        # An encoded slash would lead past the names between.
        if "/" in name or "\0" in name or (name.startswith(".") and name not in _SHOWN):
            return self.childNotFound
        child: IResource = super().getChild(path, request)
        return child
