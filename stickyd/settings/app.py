"""The settings of the app: what it is, where it comes from, when it is loaded anew."""

import attrs


@attrs.frozen
class OriginSettings:
    """What the app is loaded with.

    :ivar directory: absolute path that modules are imported from first, or "".
    :ivar env_file: absolute path of a file with environment variables, or "".
    :ivar factory: call what is named for the app.
    :ivar loop: event loop of an ASGI app: ``auto``, ``asyncio`` or ``uvloop``.
    :ivar preload: workers are forked from a process that has imported the app.
    """

    directory: str = ""
    env_file: str = ""
    factory: bool = False
    loop: str = "auto"
    preload: bool = False


@attrs.frozen
class ReloadSettings:
    """Which files are watched.

    :ivar directories: absolute paths; empty to watch none.
    :ivar include: patterns of files, beside ``*.py``.
    :ivar exclude: patterns of files and directories that are not watched.
    """

    directories: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@attrs.frozen
class AppSettings:
    """The app that the workers run.

    :ivar kind: ``demo``, ``class``, ``wsgi``, ``asgi`` or ``path``.
    :ivar name: the app's import name; for ``path`` an absolute directory, for ``demo`` "".
    :ivar on_retire: import name of a callable, or "".
    """

    kind: str = "demo"
    name: str = ""
    threads: int = 8
    root_path: str = ""
    display_tracebacks: bool = False
    reload: ReloadSettings = attrs.field(factory=ReloadSettings)
    on_retire: str = ""
    origin: OriginSettings = attrs.field(factory=OriginSettings)
