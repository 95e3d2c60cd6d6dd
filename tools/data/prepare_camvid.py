#!/usr/bin/env python
"""The command of normreg_plugins/cli/data/prepare_camvid.py."""

import sys

from normreg_plugins.cli.data.prepare_camvid import main

if __name__ == "__main__":
    sys.exit(main())
