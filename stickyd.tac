# Run with: twistd -ny stickyd.tac
# The same as the command line: twistd -n stickyd --workers 2

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from twisted.application.service import Application

from stickyd.tap import Options, makeService

options = Options()
options.parseOptions(["--workers", "2", "--listen", os.environ.get("STICKYD_LISTEN", "tcp:3000")])

application = Application("stickyd")
makeService(options).setServiceParent(application)
