"""The plugin interface of twistd and twist: `Options`, and a service made from them."""

from stickyd.cli.options import Options
from stickyd.logs.log_format import set_up
from stickyd.logs.stream import never_wait_for_output
from stickyd.master.bootstrap import disable_fd_inheritance
from stickyd.master.service import StickydService

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> StickydService:
    """The service for a parsed command line (twisted.application.service.IServiceMaker)."""
    from twisted.internet import reactor

    disable_fd_inheritance()
    log = options.settings.log
    set_up(options.parent, log.format, log.level)
    output = never_wait_for_output(reactor, options.parent)
    return StickydService(
        reactor, options.settings, options["listen"], options["control"], options.arguments, output
    )
