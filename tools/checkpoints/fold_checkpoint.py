#!/usr/bin/env python
"""The command `normreg fold-checkpoint`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["fold-checkpoint", *sys.argv[1:]]))
