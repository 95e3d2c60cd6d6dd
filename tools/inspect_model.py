#!/usr/bin/env python
"""The command of normreg_plugins/cli/inspect_model.py."""

import sys

from normreg_plugins.cli.inspect_model import main

if __name__ == "__main__":
    sys.exit(main())
