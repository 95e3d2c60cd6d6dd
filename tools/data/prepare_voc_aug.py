#!/usr/bin/env python
"""The command `normreg prepare-voc-aug`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare-voc-aug", *sys.argv[1:]]))
