#!/usr/bin/env python
"""The command of normreg_plugins/cli/eval_map.py."""

import sys

from normreg_plugins.cli.eval_map import main

if __name__ == "__main__":
    sys.exit(main())
