#!/usr/bin/env python
"""The command `normreg prepare-qnrf`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare-qnrf", *sys.argv[1:]]))
