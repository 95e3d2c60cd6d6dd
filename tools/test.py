#!/usr/bin/env python
"""The command `normreg test`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["test", *sys.argv[1:]]))
