#!/usr/bin/env python
"""The command of normreg_plugins/cli/data/prepare_bccd.py."""

import sys

from normreg_plugins.cli.data.prepare_bccd import main

if __name__ == "__main__":
    sys.exit(main())
