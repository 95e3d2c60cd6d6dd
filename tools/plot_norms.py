#!/usr/bin/env python
"""The command `normreg plot-norms`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["plot-norms", *sys.argv[1:]]))
