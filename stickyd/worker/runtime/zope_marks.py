"""Take back what importing Twisted leaves on classes that have nothing to do with it.

``@implementer`` (zope.interface) gives a class and each of its bases a ``__provides__``, so
twisted.internet's ``BaseConnector(ABC)`` and ``Factory(Protocol, Generic[…])`` mark ``abc.ABC``,
``typing.Generic``, ``typing.Protocol`` and their metaclasses. The attribute is listed by dir() of
every class that derives from one of them, and getattr() of it raises AttributeError there: an app
that looks at all attributes of its classes does not load.

On a class that declares no interface the attribute is a cache and no more: zope.interface finds the
same without it. What remains, ``__implemented__``, can be read from subclasses and keeps
zope.interface from marking the class again.
"""

import sys
from collections.abc import Iterator

from zope.interface import directlyProvidedBy
from zope.interface.declarations import ClassProvides, Implements

_PACKAGES = sys.stdlib_module_names | {"typing_extensions"}
"""Whose classes are for everyone to derive from; the second has Python's next ``Protocol``."""


def unmark() -> list[type]:
    """Delete ``__provides__`` of the standard library's classes; those that had it.

    One that declares an interface, because somebody has said so, keeps it.
    """
    found = [cls for cls in _classes() if _marked_in_passing(cls)]
    for cls in found:
        type.__delattr__(cls, "__provides__")
    return found


def _classes() -> Iterator[type]:
    """Every class there is, each once."""
    seen: set[type] = {object}
    waiting: list[type] = [object]
    while waiting:
        cls = waiting.pop()
        yield cls
        fresh: set[type] = set(type.__subclasses__(cls)) - seen
        seen |= fresh
        waiting += fresh


def _marked_in_passing(cls: type) -> bool:
    own = vars(cls)
    module, implemented = own.get("__module__"), own.get("__implemented__")
    return (
        isinstance(own.get("__provides__"), ClassProvides)
        and isinstance(module, str)
        and module.partition(".")[0] in _PACKAGES
        and isinstance(implemented, Implements)
        and not implemented.declared
        and not list(directlyProvidedBy(cls))
    )
