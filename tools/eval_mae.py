#!/usr/bin/env python
"""The command `normreg eval-mae`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["eval-mae", *sys.argv[1:]]))
