#!/usr/bin/env python
"""The command `normreg prepare-mbm`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare-mbm", *sys.argv[1:]]))
