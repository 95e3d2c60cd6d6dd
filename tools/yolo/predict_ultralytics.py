#!/usr/bin/env python
"""The command `normreg predict-ultralytics`."""

import sys

from normreg_plugins.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["predict-ultralytics", *sys.argv[1:]]))
