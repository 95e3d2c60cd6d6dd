#!/usr/bin/env python
"""The command of normreg_plugins/cli/checkpoints/fold_checkpoint.py."""

import sys

from normreg_plugins.cli.checkpoints.fold_checkpoint import main

if __name__ == "__main__":
    sys.exit(main())
