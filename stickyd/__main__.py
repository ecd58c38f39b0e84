"""``python -m stickyd``: the same as the console command ``stickyd``."""

import sys

from stickyd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
