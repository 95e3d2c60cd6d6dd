#!/usr/bin/env python
"""The command `normreg make-mini-data`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["make-mini-data", *sys.argv[1:]]))
