#!/usr/bin/env python
"""The command `normreg prepare-shanghaitech`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare-shanghaitech", *sys.argv[1:]]))
