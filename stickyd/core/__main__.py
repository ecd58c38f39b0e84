"""``python -m stickyd.core``: says which core runs; status 0 if it is the compiled one."""

import sys

from stickyd.core.native import CORE

if __name__ == "__main__":
    print(f"stickyd runs on the {CORE}")
    sys.exit(CORE.native is None)
