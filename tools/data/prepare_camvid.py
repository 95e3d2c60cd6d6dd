#!/usr/bin/env python
"""The command `normreg prepare-camvid`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare-camvid", *sys.argv[1:]]))
