#!/usr/bin/env python
"""The command `normreg count`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["count", *sys.argv[1:]]))
