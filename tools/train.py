#!/usr/bin/env python
"""The command of normreg_plugins/cli/train.py."""

import sys

from normreg_plugins.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
