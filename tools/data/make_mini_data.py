#!/usr/bin/env python
"""The command of normreg_plugins/cli/data/make_mini_data.py."""

import sys

from normreg_plugins.cli.data.make_mini_data import main

if __name__ == "__main__":
    sys.exit(main())
