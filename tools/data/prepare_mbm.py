#!/usr/bin/env python
"""The command of normreg_plugins/cli/data/prepare_mbm.py."""

import sys

from normreg_plugins.cli.data.prepare_mbm import main

if __name__ == "__main__":
    sys.exit(main())
