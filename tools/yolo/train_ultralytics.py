#!/usr/bin/env python
"""The command `normreg train-ultralytics`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train-ultralytics", *sys.argv[1:]]))
