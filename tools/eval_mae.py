#!/usr/bin/env python
"""The command of normreg_plugins/cli/eval_mae.py."""

import sys

from normreg_plugins.cli.eval_mae import main

if __name__ == "__main__":
    sys.exit(main())
