#!/usr/bin/env python
"""The command `normreg eval-map`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["eval-map", *sys.argv[1:]]))
