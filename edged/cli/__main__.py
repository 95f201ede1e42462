"""`python -m edged.cli` is `edgectl`."""

import sys

from edged.cli import main

if __name__ == "__main__":
    sys.exit(main())
