#!/usr/bin/env python
"""The command of normreg_plugins/cli/data/prepare_qnrf.py."""

import sys

from normreg_plugins.cli.data.prepare_qnrf import main

if __name__ == "__main__":
    sys.exit(main())
