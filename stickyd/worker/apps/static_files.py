"""The files of a directory."""

import re
from typing import Any

from twisted.web.resource import IResource
from twisted.web.static import File

_SHOWN = (".well-known",)

# What some server runs instead of sending it, and what editors and archivers make of such a name:
# `page.rpy~`, `page.php.bak`.
_SCRIPT = re.compile(
    r"\.(?:rpy|epy|trp|tac|wsgi|f?cgi|php[0-9]?|phtml|jspx?|aspx?|cfm)(?:[.~#]|$)",
    re.IGNORECASE,
)


class Files(File):
    """Like `twisted.web.static.File`, except that it

    - lists no directory: one without an index page is 404,
    - has no names that begin with a dot (``.git``, ``.env``) but ``.well-known`` (RFC 8615),
    - has no scripts that a server would run, here or elsewhere: their text is nobody's to read,
    - answers names that no file can have with 404.
    """

    # Without `index.rpy`, which is a script.
    indexNames = ["index", "index.html", "index.htm"]

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
        if "/" in name or "\0" in name or _is_hidden(name):
            return self.childNotFound
        child: IResource = super().getChild(path, request)
        return child


def _is_hidden(name: str) -> bool:
    if name.startswith("."):
        return name not in _SHOWN
    return _SCRIPT.search(name) is not None
